import type { IncomingHttpHeaders } from 'node:http';
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
  /** Of the answer. */
  readonly headers: IncomingHttpHeaders;
  readonly error: string | undefined;
}

export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

export interface LoadOptions {
  readonly clients: number;
  /** Of all requests, which each client sends by these methods in turn. Default: GET. */
  readonly path?: string;
  readonly methods?: readonly ('GET' | 'POST')[];
  /** What is sent instead of that, by the id that it is known by. */
  readonly request?: (id: string) => LoadRequest;
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

  /** Waits until each client has been answered what it had asked, and something that it asked later. */
  async turn(): Promise<void> {
    const answered = this.#clients.map(() => 0);
    for (let seen = this.sent.length; answered.some((count) => count < 2);) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      for (; seen < this.sent.length; seen++) answered[this.sent[seen]!.client]!++;
    }
  }

  /** Lets each client finish. @returns all that was sent */
  async stop(): Promise<readonly Sent[]> {
    this.#stopped = true;
    await this.#running;
    await Promise.all(this.#clients.map((client) => client.close()));
    return this.sent;
  }

  async #run(client: Client, index: number, options: LoadOptions): Promise<void> {
    const { pauseMs = 0 } = options;
    for (let turn = 0; !this.#stopped; turn++) {
      const id = `client-${index}-${turn}`;
      const { method, path, headers, body } = options.request?.(id) ?? inTurn(options, turn, id);
      const told = { client: index, id, method };
      try {
        const answer = await client.request({ path, method, headers: { 'x-request-id': id, ...headers }, body });
        await answer.body.text();
        this.sent.push({ ...told, status: answer.statusCode, headers: answer.headers, error: undefined });
      } catch (error) {
        this.sent.push({ ...told, status: undefined, headers: {}, error: String(error) });
      }
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

function inTurn({ path = '/', methods = ['GET'] }: LoadOptions, turn: number, id: string): LoadRequest {
  const method = methods[turn % methods.length]!;
  const headers = { 'content-type': 'text/plain' };
  return { method, path, headers, body: method === 'POST' ? `order ${id}` : null };
}
