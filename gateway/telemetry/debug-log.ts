import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { DebugFields, DebugLog } from '#core/debug.ts';
import type { TelemetryLog } from './log.ts';
import { bounded, redactFields, redactHeaders, redactTarget } from './redaction.ts';

/** What is asked to be seen: requests of these routes, of these consumers, of these traces. */
export interface DebugTargets {
  readonly routes: ReadonlySet<string>;
  readonly consumers: ReadonlySet<string>;
  readonly traces: ReadonlySet<string>;
  /** Headers that carry credentials by names of the configuration's own, in lower case. */
  readonly secretHeaders: ReadonlySet<string>;
}

/** Lines in a second; what is beyond is counted. */
const linesPerS = 100;
const maxPath = 1024;

/**
 * The lines of level `debug` that an operator asked for, whatever `telemetry.log` says. A target that turns out to be busy
 * costs a hundred lines a second, not the gateway.
 */
export class RequestDebugLog implements DebugLog {
  on = false;
  readonly #log: TelemetryLog;
  readonly #clock: Clock;
  #targets: DebugTargets | undefined;
  #secondMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #left = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: TelemetryLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** From now on these, and no others. */
  look(targets: DebugTargets): void {
    this.#targets = targets;
    this.on = targets.routes.size + targets.consumers.size + targets.traces.size > 0;
  }

  wants({ route, identity, span }: RequestContext): boolean {
    const targets = this.#targets;
    if (!targets) return false;
    return (
      (route !== undefined && targets.routes.has(route.name)) ||
      targets.consumers.has(identity.consumer) ||
      targets.traces.has(span.traceId)
    );
  }

  write({ id, span }: RequestContext, { headers, path, ms, ...fields }: DebugFields, message: string): void {
    if (!this.#hasLine()) return;
    this.#log.asked(
      {
        requestId: id,
        traceId: span.traceId,
        ...redactFields(fields),
        path: path === undefined ? undefined : bounded(redactTarget(path), maxPath),
        ms: typeof ms === 'number' ? Math.round(ms * 1000) / 1000 : undefined,
        headers: headers && redactHeaders(headers, this.#targets?.secretHeaders),
      },
      message,
    );
  }

  /** Says how many lines were left out, now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#left > 0) this.#log.asked({ count: this.#left }, 'debug lines left out');
    this.#left = 0;
  }

  #hasLine(): boolean {
    const now = this.#clock.monotonicMs();
    if (now - this.#secondMs >= 1_000) {
      this.#secondMs = now;
      this.#lines = 0;
    }
    if (this.#lines++ < linesPerS) return true;
    this.#left++;
    this.#timer ??= setTimeout(() => this.flush(), 1_000).unref();
    return false;
  }
}

/** A request that has passed all stages, as it came. */
export function debugRequest(debug: DebugLog, context: RequestContext): void {
  if (!debug.wants(context)) return;
  const { method, target, headers, route, identity, clientIp, host } = context;
  debug.write(
    context,
    {
      route: route?.name,
      door: route?.door,
      method,
      path: target,
      host,
      clientIp,
      consumer: identity.consumer,
      headers,
    },
    'debug request',
  );
}

/** Its end, or that of one that did not pass. */
export function debugAnswer(debug: DebugLog, context: RequestContext, durationMs: number): void {
  if (!debug.wants(context)) return;
  const { method, target, route, reply, errorCode, calls } = context;
  debug.write(
    context,
    {
      route: route?.name,
      method,
      path: target,
      status: reply.status,
      error: errorCode,
      calls: calls.total,
      ms: durationMs,
      headers: reply.sent ?? reply.headers,
    },
    'debug answer',
  );
}
