import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { createProxyMiddleware, type RequestHandler } from 'http-proxy-middleware';
import { WeirError } from '#core/errors.ts';
import { connectionTokens, hopByHop, type Headers } from '#core/headers.ts';
import type { CallHandle, ResponseSink, Send, UpstreamCall } from '#upstreams/call.ts';
import type { Endpoint } from '#upstreams/endpoint.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { broken, stopped, wireFailure } from './failure.ts';

/**
 * The streaming form: http-proxy-middleware carries request bodies of any size, with backpressure, and upgrades. It is
 * given a request that holds nothing but what the call says, and its answers come back through the same sink as the other
 * form's, so that everything above treats both alike.
 */
export function streamer(upstream: Upstream): Send {
  /** By client request, since the library's events name nothing else. */
  const running = new WeakMap<IncomingMessage, Streamed>();
  const proxies = new WeakMap<Endpoint, RequestHandler>();
  return (call, sink) => {
    const stream = call.stream!;
    const endpoint = call.endpoint!;
    const { request } = stream;
    let proxy = proxies.get(endpoint);
    if (!proxy) {
      proxy = proxyTo(endpoint, running);
      proxies.set(endpoint, proxy);
    }
    const exchange = new Streamed(upstream, call, sink);
    running.set(request, exchange);
    // The library would read it as a URL, which not every path is; it gets the path from the exchange.
    request.url = '/';
    // A copy: the library adds a length of its own to methods that usually have no body.
    request.headers = { ...call.headers };
    if (stream.kind === 'body') {
      const declined = (error?: unknown) =>
        exchange.onFailure(error instanceof Error ? error : new Error('not proxied'));
      proxy(request, stream.response, declined).catch(declined);
    } else {
      // The library passes an upgrade on only if the request says so itself; the fields are hop-by-hop, hence made anew.
      request.headers.connection = 'upgrade';
      request.headers.upgrade = 'websocket';
      proxy.upgrade(request, stream.socket, stream.head);
    }
    return exchange;
  };
}

/** One instance an endpoint, since target and agent are its options. Its own plugins, which answer errors, are left out. */
function proxyTo(endpoint: Endpoint, running: WeakMap<IncomingMessage, Streamed>): RequestHandler {
  return createProxyMiddleware({
    target: endpoint.origin,
    agent: endpoint.connections.agent,
    changeOrigin: true,
    selfHandleResponse: true,
    ejectPlugins: true,
    pathRewrite: (_path, request) => running.get(request)?.path,
    plugins: [
      (server) => {
        server.on('proxyReq', (outgoing, request) => running.get(request)?.onRequest(outgoing));
        server.on('proxyRes', (answer, request) => running.get(request)?.onAnswer(answer));
        server.on('proxyReqWs', (outgoing, request) => running.get(request)?.onUpgradeRequest(outgoing));
        server.on('error', (error, request) => request && running.get(request)?.onFailure(error));
        server.on('econnreset', (error, request) => running.get(request)?.onFailure(error));
      },
    ],
  });
}

class Streamed implements CallHandle {
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  readonly #sink: ResponseSink;
  #outgoing: ClientRequest | undefined;
  #answer: IncomingMessage | undefined;
  #peer: Socket | undefined;
  #reason: WeirError | undefined;
  #paused = false;
  #ended = false;

  constructor(upstream: Upstream, call: UpstreamCall, sink: ResponseSink) {
    this.#upstream = upstream;
    this.#call = call;
    this.#sink = sink;
  }

  get path(): string {
    return this.#call.path;
  }

