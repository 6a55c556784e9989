import { Client } from 'undici';

/** One request of a load, and what became of it. */
export interface Sent {
  /** Which client sent it. */
  readonly client: number;
  /** Its `x-request-id`. */
  readonly id: string;
  readonly method: string;
  /** Undefined where no whole answer came. */
  readonly status: number | undefined;
  readonly error: string | undefined;
}

export interface LoadOptions {
  readonly clients: number;
  readonly path: string;
  /** Each client sends them in turn. Default: GET. */
  readonly methods?: readonly ('GET' | 'POST')[];
  /** Between two requests of a client. Default: none. */
  readonly pauseMs?: number;
}

/** Clients with a connection of their own each, which they open again when it is lost; one request after the other. */
export class Load {
  readonly sent: Sent[] = [];
  readonly #clients: readonly Client[];
  readonly #running: Promise<unknown>;
  #stopped = false;

  constructor(url: string, options: LoadOptions) {
    this.#clients = Array.from({ length: options.clients }, () => new Client(url, { pipelining: 1 }));
    this.#running = Promise.all(this.#clients.map((client, index) => this.#run(client, index, options)));
  }

  get failures(): Sent[] {
    return this.sent.filter(({ status }) => status !== 200);
  }

  /** Waits until so many more requests have been answered, well or not. */
  async more(count: number): Promise<void> {
    const enough = this.sent.length + count;
    while (this.sent.length < enough) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Lets each client finish. @returns all that was sent */
  async stop(): Promise<readonly Sent[]> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#clients.map((client) => client.close()));
    return this.sent;
  }

  async #run(client: Client, index: number, { path, methods = ['GET'], pauseMs = 0 }: LoadOptions): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const method = methods[turn % methods.length]!;
      const id = `client-${index}-${turn}`;
      const headers = { 'x-request-id': id, 'content-type': 'text/plain' };
      const body = method === 'POST' ? `order ${id}` : null;
      try {
        const answer = await client.request({ path, method, headers, body });
        await answer.body.text();
        this.sent.push({ client: index, id, method, status: answer.statusCode, error: undefined });
      } catch (error) {
        this.sent.push({ client: index, id, method, status: undefined, error: String(error) });
      }
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
