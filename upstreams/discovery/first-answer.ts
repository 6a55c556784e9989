import { WeirError } from '#core/errors.ts';
import type { CallHandle, ResponseSink, Send, UpstreamCall } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/**
 * A call to an upstream whose addresses are not known yet: it waits for the first answer of discovery, at most for
 * `connectTimeout`, since finding an address is part of connecting. The bulkhead has counted it, so no more than
 * `maxInFlight` wait. Where there is no answer it fails; nothing was asked, so that is no verdict on anybody.
 */
export class FirstAnswer implements CallHandle {
  readonly #upstream: Upstream;
  readonly #send: Send;
  readonly #call: UpstreamCall;
  readonly #sink: ResponseSink;
  readonly #leave: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #handle: CallHandle | undefined;
  #ended = false;

  constructor(upstream: Upstream, send: Send, call: UpstreamCall, sink: ResponseSink) {
    this.#upstream = upstream;
    this.#send = send;
    this.#call = call;
    this.#sink = sink;
    this.#leave = upstream.discovery.onFirst(() => this.#go());
    if (this.#leave) this.#timer = setTimeout(() => this.#go(), upstream.settings.connectTimeout);
    else this.#go();
  }

  #go(): void {
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#leave?.();
    this.#ended = true;
    const { endpoints, name } = this.#upstream;
    if (endpoints.length > 0) this.#handle = this.#send(this.#call, this.#sink);
    else
      this.#sink.onError(
        new WeirError('UPSTREAM_UNREACHABLE', { detail: `No address of '${name}' is known.`, upstream: name }),
      );
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
      clearTimeout(this.#timer);
      this.#leave?.();
      this.#sink.onError(reason);
    }
  }
}
