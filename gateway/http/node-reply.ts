import type { ServerResponse } from 'node:http';
import type { Headers } from '#core/headers.ts';
import type { Reply } from '#core/reply.ts';

/** What the listener has to say of every reply. */
export interface Listener {
  /** It takes nothing new any more: each connection ends with the answer at hand (RFC 9112 §9.6). */
  readonly draining: boolean;
  /** Longest wait for a client that does not read. */
  readonly stallTimeoutMs: number;
}

/** Bytes of a body up to which copying it is cheaper than handing it over. */
const maxJoined = 16 * 1024;

/** The reply port over node:http. One object a request; nothing is buffered here. */
export class NodeReply implements Reply {
  readonly headers: Headers = {};
  readonly #response: ServerResponse;
  readonly #listener: Listener;
  #bytes = 0;
  #stalled = false;

  constructor(response: ServerResponse, listener: Listener) {
    this.#response = response;
    this.#listener = listener;
  }

  get started(): boolean {
    return this.#response.headersSent;
  }

  get finished(): boolean {
    return this.#response.writableEnded || this.#response.destroyed;
  }

  get status(): number {
    return this.#response.headersSent || this.#response.statusCode === 101 ? this.#response.statusCode : 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  information(status: number, headers: Headers): void {
    // Others than 103 speak to the next hop, and HTTP/1.0 knows none (RFC 9110 §15.2).
    if (status !== 103 || this.started || this.finished || this.#response.req.httpVersion === '1.0') return;
    const { link, ...rest } = headers;
    if (link === undefined) return;
    try {
      this.#response.writeEarlyHints({ link, ...(rest as Record<string, string | string[]>) });
    } catch {
      // Node checks the syntax of links; a hint that has none is no loss.
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
    if (this.#listener.draining) headers.connection = 'close';
    this.#response.writeHead(status, headers as Record<string, string | string[]>);
  }

  write(chunk: Uint8Array | string): boolean {
    if (this.finished) return true;
    this.#bytes += chunk.length;
    if (this.#response.write(chunk)) return true;
    this.#stall();
    return false;
  }

  onDrain(listener: () => void): void {
    this.#response.once('drain', listener);
  }

  end(chunk?: Uint8Array | string, trailers?: Headers): void {
    if (this.finished) return;
    if (trailers) this.#response.addTrailers(trailers);
    if (chunk === undefined) {
      this.#response.end();
    } else {
      this.#bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.length;
      // latin1 maps bytes to characters one to one, and Node joins a text with the head: one write instead of a gathered
      // one, which costs several times as much.
      if (Buffer.isBuffer(chunk) && chunk.length <= maxJoined) this.#response.end(chunk.toString('latin1'), 'latin1');
      else this.#response.end(chunk);
    }
    if (this.#response.socket?.writableLength) this.#stall();
  }

  /** The client reads slower than we write. The socket's timeout counts from the last byte that went out. */
  #stall(): void {
    if (!this.#stalled) {
      this.#stalled = true;
      // Without a listener for it, Node closes a connection that times out.
      this.#response.on('drain', () => this.#response.setTimeout(0));
    }
    this.#response.setTimeout(this.#listener.stallTimeoutMs);
  }

  destroy(): void {
    const { socket } = this.#response;
    // To HTTP/1.0 a body ends with its connection, so that only a reset says that it is not whole (RFC 9112 §8).
    if (this.started && this.#response.req.httpVersion === '1.0' && socket && !('encrypted' in socket))
      socket.resetAndDestroy();
    else this.#response.destroy();
  }
}
