import type { RequestContext } from '#core/context.ts';
import type { TelemetryLog } from './log.ts';
import { errorCodeOf } from './outcome.ts';
import { bounded, redactQuery } from './redaction.ts';

/** Characters of what a client chose the length of. */
const maxPath = 1024;
const maxName = 256;

/**
 * The access log: one line a request, never a body. What a request does not have is left out of its line. Quotes and line
 * breaks in what clients send are escaped by the JSON.
 */
export function logAccess(log: TelemetryLog, context: RequestContext, durationMs: number): void {
  if (!log.enabled('info')) return;
  const { calls, identity, operation, reply, span } = context;
  log.access(
    {
      requestId: bounded(context.id, maxName),
      traceId: span.traceId,
      spanId: span.spanId,
      sampled: span.sampled ? true : undefined,
      method: context.method,
      route: context.route?.name,
      path: bounded(context.path, maxPath),
      // An operation is told by its name and hash; its query would be the document.
      query: context.query === '' || operation ? undefined : redactQuery(bounded(context.query, maxPath)),
      status: reply.status,
      durationMs: Math.round(durationMs * 1000) / 1000,
      requestBytes: context.requestBytes,
      responseBytes: reply.bytes,
      clientIp: context.clientIp,
      consumer: identity.consumer === 'anonymous' ? undefined : bounded(identity.consumer, maxName),
      calls: calls.total,
      upstreams: calls.total === 0 ? undefined : Object.fromEntries(calls.sent),
      collapsed: calls.collapsed === 0 ? undefined : calls.collapsed,
      operation: operation && {
        name: operation.name === undefined ? undefined : bounded(operation.name, maxName),
        type: operation.type,
        hash: operation.hash,
      },
      error: errorCodeOf(context),
      cause: context.errorCause === undefined ? undefined : bounded(causeText(context.errorCause), maxPath),
      degraded: context.degraded?.length,
    },
    'request',
  );
}

/** Why, in one line: the message of what was thrown, and of what that was thrown for. */
function causeText(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = 'code' in cause ? `${String(cause.code)}: ` : '';
  // Several addresses that were all tried in vain make an error without a message of its own.
  const message = cause instanceof AggregateError ? cause.errors.map(causeText).join('; ') : cause.message;
  return `${code}${message}${cause.cause === undefined ? '' : `; ${causeText(cause.cause)}`}`;
}
