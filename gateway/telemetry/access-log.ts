import type { RequestContext } from '#core/context.ts';
import { errorRow, errorTable, type ErrorCode } from '#core/errors.ts';
import type { TelemetryLog } from './log.ts';
import { errorCodeOf } from './outcome.ts';
import { bounded, redactQuery } from './redaction.ts';
import type { RefusalLog } from './refusal-log.ts';

/** Characters of what a client chose the length of. */
const maxPath = 1024;
const maxName = 256;

/**
 * The access log: one line a request, never a body; of floods, see {@link RefusalLog}. What a request does not have is left out of its line. Quotes and line
 * breaks in what clients send are escaped by the JSON.
 */
export function logAccess(log: TelemetryLog, refusals: RefusalLog, context: RequestContext, durationMs: number): void {
  const code = refusalOf(context);
  if (code !== undefined && !hasLine(log, refusals, code, context)) return;
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
      unsent: calls.unsent === 0 ? undefined : calls.unsent,
      collapsed: calls.collapsed === 0 ? undefined : calls.collapsed,
      cached: calls.cached === 0 ? undefined : calls.cached,
      operation: operation && {
        name: operation.name === undefined ? undefined : bounded(operation.name, maxName),
        type: operation.type,
        hash: operation.hash,
      },
      error: errorCodeOf(context),
      cause: context.errorCause === undefined ? undefined : bounded(causeText(context.errorCause), maxPath),
      degraded: context.degraded?.length,
      fallback: context.fallback ? true : undefined,
    },
    'request',
  );
}

/** A request that was answered before it had a context. */
export interface UnroutedRequest {
  readonly requestId: string;
  readonly scheme: string;
  /** Where it could be read. */
  readonly method?: string;
  readonly path?: string;
  readonly status: number;
  readonly clientIp: string;
  readonly error: ErrorCode;
  readonly cause?: string;
}

/** The same line, with what there is to say. */
export function logUnrouted(log: TelemetryLog, refusals: RefusalLog, request: UnroutedRequest): void {
  if (!hasLine(log, refusals, request.error, request)) return;
  const { requestId, method, path, status, clientIp, error, cause } = request;
  log.access(
    {
      requestId: bounded(requestId, maxName),
      method,
      path: path === undefined ? undefined : bounded(path, maxPath),
      status,
      clientIp,
      error,
      cause: cause === undefined ? undefined : bounded(cause, maxPath),
    },
    'request',
  );
}

function hasLine(
  log: TelemetryLog,
  refusals: RefusalLog,
  code: ErrorCode,
  from: { readonly clientIp: string },
): boolean {
  if (log.enabled('info')) return refusals.takes(code, from);
  refusals.count(code, from);
  return false;
}

/** What a request was refused with that cost no call: a flood is made of such. */
export function refusalOf(context: RequestContext): ErrorCode | undefined {
  const code = errorCodeOf(context);
  if (code === undefined || context.calls.total > 0 || !isErrorCode(code)) return undefined;
  return errorRow(code).fault === 'client' || code === 'OVERLOADED' || code === 'SHUTTING_DOWN' ? code : undefined;
}

/** Modules have codes of their own. */
function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorTable, code);
}

/** Why, in one line: the message of what was thrown, and of what that was thrown for. */
function causeText(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = 'code' in cause ? `${String(cause.code)}: ` : '';
  // Several addresses that were all tried in vain make an error without a message of its own.
  const message = cause instanceof AggregateError ? cause.errors.map(causeText).join('; ') : cause.message;
  return `${code}${message}${cause.cause === undefined ? '' : `; ${causeText(cause.cause)}`}`;
}
