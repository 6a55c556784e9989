import { once } from 'node:events';
import {
  Agent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
} from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';

/** What came back, down to what `fetch` hides. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly text: string;
  readonly trailers: NodeJS.Dict<string>;
  /** 1xx answers that came before. */
  readonly informed: readonly { readonly status: number; readonly headers: IncomingMessage['headers'] }[];
  json(): Record<string, unknown>;
}

export interface Sending {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  /** Bytes are sent with their length, a stream in chunks. */
  readonly body?: string | Buffer | Readable;
  /** A connection of its own each time, unless an agent is given. */
  readonly agent?: Agent;
}

/** Begins a request; nothing of the URL or the headers is normalized. */
export function begin(url: string, { method = 'GET', headers = {}, agent }: Sending = {}): ClientRequest {
  const origin = /^http:\/\/[^/]+/.exec(url)![0];
  const { hostname, port } = new URL(origin);
  // `false` would still reuse a connection of the global agent for some methods.
  return httpRequest({
    hostname,
    port,
    path: url.slice(origin.length) || '/',
    method,
    headers,
    agent: agent ?? new Agent({ keepAlive: false }),
  });
}

/**
 * Sends a request and reads the whole answer.
 * @throws {Error} when the connection breaks, or the answer is not complete by its own framing
 */
export async function send(url: string, sending: Sending = {}): Promise<Answer> {
  const { body } = sending;
  const held = typeof body === 'string' || Buffer.isBuffer(body);
  // Node frames only the methods that usually have a body.
  const framing = held ? { 'content-length': Buffer.byteLength(body) } : body ? { 'transfer-encoding': 'chunked' } : {};
  const request = begin(url, { ...sending, headers: { ...framing, ...sending.headers } });
  const informed: { status: number; headers: IncomingMessage['headers'] }[] = [];
  request.on('information', ({ statusCode, headers }) => informed.push({ status: statusCode, headers }));
  const answer = answerTo(request, informed);
  if (body === undefined || held) request.end(body);
  else body.pipe(request);
  return answer;
}

/** The answer to a request that the test sends itself. */
export async function answerTo(request: ClientRequest, informed: Answer['informed'] = []): Promise<Answer> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  // What is still to be sent may fail once the answer is there.
  request.on('error', () => {});
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  if (!response.complete) throw new Error('the answer is not complete');
  const body = Buffer.concat(chunks);
  return {
    status: response.statusCode!,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body,
    text: body.toString(),
    trailers: response.trailers,
    informed,
    json: () => JSON.parse(body.toString()) as Record<string, unknown>,
  };
}

/** A TCP connection, for what no HTTP client would send. */
export class RawClient {
  readonly socket: Socket;
  received = '';
  #closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (this.received += text));
    socket.on('error', () => {});
    socket.once('close', () => (this.#closed = true));
  }

  static async connect(url: string): Promise<RawClient> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Lines are ended with CRLF; the head ends after the last one. */
  head(...lines: readonly string[]): this {
    this.socket.write(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    return this;
  }

  write(bytes: string | Buffer): this {
    this.socket.write(bytes, 'latin1');
    return this;
  }

  /** All that was received, once it has `text`. @throws {Error} when the connection is closed before */
  async until(text: string): Promise<string> {
    await until(() => this.received.includes(text) || this.#closed);
    if (!this.received.includes(text)) throw new Error(`closed before '${text}' came; received: ${this.received}`);
    return this.received;
  }

  /** All that was received until the other side closed. */
  async end(): Promise<string> {
    await until(() => this.#closed || this.socket.readableEnded);
    this.socket.destroy();
    return this.received;
  }

  /** Vanishes with a TCP reset. */
  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** Sends bytes over a connection of their own and reads all that comes back until the other side closes. */
export async function raw(url: string, ...lines: readonly string[]): Promise<string> {
  const client = await RawClient.connect(url);
  return client.head(...lines).end();
}

/** Waits for something that is bound to happen; how long that may take is the test's own timeout. */
export async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await happened())) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Lets everything that is under way in this process take its turn. For showing that something does NOT happen. */
export async function settle(ms = 50): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
