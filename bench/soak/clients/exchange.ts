/** One request and its answer, and what may be said of any answer. */
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scene } from '../activity.ts';

export interface Asking {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | AsyncIterable<Buffer>;
  /** Sent with Content-Length, for a body that is made as it is sent. */
  readonly bytes?: number;
  /** The client leaves after so long, whatever has come. A service that drips would keep it for minutes. */
  readonly leaveAfterMs?: number;
  /** Called with each part of the answer; the client reads on when its promise is kept. */
  readonly onPart?: (part: Buffer) => Promise<void> | void;
}

/** `answered`: whole by its own framing. `broken`: the gateway broke it off. `left`: the client did. */
export type Ending = 'answered' | 'broken' | 'left';

export interface Answer {
  readonly ending: Ending;
  /** 0 where no head came. */
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Of what is no more than a megabyte. */
  readonly text: string;
  readonly bytes: number;
}

const agent = new Agent({ keepAlive: true, maxFreeSockets: 64, timeout: 60_000 });

/** A client waits for the next byte so long; the gateway's own limits are far below it. */
const silenceMs = 15_000;
const patienceMs = 20_000;
const maxText = 1024 ** 2;

export async function ask(scene: Scene, asking: Asking): Promise<Answer> {
  const outgoing = request({
    port: scene.port,
    agent,
    method: asking.method ?? 'GET',
    path: asking.path,
    headers: {
      ...asking.headers,
      ...(asking.bytes !== undefined && { 'content-length': asking.bytes }),
      ...(typeof asking.body === 'string' && { 'content-length': Buffer.byteLength(asking.body) }),
    },
  });
  const received = new Received();
  const patience = new AbortController();
  patience.signal.addEventListener('abort', () => outgoing.destroy());
  const leaving = setTimeout(() => patience.abort(), asking.leaveAfterMs ?? patienceMs);
  outgoing.setTimeout(silenceMs, () => {
    scene.tally.complain(
      'no byte for a quarter of a minute',
      `${scene.name}: ${asking.method ?? 'GET'} ${asking.path}`,
    );
    outgoing.destroy();
  });
  const answered = answerTo(outgoing, received, asking.onPart);
  await Promise.all([answered, send(outgoing, asking.body)]);
  clearTimeout(leaving);
  const ending: Ending = received.complete ? 'answered' : patience.signal.aborted ? 'left' : 'broken';
  const answer: Answer = { ...received.head, ending, text: received.text, bytes: received.bytes };
  judge(scene, asking, answer);
  return answer;
}

class Received {
  head: { readonly status: number; readonly headers: IncomingMessage['headers'] } = { status: 0, headers: {} };
  complete = false;
  bytes = 0;
  readonly #parts: Buffer[] = [];

  add(part: Buffer): void {
    this.bytes += part.length;
    if (this.bytes <= maxText) this.#parts.push(part);
  }

  get text(): string {
    return Buffer.concat(this.#parts).toString();
  }
}

async function answerTo(outgoing: ClientRequest, received: Received, onPart: Asking['onPart']): Promise<void> {
  try {
    const response = await new Promise<IncomingMessage | undefined>((resolve) => {
      outgoing.once('response', resolve);
      outgoing.on('error', () => resolve(undefined));
      outgoing.once('close', () => resolve(undefined));
    });
    if (!response) return;
    received.head = { status: response.statusCode!, headers: response.headers };
    for await (const part of response as AsyncIterable<Buffer>) {
      received.add(part);
      await onPart?.(part);
    }
    received.complete = response.complete;
  } catch {
    // Broken off; `complete` says so.
  }
}

async function send(outgoing: ClientRequest, body: Asking['body']): Promise<void> {
  if (body === undefined || typeof body === 'string') {
    outgoing.end(body);
    return;
  }
  for await (const part of body) {
    if (outgoing.destroyed) return;
    if (!outgoing.write(part)) await drained(outgoing);
  }
  outgoing.end();
}

async function drained(outgoing: ClientRequest): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  outgoing.once('drain', resolve).once('close', resolve);
  await promise;
  outgoing.off('drain', resolve).off('close', resolve);
}

/** So many bytes, in parts, as fast as they are taken or with pauses. */
export async function* bytes(length: number, pauseMs = 0): AsyncIterable<Buffer> {
  for (let left = length; left > 0; left -= part.length) {
    yield part.subarray(0, left);
    if (pauseMs > 0) await sleep(pauseMs);
  }
}

const part = Buffer.alloc(64 * 1024, 'soak');

/** Codes of the gateway that a client may meet while services fail. */
const expected: ReadonlySet<string> = new Set([
  'UPSTREAM_UNREACHABLE',
  'UPSTREAM_BAD_RESPONSE',
  'UPSTREAM_ERROR',
  'UPSTREAM_TIMEOUT',
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_OVERLOADED',
  'DEADLINE_EXCEEDED',
  'OVERLOADED',
]);

/** Those of clients that do wrong are counted, too, but only where wrong was done. */
const clientFaults: ReadonlySet<string> = new Set([
  'BAD_REQUEST',
  'REQUEST_TIMEOUT',
  'BODY_TOO_LARGE',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'DOCUMENT_LIMIT_EXCEEDED',
  'ROUTE_NOT_FOUND',
  'METHOD_NOT_ALLOWED',
]);

/** Counts it, and complains of what no answer of a gateway may be. */
function judge({ name, tally }: Scene, asking: Asking, { ending, status, text }: Answer): void {
  const where = `${name}: ${asking.method ?? 'GET'} ${asking.path}: ${status} ${text.slice(0, 300)}`;
  const codes = [...text.matchAll(/"code":"([A-Z_]+)"/g)].map(([, code]) => code!);
  tally.outcome(name, ending === 'answered' ? outcomeOf(status, codes) : ending);
  if (ending !== 'answered') return;
  for (const code of codes) {
    if (!expected.has(code) && !(name.startsWith('hostile') && clientFaults.has(code))) {
      tally.complain(`an answer with ${code}`, where);
    }
  }
  // Services answer with problem documents, too, but know neither codes nor addresses of each other.
  if (codes.length > 0 && /127\.0\.0\.1|ECONN|\bat .*\.ts:\d/.test(text))
    tally.complain('internals in an answer', where);
  if (status === 500 && codes.length === 0 && !text.includes('fault switch')) tally.complain('a 500 of nobody', where);
}

function outcomeOf(status: number, [code]: readonly string[]): string {
  if (code !== undefined) return code;
  return status < 400 ? 'well' : String(status);
}
