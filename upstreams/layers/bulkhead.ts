import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { endedHandle, Relay, type ResponseSink } from '#upstreams/call.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/** Bounds the calls in flight to one upstream, so that a slow one cannot take the gateway's memory and sockets with it. */
export const bulkhead: Layer = {
  name: 'bulkhead',
  over: (upstream, next) => (call, sink) => {
    if (call.pinned) return next(call, sink);
    if (upstream.inFlight >= upstream.settings.maxInFlight) {
      sink.onError(new WeirError('UPSTREAM_OVERLOADED', { upstream: upstream.name, retryAfterS: 1 }));
      return endedHandle;
    }
    upstream.inFlight++;
    return next(call, new Leave(upstream, sink));
  },
};

class Leave extends Relay {
  readonly #upstream: Upstream;

  constructor(upstream: Upstream, sink: ResponseSink) {
    super(sink);
    this.#upstream = upstream;
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#upstream.inFlight--;
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    this.#upstream.inFlight--;
    this.sink.onError(error);
  }
}
