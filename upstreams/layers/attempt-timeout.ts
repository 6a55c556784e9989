import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Span } from '#core/trace.ts';
import { Relay, type CallHandle, type ResponseSink, type UpstreamCall } from '#upstreams/call.ts';
import { forward } from '#upstreams/forwarding.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/**
 * One attempt: its span, the headers that are its own (trace, time left), and the time until its response head. Running
 * out of this time is the upstream's failure; running out of the deadline, which is checked above, may be the client's wish.
 */
export const attemptTimeout: Layer = {
  name: 'attempt-timeout',
  over: (upstream, next) => (call, sink) => {
    const span = call.span.child(call.method, 'client');
    if (span.sampled) describe(span, upstream, call);
    forward(call, span, upstream.surroundings);
    const watch = new AttemptWatch(upstream, call, span, sink);
    watch.start();
    return watch.follow(next(call, watch));
  },
};

function describe(span: Span, upstream: Upstream, call: UpstreamCall): void {
  const url = call.endpoint?.url;
  span.set('http.request.method', call.method);
  span.set('weir.upstream', upstream.name);
  span.set('server.address', url?.hostname ?? '');
  span.set('server.port', Number(url?.port) || (url?.protocol === 'https:' ? 443 : 80));
  span.set('url.path', call.path.split('?', 1)[0] ?? '');
}

class AttemptWatch extends Relay {
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  readonly #span: Span;
  #timer: NodeJS.Timeout | undefined;
  #handle: CallHandle | undefined;
  #ended = false;

  constructor(upstream: Upstream, call: UpstreamCall, span: Span, sink: ResponseSink) {
    super(sink);
    this.#upstream = upstream;
    this.#call = call;
    this.#span = span;
  }

  /** Not before the client has sent its body: until then the upstream cannot answer, and `idleTimeout` watches. */
  start(): void {
    const request = this.#call.stream?.kind === 'body' ? this.#call.stream.request : undefined;
    if (request && !request.complete) request.once('end', () => this.#arm());
    else this.#arm();
  }

  #arm(): void {
    if (!this.#ended) this.#timer = setTimeout(expire, this.#upstream.settings.attemptTimeout, this);
  }

  follow(handle: CallHandle): CallHandle {
    this.#handle = handle;
    return handle;
  }

  expire(): void {
    this.#handle?.abort(
      new WeirError('UPSTREAM_TIMEOUT', {
        detail: `'${this.#upstream.name}' did not answer within ${this.#upstream.settings.attemptTimeout} ms.`,
        upstream: this.#upstream.name,
      }),
    );
  }

  override onHead(status: number, headers: Headers): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    if (this.#span.sampled) {
      this.#span.set('http.response.status_code', status);
      if (status >= 400) this.#span.fail(`status ${status}`);
    }
    this.sink.onHead(status, headers);
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#span.end();
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    if (this.#span.sampled) {
      this.#span.set('error.type', error.code);
      this.#span.fail(error.code);
    }
    this.#span.end();
    this.sink.onError(error);
  }
}

function expire(watch: AttemptWatch): void {
  watch.expire();
}
