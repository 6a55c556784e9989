import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestContext } from '#core/context.ts';
import { sendReady } from './turn.ts';
import { unreadable } from './unread.ts';
import type { Connection } from './node-reply.ts';
import type { PaceSettings } from './pace.ts';

/** What is said by Node's parser, or for it, of a connection that it gives up on. */
export type ParserError = Error & { readonly code?: string };

export interface ConnectionOptions {
  readonly readPace: PaceSettings;
  /** Longest time without a request. */
  readonly maxIdleMs: number;
  /** Whether a connection that is open since then (monotonic) is to end with its next answer. */
  readonly draining: (openedMs: number) => boolean;
  /** The answer to what could not be read, as bytes, once it is its turn. */
  readonly answerUnread: (cause: ParserError, socket: Socket) => string;
}

/** How long what a client still sends after its answer is read and thrown away. */
const lingerMs = 5_000;

/** How long it takes a client to send a request on a connection that it has just made. */
const newMs = 500;

/** How often a client that has shut its side is shown that its answer is still to come. */
const probeMs = 500;

/** Requests of one connection that are served at once; more would be unfair to others. */
const maxAtOnce = 32;

/** Requests that wait on a connection until it is not read any further; what had come with them in one piece waits too. */
const maxWaiting = 64;

interface Exchange {
  readonly context: RequestContext | undefined;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface Waiting {
  readonly request: IncomingMessage;
  /** Its turn on the connection has come, but not yet that of the process to begin it. */
  readonly queued: boolean;
  readonly serve: () => void;
}

/**
 * One connection of a client: what is asked on it one after the other, and how it ends. Node's server hands requests over as
 * it reads them, all at once where they come at once; here they keep to RFC 9112 §9.3.2 and §9.6.
 */
export class ClientConnection implements Connection {
  readonly readPace: PaceSettings;
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  /** Under way, oldest first. */
  readonly #exchanges: Exchange[] = [];
  #waiting: Waiting[] = [];
  /** Nothing that still comes is taken for a request. */
  #deaf = false;
  /** But for this one. */
  #last: IncomingMessage | undefined;
  /** It could not be read what came after all of the above. */
  #unread: ParserError | undefined;
  #switched = false;
  /** The socket's timeout runs because there is something to read. */
  #timed = false;
  #heldOff: NodeJS.Timeout | undefined;
  readonly #openedMs = performance.now();
  #idleSinceMs = this.#openedMs;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.readPace = options.readPace;
    this.#socket = socket;
    this.#options = options;
    socket.once('end', () => this.#halfClosed());
  }

  /** Nothing has been asked on it yet, and it was made a moment ago. */
  isNewAt(nowMs: number): boolean {
    return !this.busy && this.#idleSinceMs === this.#openedMs && nowMs - this.#openedMs < newMs;
  }

  /** It is to end with its next answer. */
  get #draining(): boolean {
    return this.#options.draining(this.#openedMs);
  }

  get busy(): boolean {
    return this.#exchanges.length + this.#waiting.length > 0;
  }

  /** Nothing is under way, and what comes next is taken. */
  get free(): boolean {
    return !this.busy && !this.#deaf;
  }

