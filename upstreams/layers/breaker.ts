import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Admission } from '#upstreams/breaker.ts';
import { endedHandle, Relay, type CallHandle, type ResponseSink, type UpstreamCall } from '#upstreams/call.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { convincedAfterBytes, isEndless, isFailure } from '#upstreams/verdict.ts';

/**
 * Refuses calls to an upstream that keeps failing. What counts is what the upstream did: `breaker.on` statuses, attempt
 * timeouts, lost connections, broken bodies. A client's own deadline or its leaving counts as nothing, or clients could
 * open it. While half-open no more probes are under way than it takes to close, and everyone else is refused at once. A probe
 * whose client leaves runs on to its end, so that impatient clients cannot keep the upstream from being judged; one that
 * lives on the client's own stream ends with it, without a verdict.
 */
export const breaker: Layer = {
  name: 'breaker',
  over: (upstream, next) => {
    const failing = new Set(upstream.settings.breaker.on);
    return (call, sink) => {
      if (call.pinned) return next(call, sink);
      const admission = upstream.breaker.admit();
      if (admission === undefined) {
        tell(upstream, call, 'refused');
        sink.onError(resting(upstream));
        return endedHandle;
      }
      const verdict = new Verdict(upstream, failing, call, admission, sink);
      return verdict.follow(next(call, verdict));
    };
  },
};

/** For an operator who asked for it. */
function tell(upstream: Upstream, { context }: UpstreamCall, verdict: string): void {
  const { breaker: own, debug, name } = upstream;
  if (!debug.on || !debug.wants(context)) return;
  debug.write(context, { upstream: name, verdict, state: own.state, forced: own.forced }, 'breaker');
}

function resting(upstream: Upstream): WeirError {
  return new WeirError('UPSTREAM_UNAVAILABLE', {
    upstream: upstream.name,
    retryAfterS: Math.max(1, Math.ceil(upstream.breaker.restMs / 1000)),
  });
}

/** The outcome of one call as the breaker sees it, beside the answer's way to the caller. */
class Verdict extends Relay implements CallHandle {
  readonly #upstream: Upstream;
  readonly #failing: ReadonlySet<number>;
  readonly #call: UpstreamCall;
  readonly #admission: Admission;
  #handle: CallHandle = endedHandle;
  #decided = false;
  /** The caller has left; a probe runs on for its verdict alone. */
  #left = false;
  #bytes = 0;

  constructor(
    upstream: Upstream,
    failing: ReadonlySet<number>,
    call: UpstreamCall,
    admission: Admission,
    sink: ResponseSink,
  ) {
    super(sink);
    this.#upstream = upstream;
    this.#failing = failing;
    this.#call = call;
    this.#admission = admission;
  }

  follow(handle: CallHandle): CallHandle {
    this.#handle = handle;
    return this;
  }

  #decide(success: boolean | undefined): void {
    if (this.#decided) return;
    this.#decided = true;
    this.#upstream.breaker.judge(this.#admission, success);
    tell(this.#upstream, this.#call, success === undefined ? 'none' : success ? 'success' : 'failure');
  }

  pause(): void {
    this.#handle.pause();
  }

  resume(): void {
    this.#handle.resume();
  }

  abort(reason: WeirError): void {
    if (this.#left) return;
    if (!this.#decided && !this.#call.stream && this.#upstream.breaker.probes(this.#admission)) {
      this.#left = true;
      this.#handle.resume();
      this.sink.onError(reason);
    } else {
      this.#handle.abort(reason);
    }
  }

  override onInformation(status: number, headers: Headers): void {
    if (!this.#left) this.sink.onInformation(status, headers);
  }

  override onHead(status: number, headers: Headers): void {
    if (this.#failing.has(status)) this.#decide(false);
    else if (isEndless(status, headers)) this.#decide(true);
    if (!this.#left) this.sink.onHead(status, headers);
    else if (this.#decided) this.#handle.abort(gone);
  }

  override onData(chunk: Buffer): void {
    if (!this.#decided) {
      this.#bytes += chunk.length;
      if (this.#bytes > convincedAfterBytes) this.#decide(true);
    }
    if (!this.#left) this.sink.onData(chunk);
    else if (this.#decided) this.#handle.abort(gone);
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#decide(true);
    if (!this.#left) this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    // Where no address is known, nobody was asked.
    this.#decide(isFailure(error) && this.#call.endpoint ? false : undefined);
    if (!this.#left) this.sink.onError(error);
  }
}

const gone = new WeirError('CLIENT_CLOSED_REQUEST');
