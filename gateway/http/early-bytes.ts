import type { Socket } from 'node:net';

/** A client that sends more than this before it has its 101 is not read any further. */
const maxBytes = 16 * 1024;

/**
 * Reads a connection that waits for its protocol to switch, or nobody would see its client leave meanwhile. What comes too
 * early (RFC 6455 §4.1 lets nothing) is kept for the protocol.
 */
export class EarlyBytes {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  readonly #keep = (chunk: Buffer) => {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > maxBytes) this.#socket.pause();
  };
  readonly #leave = () => this.#socket.destroySoon();

  /** @param head what came in one packet with the request */
  constructor(socket: Socket, head: Buffer) {
    this.#socket = socket;
    if (head.length > 0) this.#keep(head);
    socket.on('data', this.#keep);
    socket.once('end', this.#leave);
  }

  /** Leaves the connection as it would be unread. Who takes it over must read it at once. */
  giveBack(): void {
    this.#socket.off('data', this.#keep);
    this.#socket.off('end', this.#leave);
    if (this.#chunks.length > 0) this.#socket.unshift(Buffer.concat(this.#chunks));
  }
}
