import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { listenAt } from '#gateway/http/listen-at.ts';

/** Whoever serves connections: one of the workers. */
export interface Taker {
  /** @returns false where it is known that it has not taken it, nor read a byte of it */
  handOver(connection: Socket): Promise<boolean>;
}

export interface AcceptorOptions {
  /** A connection is closed, for nobody takes it. */
  readonly refused: (clientIp: string) => void;
}

/** Connections that wait for a worker to take them; further ones are closed. */
const maxWaiting = 4_096;
/** How long one waits before it is closed: its client had better try another gateway. */
const maxWaitMs = 10_000;
/** How long to accept what still comes, when there is no pause in it, and then to have it taken, when the port is given up. */
const maxAcceptMs = 500;
const maxHandMs = 500;

/**
 * Accepts the connections of all workers, and hands each to one of them in turn. It lets go of a connection only when a worker
 * says that it has it, and gives one that its worker never took, since it died, to the next (docs/adr/0009). A worker that
 * does not answer keeps the one that it is being handed, and gets no other.
 */
export class Acceptor {
  readonly #server: Server;
  readonly #refused: (clientIp: string) => void;
  readonly #waiting: Socket[] = [];
  readonly #takers = new Set<Taker>();
  /** Those that are not being handed a connection, the one whose turn it is first. */
  readonly #free: Taker[] = [];
  #handing = 0;
  #accepted = 0;
  #over = false;

  constructor({ refused }: AcceptorOptions) {
    this.#refused = refused;
    // Nothing is to be read here: what a client says belongs to the worker.
    this.#server = createServer({ pauseOnConnect: true, noDelay: true }, (connection) => this.#accept(connection));
  }

  /** @throws {Error} Node's own, when the address cannot be had */
  listen(at: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
    return listenAt(this.#server, at);
  }

  /** From now on it gets its share. */
  add(taker: Taker): void {
    this.#takers.add(taker);
    this.#free.push(taker);
    this.#next();
  }

  /** It gets no other connection. */
  remove(taker: Taker): void {
    this.#takers.delete(taker);
    const place = this.#free.indexOf(taker);
    if (place >= 0) this.#free.splice(place, 1);
  }

  /** Gives up the port, once it has what the system has accepted, and waits until that is in the hands of workers. */
  async close(): Promise<void> {
    const endMs = performance.now() + maxAcceptMs;
    for (let seen = -1; seen !== this.#accepted && performance.now() < endMs;) {
      seen = this.#accepted;
      // Past the next look at the socket.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#server.close();
    const lateMs = performance.now() + maxHandMs;
    while (this.#busy && performance.now() < lateMs) await new Promise((resolve) => setImmediate(resolve));
    this.abort();
  }

  /** Gives up the port at once. */
  abort(): void {
    this.#over = true;
    this.#server.close();
    for (const connection of this.#waiting.splice(0)) connection.destroy();
  }

  get #busy(): boolean {
    return this.#handing > 0 || this.#waiting.length > 0;
  }

  #accept(connection: Socket): void {
    this.#accepted++;
    connection.on('error', () => {}).on('timeout', () => this.#giveUp(connection));
    if (this.#waiting.length >= maxWaiting) {
      this.#refuse(connection);
      return;
    }
    this.#waiting.push(connection);
    this.#next();
    if (this.#waiting.at(-1) === connection) connection.setTimeout(maxWaitMs);
  }

  #giveUp(connection: Socket): void {
    this.#waiting.splice(this.#waiting.indexOf(connection), 1);
    this.#refuse(connection);
  }

  #refuse(connection: Socket): void {
    this.#refused(connection.remoteAddress ?? '');
    connection.destroy();
  }

  #next(): void {
    while (this.#waiting.length > 0 && this.#free.length > 0)
      void this.#handOver(this.#free.shift()!, this.#waiting.shift()!);
  }

  async #handOver(taker: Taker, connection: Socket): Promise<void> {
    this.#handing++;
    // Of one that is under way to a worker that does not answer, what becomes of it shows with the worker.
    connection.setTimeout(0);
    const taken = await taker.handOver(connection);
    this.#handing--;
    // Nobody is there to take it when the port was given up meanwhile.
    if (taken || this.#over) connection.destroy();
    else {
      this.#waiting.unshift(connection);
      connection.setTimeout(maxWaitMs);
    }
    if (this.#takers.has(taker)) this.#free.push(taker);
    this.#next();
  }
}
