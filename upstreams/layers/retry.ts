import { WeirError } from '#core/errors.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import type { CallHandle, ResponseSink, Send, UpstreamCall } from '#upstreams/call.ts';
import { wasNeverSent, wasStale } from '#upstreams/exchange/failure.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/** RFC 9110 §9.2.2, less TRACE and CONNECT, which are never forwarded. */
const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/**
 * Tries again what can be tried safely: requests whose body is held, as long as nothing of an answer has gone to the caller;
 * of idempotent methods whatever failed, of others only what was never sent, since nobody can say whether the upstream has
 * done the rest (RFC 9110 §9.2.2). Waits with exponential backoff and full jitter, or as the upstream's `Retry-After` says
 * if the deadline leaves that long, and not at all after a connection that was merely stale; only while the retry budget
 * lasts.
 */
export const retry: Layer = {
  name: 'retry',
  over: (upstream, next) => {
    const on = new Set(upstream.settings.retry.on);
    return (call, sink) => {
      if (call.pinned || call.mirrored) return next(call, sink);
      upstream.retryBudget.earn();
      if (upstream.settings.retry.attempts === 0 || call.stream) return next(call, sink);
      const attempts = new Attempts(upstream, on, next, call, sink);
      attempts.start();
      return attempts;
    };
  },
};

class Attempts implements ResponseSink, CallHandle {
  readonly #upstream: Upstream;
  readonly #on: ReadonlySet<number>;
  readonly #next: Send;
  readonly #call: UpstreamCall;
  readonly #sink: ResponseSink;
  readonly #idempotent: boolean;
  #handle: CallHandle | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retries = 0;
  /** The answer's head has gone to the caller: no more retries. */
  #committed = false;
  /** A failed answer is being thrown away; its end is of no interest. */
  #discarding = false;
  #ended = false;

  constructor(upstream: Upstream, on: ReadonlySet<number>, next: Send, call: UpstreamCall, sink: ResponseSink) {
    this.#upstream = upstream;
    this.#on = on;
    this.#next = next;
    this.#call = call;
    this.#sink = sink;
    this.#idempotent = idempotent.has(call.method);
  }

  start(): void {
    this.#timer = undefined;
    this.#discarding = false;
    const handle = this.#next(this.#call, this);
    // An attempt that failed before `next` returned may already have been followed by another.
    if (!this.#timer && !this.#ended) this.#handle = handle;
  }

  #again(failure: number | string, retryAfterMs: number | undefined): boolean {
    const { settings, surroundings, retryBudget } = this.#upstream;
    if (this.#retries >= settings.retry.attempts) return this.#refused(failure, 'no attempt is left');
    const ceiling = Math.min(settings.retry.maxBackoff, settings.retry.backoff * 2 ** this.#retries);
    const waitMs = retryAfterMs ?? Math.random() * ceiling;
    if (surroundings.clock.monotonicMs() + waitMs >= this.#call.deadlineMs)
      return this.#refused(failure, 'the deadline comes first');
    if (!retryBudget.spend()) return this.#refused(failure, 'the retry budget is spent');
    this.#tell({ after: failure, waitMs }, 'retry');
    this.#retries++;
    this.#upstream.retries++;
    this.#handle = undefined;
    this.#timer = setTimeout(startAgain, waitMs, this);
    return true;
  }

  onInformation(status: number, headers: Headers): void {
    this.#sink.onInformation(status, headers);
  }

  onHead(status: number, headers: Headers): void {
    if (this.#idempotent && this.#on.has(status)) {
      const handle = this.#handle;
      if (this.#again(status, retryAfter(headers, this.#upstream.surroundings.clock.epochMs()))) {
        this.#discarding = true;
        handle?.abort(superseded);
        return;
      }
    }
    this.#committed = true;
    this.#sink.onHead(status, headers);
  }

  onData(chunk: Buffer): void {
    if (!this.#discarding) this.#sink.onData(chunk);
  }

  onEnd(trailers: Headers | undefined): void {
    if (this.#discarding) return;
    this.#ended = true;
    this.#sink.onEnd(trailers);
  }

  onError(error: WeirError): void {
    if (this.#discarding) return;
    if (!this.#committed && this.#retryable(error) && this.#again(error.code, wasStale(error) ? 0 : undefined)) return;
    this.#ended = true;
    this.#sink.onError(error);
  }

  #refused(failure: number | string, why: string): false {
    this.#tell({ after: failure, why }, 'no retry');
    return false;
  }

  /** For an operator who asked for it. */
  #tell(fields: object, message: string): void {
    const { debug, name } = this.#upstream;
    const { context } = this.#call;
    if (debug.on && debug.wants(context)) debug.write(context, { upstream: name, ...fields }, message);
  }

  #retryable(error: WeirError): boolean {
    if (!this.#idempotent) return wasNeverSent(error);
    switch (error.code) {
      case 'UPSTREAM_UNREACHABLE':
        // Where no address is known, there is none in a moment either.
        return this.#call.endpoint !== undefined;
      case 'UPSTREAM_BAD_RESPONSE':
      case 'UPSTREAM_TIMEOUT':
        return this.#on.has(error.status);
      default:
        return false;
    }
  }

  pause(): void {
    this.#handle?.pause();
  }

  resume(): void {
    this.#handle?.resume();
  }

  abort(reason: WeirError): void {
    if (this.#ended) return;
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#ended = true;
      this.#sink.onError(reason);
    } else {
      this.#handle?.abort(reason);
    }
  }
}

const superseded = new WeirError('UPSTREAM_ERROR', { detail: 'The attempt is followed by another.' });

function startAgain(attempts: Attempts): void {
  attempts.start();
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfter(headers: Headers, nowMs: number): number | undefined {
  const value = firstValue(headers['retry-after']);
  if (value === undefined) return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}
