import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestContext } from '#core/context.ts';
import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Reply } from '#core/reply.ts';
import { newCall, type CallHandle, type ClientStream, type ResponseSink } from '#upstreams/call.ts';
import { replyWithError } from '#gateway/http/error-reply.ts';
import { invite } from '#gateway/http/expectation.ts';
import { endToEnd, requestHeaders, responseHeaders, responseTrailers } from './headers.ts';
import type { RestRoute } from './route.ts';

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
  switched: () => void,
): void {
  const switching = (received: Headers) => {
    switched();
    const { connection, upgrade } = received;
    return { connection, upgrade, ...responseHeaders(context, received), ...context.reply.headers };
  };
  send(context, route, { kind: 'upgrade', request, socket, head, switching });
}

function send(context: RequestContext, route: RestRoute, stream: ClientStream | undefined): void {
  const call = newCall(
    context,
    context.method,
    route.targetOf(context),
    requestHeaders(context, stream?.kind === 'body'),
    {
      body: context.body,
      stream,
      timeoutMs: route.timeoutMs,
    },
  );
  const passage = new Passage(context);
  passage.handle = route.upstream.send(call, passage);
  context.cancellation.on((reason) => passage.handle?.abort(reason));
}

/** The way of one answer to the client. */
class Passage implements ResponseSink {
  readonly #context: RequestContext;
  readonly #reply: Reply;
  handle: CallHandle | undefined;
  #waiting = false;
  /** Bytes of the body that are still to come; NaN where its length is not known. */
  #left = Number.NaN;

  constructor(context: RequestContext) {
    this.#context = context;
    this.#reply = context.reply;
  }

  onInformation(status: number, headers: Headers): void {
    this.#reply.information(status, endToEnd(this.#context, headers));
  }

  onHead(status: number, headers: Headers): void {
    // The exchange writes that one.
    if (status === 101) return;
    const kept = responseHeaders(this.#context, headers);
    // RFC 9110 §8.6: no length where there is no content.
    if (status === 204) delete kept['content-length'];
    this.#left = Number(kept['content-length']);
    this.#reply.head(status, kept);
  }

  onData(chunk: Buffer): void {
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
    this.#reply.end(undefined, trailers && responseTrailers(this.#context, trailers));
  }

  onError(error: WeirError): void {
    replyWithError(this.#context, error);
  }
}