  /**
   * It is the request's turn: what is not safe waits for all before it, and all after it waits for it (RFC 9112 §9.3.2). If
   * not, it goes to {@link postpone}.
   */
  takes(request: IncomingMessage): boolean {
    return (!this.#deaf || request === this.#last) && this.#waiting.length === 0 && this.#mayRun(request);
  }

  /** Calls `serve` when it is the request's turn; never, if the end of the connection is announced before. */
  postpone(request: IncomingMessage, serve: () => void): void {
    if (this.#deaf && request !== this.#last) {
      request.resume();
      return;
    }
    this.#waiting.push({ request, serve, queued: false });
    // Node goes on reading at the end of each request.
    if (this.#waiting.length === maxWaiting) process.nextTick(() => this.#socket.pause());
  }

  /** It is the request's turn, but it has to wait; {@link dequeue} must follow. All after it wait for it. */
  queue(request: IncomingMessage, serve: () => void): void {
    this.#waiting.unshift({ request, serve, queued: true });
  }

  /** What was queued begins, unless the end of the connection has been announced, or the request has turned out unreadable. */
  dequeue(): void {
    if (!this.#waiting[0]?.queued) return;
    this.#waiting.shift()!.serve();
    this.#serveWaiting();
  }

  /** The request of this response has begun; {@link left} must follow when the response has closed. */
  entered(exchange: Exchange): void {
    this.#exchanges.push(exchange);
  }

  /** The response has closed. What of its request still comes is thrown away, for a while. */
  left(request: IncomingMessage): void {
    if (request.complete || this.#socket.destroyed) this.#finished(request);
    else linger(request, () => this.#finished(request));
  }

  /**
   * Reads nothing for so long, if nothing is under way: its client was told to stay away, and need not be told again yet. 0
   * goes on reading.
   */
  holdOff(ms: number): void {
    if (ms === 0 || !this.free || this.#draining || this.#switched || this.#heldOff || this.#socket.destroyed) return;
    this.#socket.pause();
    this.#heldOff = setTimeout(listen, ms, this);
  }

  /** Reads on. */
  listen(): void {
    if (!this.#heldOff) return;
    clearTimeout(this.#heldOff);
    this.#heldOff = undefined;
    this.#socket.resume();
  }

  /** This request, which comes next, is the last one that is taken. */
  endAfter(request: IncomingMessage): void {
    if (this.#deaf) return;
    this.#deaf = true;
    this.#last = request;
  }

  /** It no longer speaks HTTP. */
  switchProtocol(): void {
    this.#switched = true;
  }

  endsWith(response: ServerResponse): boolean {
    if (!this.#deaf && !this.#draining) return false;
    return !this.#unread && this.#waiting.length === 0 && this.#exchanges.at(-1)?.response === response;
  }

  ending(): void {
    this.#deaf = true;
    this.#last = undefined;
    // RFC 9112 §9.6: nothing further is processed, though it has been read.
    this.#waiting = [];
    closeInStages(this.#socket);
  }

  /**
   * To be called now and then. A connection ends that nobody asks anything on: Node's own timeout for it begins anew with every
   * byte, and empty lines are bytes (RFC 9112 §2.2). So does one whose client does not read, whoever wrote what it has to read.
   */
  check(nowMs: number): void {
    if (this.#switched) return;
    const socket = this.#socket;
    if (!this.busy && nowMs - this.#idleSinceMs > this.#options.maxIdleMs) {
      socket.destroy();
    } else if (socket.writableLength > 0) {
      if (socket.timeout) return;
      this.#timed = true;
      socket.setTimeout(this.readPace.timeoutMs);
    } else if (this.#timed) {
      this.#timed = false;
      if (this.busy) socket.setTimeout(0);
    }
  }

  /** Node's parser has given up on what the client sends, or on waiting for it. */
  fail(cause: ParserError): void {
    const socket = this.#socket;
    sendReady();
    // It says so again for everything that follows.
    if (socket.writableEnded) return;
    if (!socket.writable || cause.code === 'ECONNRESET') {
      socket.destroy(cause);
      return;
    }
    this.#deaf = true;
    // RFC 9112 §9.6: a client that has announced the end is not listened to, but gets what it had asked for before.
    if (cause.code === 'HPE_CLOSED_CONNECTION' && this.busy) {
      closeInStages(socket);
      return;
    }
    const waiting = this.#waiting.at(-1);
    const current = this.#exchanges.at(-1);
    if (waiting && !waiting.request.complete) this.#waiting.pop();
    else if (!waiting && current && !current.request.complete) {
      this.#interrupt(current, cause);
      return;
    }
    if (this.busy) this.#unread ??= cause;
    else this.#sayUnread(cause);
  }

  /** The body of a request under way is broken. */
  #interrupt({ context, response }: Exchange, cause: ParserError): void {
    // RFC 9112 §8: it has gone in the middle of it.
    if (cause.code === 'HPE_INVALID_EOF_STATE') this.#socket.destroy(cause);
    else if (!response.writableEnded) context?.cancellation.cancel(unreadable(cause));
    else if (this.#exchanges.length === 1) endInStages(this.#socket);
  }

  #sayUnread(cause: ParserError): void {
    const socket = this.#socket;
    closeInStages(socket);
    socket.write(this.#options.answerUnread(cause, socket), 'latin1');
    socket.destroySoon();
  }

  #mayRun({ method }: IncomingMessage): boolean {
    const atOnce = this.#exchanges.length;
    if (atOnce === 0) return true;
    return atOnce < maxAtOnce && isSafe(method) && this.#exchanges.every(({ request }) => isSafe(request.method));
  }

  #finished(request: IncomingMessage): void {
    const index = this.#exchanges.findIndex((exchange) => exchange.request === request);
    if (index === 0) this.#exchanges.shift();
    else this.#exchanges.splice(index, 1);
    if (this.#socket.destroyed) return;
    this.#serveWaiting();
    if (this.#waiting.length >= maxWaiting) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
    if (this.busy) return;
    this.#idleSinceMs = performance.now();
    if (this.#unread) this.#sayUnread(this.#unread);
  }

  #serveWaiting(): void {
    for (let next = this.#waiting[0]; next && !next.queued && this.#mayRun(next.request); next = this.#waiting[0]) {
      this.#waiting.shift();
      next.serve();
    }
  }

  /**
   * The client has shut its side of the connection. It may wait for its answer, or have gone: what is sent to one that has
   * gone comes back as a reset. Where nothing can be sent, because the answer has begun, it counts as gone.
   */
  #halfClosed(): void {
    sendReady();
    if (this.#switched || !this.busy) return;
    const socket = this.#socket;
    if (this.#exchanges.some(({ response }) => response.headersSent && !response.writableEnded)) {
      socket.destroy();
      return;
    }
    const probe = setInterval(() => {
      const response = this.#exchanges[0]?.response;
      // RFC 9110 §15.2: a client must be able to read any 1xx, but one of HTTP/1.0.
      if (response && !response.headersSent && response.req.httpVersion !== '1.0') response.writeProcessing();
    }, probeMs);
    socket.once('close', () => clearInterval(probe));
  }
}

function listen(connection: ClientConnection): void {
  connection.listen();
}

/** RFC 9110 §9.2.1. */
function isSafe(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/**
 * RFC 9112 §9.6: closing a connection on which bytes still arrive takes the answer from a client that has not read it yet.
 * Only our side is shut, then, and what comes is read until the client shuts its own, for a while.
 */
function closeInStages(socket: Socket): void {
  // Node's server calls this once the last answer is out.
  socket.destroySoon = () => endInStages(socket);
}

function endInStages(socket: Socket): void {
  if (socket.writableEnded) return;
  socket.end();
  const cut = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(cut));
}

function linger(request: IncomingMessage, ended: () => void): void {
  request.resume();
  const cut = setTimeout(() => request.destroy(), lingerMs);
  request.once('close', () => {
    clearTimeout(cut);
    ended();
  });
}
