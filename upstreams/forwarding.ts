import type { Span } from '#core/trace.ts';
import type { UpstreamCall } from './call.ts';
import type { Surroundings } from './upstream.ts';

/** RFC 9110 §7.6.3: `Via` with the gateway added, by a pseudonym, so that no host name leaves. */
export function appendVia(via: string | string[] | undefined): string {
  return via === undefined ? '1.1 weir' : `${String(via)}, 1.1 weir`;
}

/** What {@link forward} sets, by whatever propagation: different for every request, and no part of what was asked. */
export const stamped: ReadonlySet<string> = new Set([
  'via',
  'x-request-id',
  'x-weir-deadline-ms',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
]);

/**
 * What an upstream is told of the request's way: set below cache and collapse, because it differs for every request and
 * must not be part of a shared read's key.
 */
export function forward(call: UpstreamCall, span: Span, { clock, propagate }: Surroundings): void {
  const { headers, context } = call;
  const { forwarded } = context;
  headers.via = appendVia(context.headers.via);
  headers['x-request-id'] = context.id;
  const leftMs = call.deadlineMs - clock.monotonicMs();
  // While the client is still sending there may be no end in sight yet.
  if (Number.isFinite(leftMs)) headers['x-weir-deadline-ms'] = String(Math.max(0, Math.ceil(leftMs)));
  if (call.own) return;
  headers['x-forwarded-for'] = forwarded.for;
  headers['x-forwarded-proto'] = forwarded.proto;
  headers['x-forwarded-host'] = forwarded.host;
  propagate(span, headers);
}
