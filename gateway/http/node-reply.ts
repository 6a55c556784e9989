import type { ServerResponse } from 'node:http';
import type { Headers } from '#core/headers.ts';
import type { ContentCoding, ContentEncoder, Reply } from '#core/reply.ts';
import { keptWaiting } from './expectation.ts';
import { sendSoon, type ReadyAnswer } from './turn.ts';
import type { PaceSettings } from './pace.ts';

/** What a reply has to know of the connection that it goes out on. */
export interface Connection {
  /** How long a client may read nothing, and how slowly it may read. */
  readonly readPace: PaceSettings;
  /** Nothing follows on the connection: it ends with this answer (RFC 9112 §9.6). */
  endsWith(response: ServerResponse): boolean;
  /** An answer has said that it is the last. */
  ending(): void;
}

/** Bytes of a body up to which copying it is cheaper than handing it over. */
const maxJoined = 16 * 1024;

/** Bytes of a content up to which coding it at once costs less than to hand it to another thread and wait. */
const maxWhole = 16 * 1024;

/** What an encoder holds back goes out after this, if no more comes: a client may wait for just that. */
const flushAfterMs = 20;

/** What a timer of Node's can count. */
const maxTimerMs = 2 ** 31 - 1;

/** The reply port over node:http. One object a request; nothing is buffered here but what an encoder holds. */
export class NodeReply implements Reply, ReadyAnswer {
  readonly headers: Headers = {};
  sent: Headers | undefined;
  coding: ContentCoding | undefined;
  readonly #response: ServerResponse;
  readonly #connection: Connection;
  #bytes = 0;
  #endless = false;
  #watched = false;
  /** What lies ready has not gone out yet since the client was first too slow. */
  #stalled = false;
  #ended = false;
  #last: Uint8Array | string | undefined;
  /** What the content is coded by, and once it comes in pieces what they go through. */
  #encoder: ContentEncoder | undefined;
  #pieces: ReturnType<ContentEncoder['open']> | undefined;
  #flushing: NodeJS.Timeout | undefined;
  /** Runs while the client has something to read. */
  #unread: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, connection: Connection) {
    this.#response = response;
    this.#connection = connection;
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  get finished(): boolean {
    return this.#ended || this.#response.writableEnded || this.#response.destroyed;
  }

  get status(): number {
    return this.#response.headersSent || this.#response.statusCode === 101 ? this.#response.statusCode : 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get endless(): boolean {
    return this.#endless;
  }

