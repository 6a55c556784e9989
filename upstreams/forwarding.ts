import type { Forwarded } from '#core/context.ts';
import type { Span } from '#core/trace.ts';
import type { UpstreamCall } from './call.ts';
import type { Surroundings } from './upstream.ts';

/**
 * RFC 9110 §7.6.3: `Via` with the gateway added, by a pseudonym, so that no host name leaves, and the version of HTTP in
 * which the message came.
 */
export function appendVia(via: string | string[] | undefined, version = '1.1'): string {
  return via === undefined ? `${version} weir` : `${String(via)}, ${version} weir`;
}

/**
 * RFC 7239: the same as the `X-Forwarded-*` fields say, in one. What is known of the first hop stands with it, where those
 * who read it look.
 */
function asForwarded({ for: nodes, proto, host }: Forwarded): string {
  const rest = nodes.indexOf(',');
  const first = `for=${node(rest < 0 ? nodes : nodes.slice(0, rest))};${host === '' || host.includes('"') ? '' : `host="${host}";`}proto=${proto}`;
  if (rest < 0) return first;
  const others = nodes.slice(rest + 1).split(',');
  return `${first}, ${others.map((other) => `for=${node(other.trim())}`).join(', ')}`;
}

/** RFC 7239 §6.1: what has colons stands in brackets, and in quotes. */
function node(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address;
}

/** What {@link forward} sets, by whatever propagation: different for every request, and no part of what was asked. */
export const stamped: ReadonlySet<string> = new Set([
  'via',
  'x-request-id',
  'x-weir-deadline-ms',
  'forwarded',
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
  headers.via = appendVia(context.headers.via, context.httpVersion);
  headers['x-request-id'] = context.id;
  const leftMs = call.deadlineMs - clock.monotonicMs();
  // While the client is still sending there may be no end in sight yet.
  if (Number.isFinite(leftMs)) headers['x-weir-deadline-ms'] = String(Math.max(0, Math.ceil(leftMs)));
  if (call.own) return;
  headers['x-forwarded-for'] = forwarded.for;
  headers['x-forwarded-proto'] = forwarded.proto;
  // HTTP/1.0 knows requests without one.
  if (forwarded.host !== '') headers['x-forwarded-host'] = forwarded.host;
  headers.forwarded = asForwarded(forwarded);
  propagate(span, headers);
}
