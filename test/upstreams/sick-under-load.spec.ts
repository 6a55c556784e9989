import { afterEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { deadUrl, startRawUpstream, startUpstream, type TestUpstream } from '../support/upstream.ts';

/** An upstream that does nobody any good, and the attempts that reached it. */
interface Sick {
  readonly url: string;
  /** Undefined where nobody is there to count. */
  readonly attempts: () => number | undefined;
  close(): Promise<void>;
}

/** Counts requests of any size, each told by its head, and does with the connection what it is told. */
async function raw(respond: (write: (bytes: string) => void, reset: () => void) => void): Promise<Sick> {
  let heads = 0;
  const { url, close } = await startRawUpstream((socket) => {
    socket.on('data', (chunk) => {
      const arrived = chunk.toString('latin1').match(/^(GET|POST) \S+ HTTP\/1\.1\r$/gm)?.length ?? 0;
      heads += arrived;
      if (arrived > 0)
        respond(
          (bytes) => void (socket.writable && socket.write(bytes)),
          () => void socket.resetAndDestroy(),
        );
    });
  });
  return { url, close, attempts: () => heads };
}

async function answering(status: number): Promise<Sick> {
  const { url, close, requests } = await startUpstream(
    (_request, response) => void response.writeHead(status).end('{}'),
  );
  return { url, close, attempts: () => requests.length };
}

/** A head that never comes to its end, one byte at a time. */
function drip(write: (bytes: string) => void): void {
  write('HTTP/1.1 200 OK\r\nX-Endless: ');
  const timer = setInterval(() => write('x'), 10);
  setTimeout(() => clearInterval(timer), 2_000);
}

const kinds: readonly (readonly [string, () => Promise<Sick>])[] = [
  ['a dead', async () => ({ url: await deadUrl(), attempts: () => undefined, close: async () => {} })],
  ['a hung', () => raw(() => {})],
  ['a resetting', () => raw((_write, reset) => reset())],
  ['a 500-only', () => answering(500)],
  ['a 503-only', () => answering(503)],
  ['a slow-dripping', () => raw(drip)],
];

const budget = 0.2;
/** What the retry budget starts with (`upstreams/retry-budget.ts`). */
const reserve = 10;

let sick: Sick;
let well: TestUpstream;
let gateway: TestGateway;

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await Promise.all([sick.close(), well.close()]);
});

async function front(breaker: object): Promise<void> {
  well = await startUpstream((_request, response) => void response.end('well'));
  const patient = { attempts: 3, backoff: '1ms', maxBackoff: '10ms', budget };
  gateway = await startGateway(
    {
      // Clients, services and gateway share one event loop here: that it is late says nothing of the gateway.
      listen: { maxEventLoopLag: '1m' },
      upstreams: {
        books: { endpoints: [sick.url], attemptTimeout: '100ms', retry: patient, breaker },
        well: { endpoints: [well.url] },
      },
      routes: [
        { path: '/books/*rest', upstream: 'books' },
        { path: '/well/*rest', upstream: 'well' },
      ],
    },
    { modules: 'test/fixtures/modules/library' },
  );
}

/** So many calls by so many clients at a time; each call is another read, so that none rides on another's. */
async function load(calls: number, clients: number, call: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const client = async () => {
    while (next < calls) await call(next++);
  };
  await Promise.all(Array.from({ length: clients }, client));
}

const each = 60;

/** Reads and large bodies by the REST door, the two forms of the exchange, and queries by the GraphQL door. */
async function everything(): Promise<{ readonly calls: number; readonly answers: readonly unknown[] }> {
  const answers: unknown[] = [];
  const read = async (index: number) => void answers.push((await send(`${gateway.url}/books/${index}`)).status);
  const upload = async (index: number) => {
    const options = { method: 'POST', body: Buffer.alloc(70_000) };
    answers.push((await send(`${gateway.url}/books/upload${index}`, options)).status);
  };
  const query = async (index: number) => {
    const answer = await send(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: `{ books(first: ${index + 1}) { id } }` }),
    });
    answers.push((answer.json() as { errors?: { extensions: { code: string } }[] }).errors?.[0]?.extensions.code);
  };
  await Promise.all([load(each, 10, read), load(each, 5, upload), load(each, 10, query)]);
  return { calls: 3 * each, answers };
}

const endings = [
  500,
  502,
  503,
  504,
  'UPSTREAM_UNREACHABLE',
  'UPSTREAM_TIMEOUT',
  'UPSTREAM_ERROR',
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_BAD_RESPONSE',
];

describe.each(kinds)('%s upstream under load', (_, start) => {
  test.each([
    ['with nothing but the retry budget', { failures: 10_000 }, 0],
    ['with the breaker, too', { failures: 5, openFor: '10m' }, 1],
  ])(
    'is asked at most calls × (1 + budget) and ten times, %s; others answer everything meanwhile',
    async (__, breaker, open) => {
      sick = await start();
      await front(breaker);
      let others = 0;
      const besides = load(200, 5, async (index) => {
        const answer = await send(`${gateway.url}/well/${index}`);
        if (answer.status === 200 && answer.text === 'well') others++;
      });
      const { calls, answers } = await everything();
      await besides;
      expect(others).toBe(200);
      const { retries, breaker: own } = gateway.gateway.assembly.upstreams.get('books')!;
      expect(retries).toBeLessThanOrEqual(calls * budget + reserve);
      const attempts = sick.attempts() ?? calls + retries;
      expect(attempts).toBeLessThanOrEqual(calls * (1 + budget) + reserve);
      // Every call had an end, and none a good one.
      expect(answers).toHaveLength(calls);
      expect(endings).toEqual(expect.arrayContaining([...new Set(answers)]));
      if (open === 0) {
        // The bound was put to the test: every call was made, and what may be retried was.
        expect(attempts).toBeGreaterThanOrEqual(calls);
        if (!answers.includes(500)) expect(retries).toBeGreaterThan((calls / 3) * budget);
      } else {
        expect(own.state).toBe('open');
        // Whoever was under way when it opened, and no more.
        expect(sick.attempts() ?? 0).toBeLessThan(calls / 2);
      }
    },
  );
});