  information(status: number, headers: Headers): void {
    // What a client expects to continue with it is told by the gateway itself, and HTTP/1.0 knows none (RFC 9110 §15.2).
    if (status === 100 || this.started || this.finished || this.#response.req.httpVersion === '1.0') return;
    // It has no content whose length could be told (RFC 9110 §8.6).
    const { 'content-length': _, ...fields } = headers as Record<string, string | string[]>;
    const { link } = fields;
    try {
      if (status !== 103) this.#response.writeInformation(status, fields);
      else if (link !== undefined) this.#response.writeEarlyHints({ ...fields, link });
    } catch {
      // Node checks the syntax of links, and before 26.2 writes no others; what does not go out is no loss.
    }
  }

  head(status: number, headers: Headers): void {
    if (this.started || this.finished) return;
    const own = this.headers;
    if (own.vary !== undefined && headers.vary !== undefined)
      headers.vary = `${String(headers.vary)}, ${String(own.vary)}`;
    for (const name in own) {
      if (name !== 'vary' || headers.vary === undefined) headers[name] = own[name];
    }
    if (keptWaiting(this.#response) || this.#connection.endsWith(this.#response)) headers.connection = 'close';
    if (headers.connection === 'close') this.#connection.ending();
    const type = headers['content-type'];
    this.#endless = typeof type === 'string' && type.startsWith('text/event-stream');
    this.sent = headers;
    this.#encoder = this.coding?.(this.#response.req, status, headers);
    this.#response.writeHead(status, headers as Record<string, string | string[]>);
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.finished) return true;
    return this.#encoder ? this.#encode(this.#encoder, chunk) : this.#send(chunk);
  }

  #send(chunk: Uint8Array | string): boolean {
    this.#bytes += chunk.length;
    if (this.#response.write(chunk)) return true;
    this.#stall();
    return false;
  }

  #encode(encoder: ContentEncoder, chunk: Uint8Array | string): boolean {
    const pieces = (this.#pieces ??= this.#openPieces(encoder));
    const more = pieces.write(chunk);
    if (encoder.flushEach) pieces.flush();
    else this.#flushing ??= setTimeout(flush, flushAfterMs, this);
    return more;
  }

  flush(): void {
    this.#flushing = undefined;
    if (!this.#ended) this.#pieces?.flush();
  }

  #openPieces(encoder: ContentEncoder): ReturnType<ContentEncoder['open']> {
    const response = this.#response;
    const pieces = encoder.open();
    pieces.on('data', (bytes: Buffer) => {
      if (this.#send(bytes)) return;
      pieces.pause();
      response.once('drain', () => pieces.resume());
    });
    pieces.once('end', () => this.#finish());
    pieces.once('error', () => this.#cut());
    // Whoever has gone, or has everything, leaves nothing behind.
    response.once('close', () => {
      clearTimeout(this.#flushing);
      pieces.destroy();
    });
    return pieces;
  }

  onDrain(listener: () => void): void {
    (this.#pieces ?? this.#response).once('drain', listener);
  }

  end(chunk?: Uint8Array | string, trailers?: Headers): void {
    if (this.finished) return;
    this.#ended = true;
    if (trailers) this.#response.addTrailers(trailers);
    if (!this.#encoder) {
      this.#finish(chunk);
    } else if (!this.#pieces && (chunk?.length ?? 0) <= maxWhole) {
      this.#finish(this.#encoder.whole(chunk ?? ''));
    } else {
      (this.#pieces ??= this.#openPieces(this.#encoder)).end(chunk);
    }
  }

  /** All that there is has been made. */
  #finish(chunk?: Uint8Array | string): void {
    if (chunk !== undefined) {
      this.#bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length;
      this.#last = chunk;
    }
    // Who closes a connection behind an answer goes by what has been written to it.
    if (this.#response.shouldKeepAlive) sendSoon(this);
    else this.sendLast();
  }

  sendLast(): void {
    const last = this.#last;
    this.#last = undefined;
    // latin1 maps bytes to characters one to one, and Node joins a text with the head: one write instead of a gathered one,
    // which costs several times as much.
    if (Buffer.isBuffer(last) && last.length <= maxJoined) this.#response.end(last.toString('latin1'), 'latin1');
    else this.#response.end(last);
    if (this.#response.socket?.writableLength) this.#stall();
  }

  /**
   * The client reads slower than we write. The socket's timeout counts from the last byte that went out; what lies ready now
   * must besides have gone out in the time that it takes at the least rate.
   */
  #stall(): void {
    if (this.#stalled) return;
    this.#stalled = true;
    const response = this.#response;
    const { timeoutMs, minBytesPerSecond } = this.#connection.readPace;
    if (!this.#watched) {
      this.#watched = true;
      const over = () => {
        clearTimeout(this.#unread);
        this.#unread = undefined;
      };
      response.on('drain', () => {
        this.#stalled = false;
        over();
        // Without a listener for it, Node closes a connection that times out.
        response.setTimeout(0);
      });
      response.once('close', over);
    }
    response.setTimeout(timeoutMs);
    if (minBytesPerSecond === 0 || this.#unread) return;
    const longestMs = timeoutMs + (response.writableLength / minBytesPerSecond) * 1000;
    this.#unread = setTimeout(() => this.#cut(), Math.min(longestMs, maxTimerMs)).unref();
  }

  destroy(): void {
    if (this.#pieces && !this.#ended) {
      // What came before the break is the client's: it is with the encoder, which works in a thread of its own.
      this.#ended = true;
      // Node holds a write back until the tick is over.
      this.#pieces.flush(() => process.nextTick(() => this.#cut()));
    } else {
      this.#cut();
    }
  }

  #cut(): void {
    const { socket } = this.#response;
    // To HTTP/1.0 a body ends with its connection, so that only a reset says that it is not whole (RFC 9112 §8).
    if (this.started && this.#response.req.httpVersion === '1.0' && socket && !('encrypted' in socket))
      socket.resetAndDestroy();
    else this.#response.destroy();
  }
}

function flush(reply: NodeReply): void {
  reply.flush();
}
