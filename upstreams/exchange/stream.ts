import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { toWeirError, WeirError } from '#core/errors.ts';
import type { CallHandle, ResponseSink, Send, UpstreamCall } from '#upstreams/call.ts';
import type { Endpoint } from '#upstreams/endpoint.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { broken, misframed, stopped, wireFailure } from './failure.ts';
import { carry, proxy, type Proxied } from './proxy.ts';
import { BrokenAnswer, inspect, maxInterim } from './status-line.ts';
import { policyViolation, Tunnel } from './tunnel.ts';
import { isWebSocket, takeOver, upgradeHeaders } from './upgrade.ts';

/**
 * The streaming form: http-proxy-middleware carries request bodies of any size, with backpressure, and upgrades. It is
 * given a request that holds nothing but what the call says, and its answers come back through the same sink as the other
 * form's, so that everything above treats both alike.
 */
export function streamer(upstream: Upstream): Send {
  return (call, sink) => {
    const stream = call.stream!;
    const { request } = stream;
    const exchange = new Streamed(upstream, call, sink);
    carry(request, exchange);
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

/** Fields that Node's client reads of one answer. */
const maxFields = 1000;

class Streamed implements CallHandle, Proxied {
  readonly path: string;
  readonly endpoint: Endpoint;
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  readonly #sink: ResponseSink;
  #outgoing: ClientRequest | undefined;
  #answer: IncomingMessage | undefined;
  #tunnel: Tunnel | undefined;
  #reason: WeirError | undefined;
  /** Something of an answer has come. */
  #heard = false;
  #interim = 0;
  #paused = false;
  #ended = false;

  constructor(upstream: Upstream, call: UpstreamCall, sink: ResponseSink) {
    this.path = call.path;
    this.endpoint = call.endpoint!;
    this.#upstream = upstream;
    this.#call = call;
    this.#sink = sink;
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
    takeOver(outgoing, {
      onAnswer: (answer) => this.onAnswer(answer),
      onUpgraded: (answer) => this.#onUpgraded(answer),
      onJoined: (client, peer) => this.#onJoined(client, peer),
    });
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
    if (socket) {
      const close = inspect(socket, (http) => {
        this.#heard = true;
        if (!http) this.#break('is not HTTP/1.1 or HTTP/1.0');
      });
      outgoing.once('close', close);
    }
    outgoing.on('information', ({ statusCode, headers }) => {
      if (this.#ended) return;
      if (++this.#interim > maxInterim) this.#break('never comes to an end of 1xx');
      else this.#sink.onInformation(statusCode, headers);
    });
    outgoing.on('timeout', () => this.#onIdle(outgoing));
    outgoing.setTimeout(idleTimeout);
    // Node says no more than this where the upstream switches to a protocol that nobody asked for.
    outgoing.once('close', () => {
      if (!this.#answer) this.#break('switches to what nobody asked for');
    });
  }

  /** Something of it has left the gateway. */
  get #sent(): boolean {
    const socket = this.#outgoing?.socket;
    return socket?.connecting === false && socket.bytesWritten > 0;
  }

  #break(what: string): void {
    this.#fail(broken(this.#upstream.name, new BrokenAnswer(`The answer ${what}.`), this.#answer !== undefined));
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
    this.#call.tally?.sent();
    const status = answer.statusCode ?? 0;
    // RFC 9110 §15: Node's parser takes any number, and its server throws at those that are no status.
    if (status < 200 || status > 999) {
      this.#break(`has the status ${status}`);
      return;
    }
    const unreadable = misframed(answer.headers, answer.httpVersion);
    if (unreadable) {
      this.#fail(broken(this.#upstream.name, unreadable, false));
      return;
    }
    // Node drops what is above its number of fields without a word, and among it may be what says how to treat the others.
    if (answer.rawHeaders.length >= 2 * maxFields) {
      this.#break('has too many fields');
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
    answer.on('close', () => this.#onFailure(new Error('closed before the end')));
    try {
      this.#sink.onHead(status, answer.headers);
    } catch (error) {
      // A head that one parser lets pass and no writer does; undici bears the same.
      this.#onFailure(toWeirError(error));
    }
  }

  /** @returns the client's socket, if it is to be joined with the upstream's */
  #onUpgraded(answer: IncomingMessage): Socket | undefined {
    const { stream } = this.#call;
    if (this.#ended || stream?.kind !== 'upgrade') return undefined;
    if (!isWebSocket(answer.headers, this.#call.headers)) {
      this.#break('switches to what nobody asked for');
      return undefined;
    }
    this.#answer = answer;
    this.#call.tally?.sent();
    const headers = upgradeHeaders(answer.headers);
    this.#sink.onHead(101, headers);
    answer.headers = stream.switching(headers, () => this.#tunnel?.leave());
    // The library writes them as text, and they are octets (RFC 9110 §5.5).
    stream.socket.setDefaultEncoding('latin1');
    return stream.socket;
  }

  #onJoined(client: Socket, peer: Socket): void {
    this.#tunnel = new Tunnel(client, peer, this.#upstream.settings.idleTimeout);
    peer.once('close', () => {
      if (this.#ended) return;
      this.#ended = true;
      this.#sink.onEnd(undefined);
    });
  }

  onFailure(error: Error): void {
    // What the connection still meets after a whole answer, such as bytes that belong to none, is not the answer's fault;
    // it may only not have been read to its end yet.
    if (this.#answer?.complete && !this.#clientGone()) return;
    this.#onFailure(error);
  }

  #onFailure(error: Error): void {
    if (this.#ended) return;
    const outgoing = this.#outgoing;
    this.#fail(
      this.#clientGone()
        ? new WeirError('CLIENT_CLOSED_REQUEST')
        : wireFailure(this.#upstream.name, error, {
            sent: this.#sent,
            reused: outgoing?.reusedSocket ?? false,
            heard: this.#answer ? 'head' : this.#heard ? 'something' : 'nothing',
          }),
    );
  }

  #fail(error: WeirError): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#sent) this.#call.tally?.sent();
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
    this.#reason = reason;
    const clients = reason.fault === 'client' && reason.code !== 'CLIENT_CLOSED_REQUEST';
    if (this.#tunnel && clients) {
      // What it may no longer have; it ends when the sockets do.
      this.#tunnel.leave(policyViolation);
      return;
    }
    this.#ended = true;
    if (this.#sent) this.#call.tally?.sent();
    this.#outgoing?.destroy();
    this.#tunnel?.cut();
    // Once two sockets are joined, that one side leaves is how it ends.
    if (this.#tunnel) this.#sink.onEnd(undefined);
    else this.#sink.onError(reason);
  }
}
