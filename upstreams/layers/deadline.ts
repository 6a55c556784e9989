import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { endedHandle, Relay, type CallHandle, type ResponseSink, type UpstreamCall } from '#upstreams/call.ts';
import { deadlineExceeded } from '#upstreams/cancelled.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/**
 * Ends a call when its time is over: the least of the request's deadline and the `timeout` of the route or upstream, for
 * everything up to the final response head, retries included; for a buffered read, up to its last byte. A body that the
 * client is still sending stops the clock of the timeouts, since that time is the client's (`idleTimeout` watches it); the
 * client's own deadline it does not stop.
 */
export const deadline: Layer = {
  name: 'deadline',
  over: (upstream, next) => (call, sink) => {
    const now = upstream.surroundings.clock.monotonicMs();
    const request = call.stream?.kind === 'body' && !call.stream.request.complete ? call.stream.request : undefined;
    call.deadlineMs = request ? call.context.deadlineMs : allowed(upstream, call);
    if (call.deadlineMs <= now) {
      sink.onError(deadlineExceeded(upstream.name, call.context, upstream.surroundings.clock));
      return endedHandle;
    }
    // Below, a call that is shared gets a deadline of its own.
    const { deadlineMs } = call;
    const watch = new DeadlineWatch(upstream, call, sink);
    request?.once('end', () => {
      call.deadlineMs = allowed(upstream, call);
      watch.start(call.deadlineMs);
    });
    const handle = watch.follow(next(call, watch));
    // What has been answered by now, out of the store, needs no timer.
    watch.start(deadlineMs);
    return handle;
  },
};

function allowed({ settings, surroundings }: Upstream, call: UpstreamCall): number {
  return Math.min(call.context.deadlineMs, surroundings.clock.monotonicMs() + (call.timeoutMs ?? settings.timeout));
}

/** The longest that a timer takes; a client's deadline may be further off. */
const maxTimerMs = 2 ** 31 - 1;

class DeadlineWatch extends Relay {
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  #timer: NodeJS.Timeout | undefined;
  #handle: CallHandle | undefined;
  #over = false;

  constructor(upstream: Upstream, call: UpstreamCall, sink: ResponseSink) {
    super(sink);
    this.#upstream = upstream;
    this.#call = call;
  }

  start(deadlineMs: number): void {
    if (this.#over) return;
    clearTimeout(this.#timer);
    const leftMs = Math.ceil(deadlineMs - this.#upstream.surroundings.clock.monotonicMs());
    if (leftMs <= maxTimerMs) this.#timer = setTimeout(expire, leftMs, this);
  }

  follow(handle: CallHandle): CallHandle {
    this.#handle = handle;
    return handle;
  }

  expire(): void {
    this.#handle?.abort(deadlineExceeded(this.#upstream.name, this.#call.context, this.#upstream.surroundings.clock));
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  override onHead(status: number, headers: Headers): void {
    if (!this.#call.buffered) this.#stop();
    this.sink.onHead(status, headers);
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#stop();
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    this.#stop();
    this.sink.onError(error);
  }
}

function expire(watch: DeadlineWatch): void {
  watch.expire();
}
