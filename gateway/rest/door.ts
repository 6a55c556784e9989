import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestContext } from '#core/context.ts';
import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Reply } from '#core/reply.ts';
import type { ResponseSample } from '#policies/validation/response-sample.ts';
import { closeToOthers } from '#upstreams/cache/private.ts';
import { newCall, type CallHandle, type ClientStream, type ResponseSink } from '#upstreams/call.ts';
import { replyWithError } from '#gateway/http/error-reply.ts';
import { invite } from '#gateway/http/expectation.ts';
import { sendWithFallback } from './fallback.ts';
import { announcedTrailers, endToEnd, requestHeaders, responseHeaders, responseTrailers } from './headers.ts';
import type { RouteVersion } from '#gateway/routing/table.ts';
import { allowedCookies } from './cookies.ts';
import type { RestRoute } from './route.ts';
import { TransformedAnswer, transformRequest } from './transform/bodies.ts';

/** Passes a request on to its route's upstream, and the answer back as it comes. */
export function passThrough(
  context: RequestContext,
  route: RestRoute,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const streamed = context.body === undefined && context.incoming.length !== 0;
  const stream: ClientStream | undefined = streamed
    ? { kind: 'body', request, response, maxBytes: route.maxBodyBytes, invite: () => invite(context.headers, response) }
    : undefined;
  send(context, route, stream);
}

/** The same for a WebSocket: after the upstream's 101 the two sockets are joined, and `switched` says so. */
export function passUpgrade(
  context: RequestContext,
  route: RestRoute,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  switched: (leave: () => void) => void,
): void {
  const switching = (received: Headers, leave: () => void) => {
    context.sustained = true;
    switched(leave);
    const { connection, upgrade } = received;
    return { connection, upgrade, ...responseHeaders(context, received), ...context.reply.headers };
  };
  send(context, route, { kind: 'upgrade', request, socket, head, switching });
}

function send(context: RequestContext, route: RestRoute, stream: ClientStream | undefined): void {
  const headers = requestHeaders(context, stream?.kind === 'body');
  const { upstream, labels, transform: between, cache, fallback: standIn } = route.targetFor(context);
  const { cookies } = upstream.settings;
  const cookie = cookies.length > 0 ? allowedCookies(context.headers.cookie as string | undefined, cookies) : undefined;
  if (cookie !== undefined) headers.cookie = cookie;
  const { transform } = route;
  const body = transform?.requestBody ? transformRequest(transform.requestBody, context) : context.body;
  // A range would be one of the bytes before they are changed (RFC 9110 §14.2).
  if (transform?.responseBody) delete headers.range;
  transform?.requestHeaders?.apply(headers, context);
  const { version } = route.criteria;
  version?.group.towardsUpstream(headers);
  const target = route.targetOf(context);
  const call = newCall(context, context.method, target, headers, {
    body,
    stream,
    timeoutMs: route.timeoutMs,
    cache,
    labels,
    transform: between,
    shows: transform?.requestHeaders?.shows,
    keyed: transform?.requestHeaders?.keyed,
  });
  if (stream?.kind !== 'upgrade') route.mirror?.offer(context, target, headers, body);
  const sample = route.contract?.sample(context, target);
  const passage = new Passage(context, route, sample);
  const changed = transform?.responseBody && new TransformedAnswer(transform.responseBody, context, upstream, passage);
  const sink = changed ?? passage;
  // A client that asks for another protocol can use no answer but that protocol's.
  const fallback = stream?.kind !== 'upgrade' && standIn?.takes(context.method) ? standIn : undefined;
  const handle = fallback ? sendWithFallback(upstream.send, call, sink, fallback) : upstream.send(call, sink);
  passage.handle = changed ? changed.follow(handle) : handle;
  context.cancellation.on((reason) => passage.handle?.abort(reason));
}

/** The way of one answer to the client. */
class Passage implements ResponseSink {
  readonly #context: RequestContext;
  readonly #reply: Reply;
  readonly #route: RestRoute;
  /** Set where the answer is one of those that are held to the document of the API. */
  readonly #sample: ResponseSample | undefined;
  readonly #version: RouteVersion | undefined;
  handle: CallHandle | undefined;
  #waiting = false;
  /** Bytes of the body that are still to come; NaN where its length is not known. */
  #left = Number.NaN;
  /** There is content where there can be none, and it goes no further. */
  #hollow = false;

  constructor(context: RequestContext, route: RestRoute, sample: ResponseSample | undefined) {
    this.#context = context;
    this.#route = route;
    this.#sample = sample;
    this.#version = route.criteria.version;
    this.#reply = context.reply;
  }

  onInformation(status: number, headers: Headers): void {
    this.#reply.information(status, endToEnd(this.#context, headers));
  }

  onHead(status: number, headers: Headers): void {
    // The exchange writes that one.
    if (status === 101) return;
    const kept = responseHeaders(this.#context, headers);
    this.#route.transform?.responseHeaders?.apply(kept, this.#context);
    // RFC 9110 §8.6: no length where there is no content.
    if (status === 204) delete kept['content-length'];
    if (status === 205) {
      // RFC 9110 §15.3.6: it has no content either, and who takes that for granted would read it as the next answer.
      kept['content-length'] = '0';
      this.#hollow = true;
    } else if (headers.trailer !== undefined && this.#trails(status, headers)) {
      const announced = announcedTrailers(this.#context, headers.trailer);
      if (announced !== '') kept.trailer = announced;
    }
    if (String(headers['content-type']).startsWith('text/event-stream')) this.#context.sustained = true;
    this.#version?.group.mark(this.#version.name, kept);
    // Last, so that nothing that is renamed or removed opens it again.
    if (this.#route.closed && isRead(this.#context.method)) closeToOthers(kept);
    // As the client gets it, which is what its document speaks of.
    this.#sample?.head(status, kept);
    // RFC 8288 §3: one list; a field that every answer carries goes before the answer's own.
    if (kept.link !== undefined && this.#reply.headers.link !== undefined)
      this.#reply.headers.link = `${String(this.#reply.headers.link)}, ${String(kept.link)}`;
    this.#left = Number(kept['content-length']);
    this.#reply.head(status, kept);
  }

  /** The answer goes out in chunks, after which there can be trailers (RFC 9112 §7.1.2). */
  #trails(status: number, headers: Headers): boolean {
    const { method, httpVersion } = this.#context;
    const contentless = method === 'HEAD' || status === 204 || status === 304;
    return headers['transfer-encoding'] !== undefined && httpVersion === '1.1' && !contentless;
  }

  onData(chunk: Buffer): void {
    if (this.#hollow) return;
    this.#sample?.data(chunk);
    this.#left -= chunk.length;
    if (this.#left === 0) {
      // The last byte by the answer's own length: nothing that comes after belongs to it (RFC 9112 §6.3).
      this.#reply.end(chunk);
      return;
    }
    // A shared read may go on for others while this client is still slow.
    if (this.#reply.write(chunk) || this.#waiting) return;
    this.#waiting = true;
    this.handle?.pause();
    this.#reply.onDrain(() => {
      this.#waiting = false;
      this.handle?.resume();
    });
  }

  onEnd(trailers: Headers | undefined): void {
    if (this.#context.fallback) this.#sample?.drop();
    else this.#sample?.end();
    this.#reply.end(undefined, trailers && responseTrailers(this.#context, trailers));
  }

  onError(error: WeirError): void {
    this.#sample?.drop();
    replyWithError(this.#context, error);
  }
}

/** RFC 9110 §9.2.3: a cache gives out again what it has of these. */
function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}
