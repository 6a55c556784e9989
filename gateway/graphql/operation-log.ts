import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Logger } from '#core/log.ts';
import { refusalOf } from '../telemetry/access-log.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { RefusalLog } from '../telemetry/refusal-log.ts';

/** Characters of an operation's name; clients choose it. */
const maxName = 256;

/**
 * One line for each operation that is not a request of its own, and so has no line in the access log: an entry of a batch,
 * an operation on a WebSocket.
 */
export class OperationLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #refusals: RefusalLog;
  readonly #audit: Pick<AuditLog, 'denied'>;

  constructor(log: Logger, clock: Clock, refusals: RefusalLog, audit: Pick<AuditLog, 'denied'>) {
    this.#log = log;
    this.#clock = clock;
    this.#refusals = refusals;
    this.#audit = audit;
  }

  /** @param connection the id of the request that became a WebSocket */
  write(context: RequestContext, connection?: string): void {
    this.#audit.denied(context, connection);
    const refusal = refusalOf(context);
    if (refusal !== undefined && !this.#refusals.takes(refusal, context)) return;
    const { calls, operation, degraded, fallback, errorCode, id, span } = context;
    this.#log.info(
      {
        requestId: id,
        connection,
        traceId: span.traceId,
        durationMs: Math.round((this.#clock.monotonicMs() - context.startedMs) * 1000) / 1000,
        calls: calls.total,
        upstreams: calls.total === 0 ? undefined : Object.fromEntries(calls.sent),
        unsent: calls.unsent === 0 ? undefined : calls.unsent,
        cached: calls.cached === 0 ? undefined : calls.cached,
        operation: operation && { name: operation.name?.slice(0, maxName), hash: operation.hash, type: operation.type },
        error: errorCode,
        degraded: degraded?.length,
        fallback: fallback ? true : undefined,
      },
      'operation',
    );
  }
}
