import { afterEach, describe, expect, test } from 'vitest';
import { upstreamSchema } from '#upstreams/settings.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';

/** What the service does just now. */
let behave: Handler = (_request, response) => void response.end('ok');
let upstream: TestUpstream;
let gateway: TestGateway;

const well: Handler = (_request, response) => void response.end('ok');
const sick: Handler = (_request, response) => {
  response.statusCode = 500;
  response.end('sick');
};
const silent: Handler = () => {};

async function front(breaker: object, settings: object = {}): Promise<void> {
  behave = well;
  upstream = await startUpstream((...call) => behave(...call));
  gateway = await startGateway({
    upstreams: { things: { endpoints: [upstream.url], retry: { attempts: 0 }, breaker, ...settings } },
    routes: [{ path: '/*path', upstream: 'things' }],
  });
}

const openFor = 150;
const quick = { failures: 3, openFor: `${openFor}ms`, successes: 3 };

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await upstream.close();
});

const things = () => gateway.gateway.assembly.upstreams.get('things')!;
const state = () => things().breaker.state;
const busy = () => things().slots.used;
const ask = (path = '/a') => send(gateway.url + path);
const rest = () => new Promise((resolve) => setTimeout(resolve, openFor + 20));
/** Statuses of so many calls in a row. */
async function askTimes(times: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let count = 0; count < times; count++) statuses.push((await ask()).status);
  return statuses;
}
async function open(): Promise<void> {
  behave = sick;
  await askTimes(3);
  expect(state()).toBe('open');
}

