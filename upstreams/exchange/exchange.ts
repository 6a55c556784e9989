import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { Relay, type CallHandle, type ResponseSink, type Send, type UpstreamCall } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { dispatch } from './dispatch.ts';
import { streamer } from './stream.ts';

/**
 * The lowest layer: puts a call on the wire. Two forms behind one interface: undici `dispatch` for what is held whole,
 * http-proxy-middleware for bodies too large to hold and for upgrades. Both take their connection from one budget.
 */
export function exchange(upstream: Upstream): Send {
  const stream = streamer(upstream);
  const form: Send = (call, sink) => (call.stream ? stream(call, sink) : dispatch(upstream, call, sink));
  return (call, sink) => {
    // A health check must not fail because calls have taken all connections.
    if (call.pinned) return form(call, sink);
    if (upstream.slots.take()) return form(call, new Occupied(upstream, sink));
    return new Queued(upstream, form, call, sink);
  };
}

/** Gives the slot back when the exchange has ended. */
class Occupied extends Relay {
  readonly #upstream: Upstream;

  constructor(upstream: Upstream, sink: ResponseSink) {
    super(sink);
    this.#upstream = upstream;
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#upstream.slots.release();
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    this.#upstream.slots.release();
    this.sink.onError(error);
  }
}

/** Waits for a connection; the attempt's time goes on meanwhile, but that it runs out here is not the upstream's failure. */
class Queued implements CallHandle {
  readonly #upstream: Upstream;
  readonly #sink: ResponseSink;
  readonly #leave: () => void;
  #handle: CallHandle | undefined;
  #ended = false;

  constructor(upstream: Upstream, form: Send, call: UpstreamCall, sink: ResponseSink) {
    this.#upstream = upstream;
    this.#sink = sink;
    this.#leave = upstream.slots.wait(() => {
      this.#handle = form(call, new Occupied(upstream, sink));
    });
  }

  pause(): void {
    this.#handle?.pause();
  }

  resume(): void {
    this.#handle?.resume();
  }

  abort(reason: WeirError): void {
    if (this.#handle) {
      this.#handle.abort(reason);
    } else if (!this.#ended) {
      this.#ended = true;
      this.#leave();
      this.#sink.onError(
        reason.code === 'UPSTREAM_TIMEOUT'
          ? new WeirError('UPSTREAM_OVERLOADED', { upstream: this.#upstream.name, retryAfterS: 1 })
          : reason,
      );
    }
  }
}
