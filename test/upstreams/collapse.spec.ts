import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { inFlight, startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let gateway: TestGateway;
/** Requests that the service has and has not answered. */
let held: { response: ServerResponse; closed: boolean }[] = [];

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => {
    const call = { response, closed: false };
    response.once('close', () => (call.closed = true));
    held.push(call);
  });
  gateway = await startGateway({
    upstreams: {
      things: { endpoints: [upstream.url], retry: { attempts: 0 }, maxInFlight: 1000, maxConnections: 1000 },
      strangers: { endpoints: [upstream.url], retry: { attempts: 0 }, identity: 'none' },
    },
    routes: [
      { path: '/things{/*rest}', upstream: 'things' },
      { path: '/strangers{/*rest}', upstream: 'strangers', rewrite: '/things{/*rest}' },
    ],
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});
beforeEach(() => {
  held = [];
  upstream.requests.length = 0;
});
afterEach(() => untilIdle(gateway));

/** Waits until so many calls have reached the service, and no more come. */
async function reached(count: number): Promise<void> {
  while (held.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(held).toHaveLength(count);
}

function answerAll(text = 'shared', headers: Record<string, string> = {}): void {
  for (const { response } of held) response.writeHead(200, { 'content-type': 'text/plain', ...headers }).end(text);
}

const read = (path = '/things/1', headers: Record<string, string> = {}) => send(gateway.url + path, { headers });

describe('Identical reads under way at the same time', () => {
  test('are sent once, and everyone gets the answer', async () => {
    const reads = Array.from({ length: 20 }, () => read());
    await reached(1);
    answerAll('shared', { etag: '"1"' });
    for (const answer of await Promise.all(reads)) {
      expect(answer).toMatchObject({ status: 200, text: 'shared' });
      expect(answer.headers.etag).toBe('"1"');
    }
    expect(upstream.requests).toHaveLength(1);
  });

  test('keep what is each their own: the request id', async () => {
    const reads = [read(), read()];
    await reached(1);
    answerAll();
    const ids = (await Promise.all(reads)).map(({ headers }) => headers['x-request-id']);
    expect(new Set(ids).size).toBe(2);
  });

  test('are priced once: the log says who called and who rode along', async () => {
    const reads = [read(), read(), read()];
    await reached(1);
    answerAll();
    const lines = await Promise.all(
      (await Promise.all(reads)).map(({ headers }) => gateway.accessOf(String(headers['x-request-id']))),
    );
    expect(lines.map(({ calls }) => Number(calls)).toSorted((a, b) => a - b)).toEqual([0, 0, 1]);
    expect(lines.filter(({ collapsed }) => collapsed === 1)).toHaveLength(2);
  });

  test.each([
    ['path', '/things/2', {}],
    ['query', '/things/1?a=1', {}],
    ['forwarded header', '/things/1', { 'accept-language': 'de' }],
    ['identity shown', '/strangers/1', {}],
    ['host, which the upstream is told', '/things/1', { host: 'evil.example' }],
  ])('with another %s are not identical', async (_what, path, headers) => {
    const reads = [read(), read(path, headers)];
    await reached(2);
    answerAll();
    await Promise.all(reads);
    expect(upstream.requests).toHaveLength(2);
  });

  test('writes are never shared', async () => {
    const writes = [1, 2].map(() => send(`${gateway.url}/things/1`, { method: 'POST', body: '{}' }));
    await reached(2);
    answerAll();
    await Promise.all(writes);
    expect(upstream.requests).toHaveLength(2);
  });

  test('RFC 9111 §5.2.1.4: one with Cache-Control: no-cache wants an answer made for itself', async () => {
    const reads = [read(), read('/things/1', { 'cache-control': 'no-cache' })];
    await reached(2);
    answerAll();
    await Promise.all(reads);
    expect(upstream.requests).toHaveLength(2);
  });

  test('that come after the answer are new', async () => {
    const first = read();
    await reached(1);
    answerAll();
    await first;
    const second = read();
    await reached(2);
    held[1]!.response.end('new');
    expect(await second).toMatchObject({ text: 'new' });
  });
});

describe('A shared read', () => {
  test('goes on when its first client leaves', async () => {
    const leave = new AbortController();
    const first = fetch(`${gateway.url}/things/1`, { signal: leave.signal });
    first.catch(() => {});
    await reached(1);
    const second = fetch(`${gateway.url}/things/1`);
    await reached(1);
    leave.abort();
    await expect(first).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(held[0]!.closed).toBe(false);
    answerAll();
    expect(await (await second).text()).toBe('shared');
  });

  test('dies with its last waiter', async () => {
    const leave = new AbortController();
    const reads = [1, 2, 3].map(() => fetch(`${gateway.url}/things/1`, { signal: leave.signal }));
    await reached(1);
    leave.abort();
    expect((await Promise.allSettled(reads)).map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
    while (!held[0]!.closed) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test('that fails is an error for all of its waiters, and for the next one a new call', async () => {
    const reads = [read(), read()];
    await reached(1);
    held[0]!.response.destroy();
    for (const answer of await Promise.all(reads))
      expect(answer.json()).toMatchObject({ code: 'UPSTREAM_UNREACHABLE' });
    const next = read();
    await reached(2);
    held[1]!.response.end('well');
    expect(await next).toMatchObject({ text: 'well' });
  });

  test('that breaks off is whole for nobody', async () => {
    const reads = [read(), read()];
    await reached(1);
    const { response } = held[0]!;
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
    const [first, second] = await Promise.allSettled(reads);
    const broken = (outcome: typeof first) => outcome!.status === 'rejected' || outcome!.value.status === 502;
    expect([first, second].every(broken)).toBe(true);
  });

  test.each([
    ['sets a cookie', { 'set-cookie': 'session=1' }],
    ['varies by everything (RFC 9111 §4.1)', { vary: '*' }],
    ['varies by everything, among others', { vary: 'accept, *' }],
    ['is a stream of events', { 'content-type': 'text/event-stream' }],
    ['is a stream of lines', { 'content-type': 'application/x-ndjson; charset=utf-8' }],
    ['is larger than 1 MiB by its length', { 'content-length': String(2 * 1024 * 1024) }],
  ])('whose answer %s is shared with nobody: the others ask for themselves', async (_what, headers) => {
    const body = 'content-length' in headers ? Buffer.alloc(2 * 1024 * 1024) : 'mine';
    const reads = [read(), read(), read()];
    await reached(1);
    held[0]!.response.writeHead(200, headers).end(body);
    await reached(3);
    for (const { response } of held.slice(1)) response.writeHead(200, headers).end(body);
    for (const answer of await Promise.all(reads)) expect(answer.body.length).toBe(body.length);
  });

  test('that turns out larger than 1 MiB on its way is whole for everyone', async () => {
    const body = Buffer.alloc(3 * 1024 * 1024, 'x');
    const reads = [read(), read()];
    await reached(1);
    held[0]!.response.end(body);
    await reached(2);
    held[1]!.response.end(body);
    for (const answer of await Promise.all(reads)) expect(answer.body.equals(body)).toBe(true);
  });

  test('that its first client reads slowly is whole for the others meanwhile', async () => {
    const body = Buffer.alloc(1_000_000, 'x');
    const slow = await RawClient.connect(gateway.url);
    slow.socket.pause();
    slow.head('GET /things/1 HTTP/1.1', `Host: ${new URL(gateway.url).host}`);
    await reached(1);
    const second = read();
    // It rides on the first from the moment it is in.
    await until(async () => (await inFlight(gateway)) === 2);
    await reached(1);
    held[0]!.response.end(body);
    expect((await second).body.equals(body)).toBe(true);
    slow.socket.destroy();
  });

  test('is not led by a client with a deadline of its own, which the upstream is told of', async () => {
    const reads = [read('/things/1', { 'x-weir-deadline-ms': '5000' }), read()];
    await reached(2);
    const told = upstream.requests.map(({ headers }) => Number(headers['x-weir-deadline-ms']));
    expect(Math.min(...told)).toBeLessThanOrEqual(5000);
    answerAll();
    await Promise.all(reads);
  });

  test('one waiter with a deadline leaves when it is over; the others wait on', async () => {
    const first = read();
    await reached(1);
    const second = await read('/things/1', { 'x-weir-deadline-ms': '50' });
    expect(second.json()).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    answerAll();
    expect(await first).toMatchObject({ status: 200, text: 'shared' });
  });
});