  /** A socket is there, perhaps still connecting; nothing has been written. */
  onRequest(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    if (this.#reason) {
      outgoing.destroy();
      return;
    }
    // Node frames only the methods that usually have a body (RFC 9112 §6.3): DELETE's would go out without any.
    if (this.#call.headers['content-length'] === undefined) {
      outgoing.removeHeader('content-length');
      outgoing.setHeader('transfer-encoding', 'chunked');
    }
    this.#watch(outgoing);
    outgoing.once('pipe', (request) => this.#begin(request));
    outgoing.on('information', ({ statusCode, headers }) => {
      if (!this.#ended) this.#sink.onInformation(statusCode, headers);
    });
  }

  /** The body begins. A length that was announced has been checked already; one that was not is counted as it comes. */
  #begin(request: Readable): void {
    const { stream } = this.#call;
    if (stream?.kind !== 'body') return;
    stream.invite();
    let left = stream.maxBytes;
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      this.#call.context.requestBytes += chunk.length;
      if (left < 0)
        this.abort(new WeirError('BODY_TOO_LARGE', { detail: `The body may have at most ${stream.maxBytes} bytes.` }));
    });
  }

  onUpgradeRequest(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    if (this.#reason) {
      outgoing.destroy();
      return;
    }
    if (outgoing.socket) this.#watch(outgoing);
    else outgoing.once('socket', () => this.#watch(outgoing));
    // The library listens too, from the end of this event on, to write the upstream's head to the client as it is.
    process.nextTick(() => outgoing.removeAllListeners('response').once('response', (answer) => this.onAnswer(answer)));
    outgoing.prependOnceListener('upgrade', (answer, socket) => this.#onUpgraded(answer, socket));
  }

  #watch(outgoing: ClientRequest): void {
    const { connectTimeout, idleTimeout } = this.#upstream.settings;
    const { socket } = outgoing;
    if (socket?.connecting) {
      const timer = setTimeout(() => outgoing.destroy(new Error('connect timeout')), connectTimeout);
      const stop = () => clearTimeout(timer);
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', stop);
      outgoing.once('close', stop);
    }
    outgoing.on('timeout', () => this.#onIdle(outgoing));
    outgoing.setTimeout(idleTimeout);
    // Node says no more than this where the upstream switches to a protocol that nobody asked for.
    outgoing.once('close', () => {
      if (!this.#answer) this.#fail(broken(this.#upstream.name, new Error('closed without an answer'), false));
    });
  }

  /** Nothing has moved for `idleTimeout`, which is the fault of whoever's turn it was. */
  #onIdle(outgoing: ClientRequest): void {
    const { stream } = this.#call;
    const uploading = stream?.kind === 'body' && !stream.request.readableEnded;
    if (uploading && !outgoing.writableNeedDrain) {
      this.abort(new WeirError('REQUEST_TIMEOUT', { headers: { connection: 'close' } }));
    } else if (uploading || (this.#answer && !this.#paused)) {
      this.#fail(stopped(this.#upstream.name));
    }
    // Else the head is awaited, for which there are other timeouts, or the client does not read.
  }

  onAnswer(answer: IncomingMessage): void {
    if (this.#ended) {
      answer.destroy();
      return;
    }
    const status = answer.statusCode ?? 0;
    // RFC 9110 §15: Node's parser takes any number, and its server throws at those that are no status.
    if (status < 200 || status > 999) {
      this.#fail(broken(this.#upstream.name, new Error(`status ${status}`), false));
      return;
    }
    this.#answer = answer;
    answer.on('data', (chunk: Buffer) => {
      if (!this.#ended) this.#sink.onData(chunk);
    });
    answer.on('end', () => {
      // `end` also comes when the connection closed early; only `complete` says that the framing was kept.
      if (this.#ended || !answer.complete) return;
      this.#ended = true;
      this.#sink.onEnd(Object.keys(answer.trailers).length > 0 ? answer.trailers : undefined);
    });
    answer.on('error', (error) => this.onFailure(error));
    answer.on('close', () => this.onFailure(new Error('closed before the end')));
    this.#sink.onHead(status, answer.headers);
  }

  #onUpgraded(answer: IncomingMessage, peer: Socket): void {
    const { stream } = this.#call;
    if (this.#ended || stream?.kind !== 'upgrade') {
      peer.destroy();
      return;
    }
    this.#answer = answer;
    this.#peer = peer;
    const headers = upgradeHeaders(answer.headers);
    this.#sink.onHead(101, headers);
    answer.headers = stream.switching(headers);
    // Once the library has joined the sockets, for which it takes their timeouts away.
    process.nextTick(() => peer.setTimeout(this.#upstream.settings.idleTimeout, () => peer.destroy()));
    // A pipe hands on an orderly end only; a connection that breaks must break the other.
    stream.socket.once('close', () => peer.destroy());
    peer.once('close', () => {
      stream.socket.destroySoon();
      if (this.#ended) return;
      this.#ended = true;
      this.#sink.onEnd(undefined);
    });
  }

  onFailure(error: Error): void {
    this.#fail(
      this.#clientGone()
        ? new WeirError('CLIENT_CLOSED_REQUEST')
        : wireFailure(this.#upstream.name, error, this.#answer !== undefined),
    );
  }

  #fail(error: WeirError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#outgoing?.destroy();
    this.#sink.onError(error);
  }

  /** The library reports the client's broken connection as it does the upstream's. */
  #clientGone(): boolean {
    const { stream } = this.#call;
    return stream?.kind === 'body'
      ? stream.request.destroyed && !stream.request.complete
      : stream?.socket.destroyed === true;
  }

  pause(): void {
    this.#paused = true;
    this.#answer?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#answer?.resume();
  }

  abort(reason: WeirError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason = reason;
    this.#outgoing?.destroy();
    this.#peer?.destroy();
    // Once two sockets are joined, that one side leaves is how it ends.
    if (this.#peer) this.#sink.onEnd(undefined);
    else this.#sink.onError(reason);
  }
}

/** Of a 101: the handshake's own fields, and end-to-end ones (RFC 6455 §4.2.2). */
function upgradeHeaders(received: Headers): Headers {
  const named = new Set(connectionTokens(received.connection));
  const headers: Headers = { connection: 'Upgrade', upgrade: 'websocket' };
  for (const name in received) {
    if (!hopByHop.has(name) && !named.has(name)) headers[name] = received[name];
  }
  return headers;
}