describe('The breaker', () => {
  test('opens after as many failures in a row as configured, and refuses without asking', async () => {
    await front(quick);
    behave = sick;
    expect(await askTimes(3)).toEqual([500, 500, 500]);
    const refused = await ask();
    expect(refused.status).toBe(503);
    expect(refused.json()).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE', upstream: 'things' });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(upstream.requests).toHaveLength(3);
  });

  test('by default that is five', async () => {
    await front({});
    behave = sick;
    expect(await askTimes(6)).toEqual([500, 500, 500, 500, 500, 503]);
  });

  test('counts only failures in a row: a success between them starts anew', async () => {
    await front(quick);
    for (let round = 0; round < 3; round++) {
      behave = sick;
      await askTimes(2);
      behave = well;
      await ask();
    }
    expect(state()).toBe('closed');
  });

  test('does not count failures further apart than `within`', async () => {
    await front({ ...quick, within: '60ms' });
    behave = sick;
    for (let count = 0; count < 4; count++) {
      await ask();
      await new Promise((resolve) => setTimeout(resolve, 80));
    }
    expect(state()).toBe('closed');
  });

  test('after its rest lets probes through, and closes after three that succeed', async () => {
    await front(quick);
    await open();
    await rest();
    behave = well;
    expect(await ask()).toMatchObject({ status: 200 });
    expect(state()).toBe('half-open');
    expect(await askTimes(2)).toEqual([200, 200]);
    expect(state()).toBe('closed');
  });

  test('opens again with the first probe that fails', async () => {
    await front(quick);
    await open();
    await rest();
    expect(await ask()).toMatchObject({ status: 500 });
    expect(state()).toBe('open');
    expect(await ask()).toMatchObject({ status: 503 });
  });

  test('while probes are under way refuses everyone else at once, instead of letting them wait', async () => {
    await front(quick);
    await open();
    await rest();
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.end('ok'));
    // Not one path, or they would be one call.
    const probes = [ask('/1'), ask('/2'), ask('/3')];
    while (held.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    expect((await ask('/4')).json()).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    for (const answer of held) answer();
    expect((await Promise.all(probes)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(state()).toBe('closed');
  });

  test('while the last probe that it takes is under way refuses everyone else, too', async () => {
    await front(quick);
    await open();
    await rest();
    behave = well;
    await askTimes(2);
    let answer = () => {};
    behave = (_request, response) => void (answer = () => response.end('ok'));
    const probe = ask('/last');
    await until(() => upstream.requests.at(-1)?.url === '/last');
    expect((await ask('/surplus')).json()).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    answer();
    expect(await probe).toMatchObject({ status: 200 });
    expect(state()).toBe('closed');
  });

  test('takes a refusal by the upstream (4xx) for a sign of life, also as a probe', async () => {
    await front(quick);
    await open();
    await rest();
    behave = (_request, response) => void response.writeHead(404).end();
    expect(await askTimes(3)).toEqual([404, 404, 404]);
    expect(state()).toBe('closed');
  });

  test('forgets what was asked before it opened: a late failure does not end a trial, nor a late success close it', async () => {
    await front(quick);
    const late: ((status: number) => void)[] = [];
    behave = (_request, response) => void late.push((status) => response.writeHead(status).end());
    const asked = ['/1', '/2', '/3', '/4'].map((path) => ask(path));
    await until(() => late.length === 4);
    await open();
    await rest();
    behave = well;
    await ask();
    for (const [index, answer] of late.entries()) answer(index % 2 === 0 ? 500 : 200);
    await Promise.all(asked);
    expect(state()).toBe('half-open');
    await askTimes(2);
    expect(state()).toBe('closed');
  });

  test('is not decided by a probe that lives on the stream of a client that leaves', async () => {
    await front({ ...quick, successes: 1 });
    await open();
    await rest();
    behave = silent;
    for (let count = 0; count < 3; count++) {
      const client = await RawClient.connect(gateway.url);
      client.head('POST /a HTTP/1.1', 'Host: x', 'Content-Length: 100000').write('some');
      await until(() => upstream.connections.size > 0 && busy() === 1);
      client.reset();
      await until(() => busy() === 0);
      expect(state()).toBe('half-open');
    }
    behave = well;
    expect(await ask()).toMatchObject({ status: 200 });
    expect(state()).toBe('closed');
  });

  test('is not decided by a probe that finds the bulkhead full', async () => {
    await front({ ...quick, successes: 1 }, { maxInFlight: 1 });
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.end('ok'));
    const first = ask('/held');
    await until(() => held.length === 1);
    // Opened by others than the door's: whatever calls an upstream goes through the same breaker.
    const { breaker } = things();
    for (let count = 0; count < 3; count++) breaker.judge(breaker.admit()!, false);
    await until(() => state() === 'open');
    await rest();
    expect(await ask('/probe')).toMatchObject({ status: 503 });
    expect(state()).toBe('half-open');
    held[0]!();
    await first;
  });

  test('counts attempts that run out of their time', async () => {
    await front(quick, { attemptTimeout: '30ms' });
    behave = silent;
    expect(await askTimes(4)).toEqual([504, 504, 504, 503]);
  });

  test('counts answers that break off in the middle', async () => {
    await front(quick);
    behave = (_request, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half', () => response.destroy());
    };
    for (let count = 0; count < 3; count++) await expect(ask()).rejects.toThrow();
    expect(state()).toBe('open');
  });

  test('a client cannot open it: neither by its own deadline, nor by leaving, nor by requests that are refused', async () => {
    await front(quick);
    behave = silent;
    for (let count = 0; count < 4; count++) {
      expect(await send(`${gateway.url}/a`, { headers: { 'x-weir-deadline-ms': '20' } })).toMatchObject({
        status: 504,
      });
      await expect(fetch(`${gateway.url}/a`, { signal: AbortSignal.timeout(20) })).rejects.toThrow();
    }
    behave = (_request, response) => {
      response.statusCode = 404;
      response.end();
    };
    await askTimes(4);
    expect(state()).toBe('closed');
  });

  test('a client that leaves a probe decides nothing: the probe runs to its end', async () => {
    await front(quick, { attemptTimeout: '200ms' });
    await open();
    await rest();
    behave = silent;
    await expect(fetch(`${gateway.url}/a`, { signal: AbortSignal.timeout(30) })).rejects.toThrow();
    expect(state()).toBe('half-open');
    while (state() === 'half-open') await new Promise((resolve) => setTimeout(resolve, 10));
    expect(state()).toBe('open');
  });

  test('is one for both forms of the exchange', async () => {
    await front(quick);
    behave = sick;
    for (let count = 0; count < 3; count++) {
      expect(await send(`${gateway.url}/a`, { method: 'POST', body: Buffer.alloc(100_000) })).toMatchObject({
        status: 500,
      });
    }
    expect(await ask()).toMatchObject({ status: 503 });
  });

  test('an open one does not fail /readyz, which names it', async () => {
    await front(quick);
    await open();
    const ready = await send(`${gateway.adminUrl}/readyz`);
    expect(ready.status).toBe(200);
    expect(ready.json()).toMatchObject({ upstreams: { things: { breaker: 'open' } } });
  });
});

describe('Other settings', () => {
  /** As a reload brings them. */
  function reload(settings: object, others: object = {}): void {
    const written = { endpoints: [upstream.url], retry: { attempts: 0 }, breaker: settings, ...others };
    things().prepare(upstreamSchema.parse(written))();
  }

  test('leave it open, for as long as they say', async () => {
    await front({ ...quick, openFor: '10m' });
    await open();
    reload({ ...quick, openFor: '5m' });
    expect(state()).toBe('open');
    expect(things().breaker.restMs).toBeLessThanOrEqual(300_000);
    expect(await ask()).toMatchObject({ status: 503 });
    reload({ ...quick, openFor: '1ms' });
    await until(() => state() === 'half-open');
  });

  test('leave it open when they want another number of successes, which is then what closes it', async () => {
    await front(quick);
    await open();
    reload({ ...quick, successes: 2 });
    // A busy machine may be late to look.
    expect(state()).not.toBe('closed');
    await rest();
    behave = well;
    await ask();
    expect(state()).toBe('half-open');
    await ask();
    expect(state()).toBe('closed');
  });

  test('leave it half-open, where probes begin anew with another number of successes', async () => {
    await front(quick);
    await open();
    await rest();
    behave = well;
    await askTimes(2);
    reload({ ...quick, successes: 2 });
    expect(state()).toBe('half-open');
    await ask();
    expect(state()).toBe('half-open');
    await ask();
    expect(state()).toBe('closed');
  });

  test('do not hear what probes say that began under another number of successes', async () => {
    await front(quick);
    await open();
    await rest();
    let answer = () => {};
    behave = (_request, response) => void (answer = () => response.writeHead(500).end());
    const probe = ask('/probe');
    await until(() => upstream.requests.at(-1)?.url === '/probe');
    reload({ ...quick, successes: 1 });
    answer();
    await probe;
    expect(state()).toBe('half-open');
    behave = well;
    await ask();
    expect(state()).toBe('closed');
  });

  test('leave it closed, and the failures counted', async () => {
    await front({ ...quick, failures: 5 });
    behave = sick;
    await askTimes(3);
    reload({ ...quick, failures: 4, successes: 2 });
    expect(state()).toBe('closed');
    await ask();
    expect(state()).toBe('open');
  });

  test('say which statuses are failures from then on', async () => {
    await front(quick);
    reload({ ...quick, on: [418] });
    behave = sick;
    await askTimes(4);
    expect(state()).toBe('closed');
    behave = (_request, response) => void response.writeHead(418).end();
    await askTimes(3);
    expect(state()).toBe('open');
  });

  test('do not lose the verdict on a call that is under way', async () => {
    await front(quick);
    const held: (() => void)[] = [];
    behave = (_request, response) => void held.push(() => response.writeHead(500).end());
    const calls = ['/1', '/2', '/3'].map((path) => ask(path));
    await until(() => held.length === 3);
    reload(quick, { timeout: '10s' });
    for (const answer of held) answer();
    await Promise.all(calls);
    expect(state()).toBe('open');
  });
});
