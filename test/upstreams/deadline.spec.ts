import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { begin, answerTo, send, until } from '../support/raw-client.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

let service: TestServer;
let gateway: TestGateway;
/** Time left as the upstream was told, one entry a request. */
let told: (string | undefined)[] = [];
/** Milliseconds after which it answers; it hangs when there are none. */
let answersAfterMs: number | undefined;

beforeAll(async () => {
  service = await startServer((request, response) => {
    told.push(request.headers['x-weir-deadline-ms'] as string | undefined);
    request.resume();
    if (request.url === '/trickle') {
      response.write('slow');
      setTimeout(() => response.end('ly'), 300);
    } else if (answersAfterMs !== undefined) {
      setTimeout(() => response.end('ok'), answersAfterMs);
    }
  });
  const calm = { endpoints: [service.url], breaker: { failures: 1 }, retry: { attempts: 2, backoff: '1ms' } };
  gateway = await startGateway({
    upstreams: {
      patient: { ...calm },
      brief: { ...calm, timeout: '200ms' },
      eager: { ...calm, attemptTimeout: '100ms', breaker: { failures: 3 } },
    },
    routes: [
      { path: '/patient', upstream: 'patient' },
      { path: '/brief', upstream: 'brief' },
      { path: '/eager', upstream: 'eager' },
      { path: '/route', upstream: 'patient', timeout: '150ms' },
      { path: '/trickle', upstream: 'brief', timeout: '150ms' },
    ],
  });
});

beforeEach(() => {
  told = [];
  answersAfterMs = undefined;
});

afterEach(() => untilIdle(gateway));

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

const state = (upstream: string) => gateway.gateway.assembly.upstreams.get(upstream)!.breaker.state;

describe("A client's own deadline, x-weir-deadline-ms", () => {
  test.each(['GET', 'POST'])(
    'ends a %s that takes longer: 504, with the upstream and the time spent; the upstream loses its connection',
    async (method) => {
      const started = performance.now();
      const answer = await send(`${gateway.url}/patient`, {
        method,
        headers: { 'x-weir-deadline-ms': '120' },
        ...(method === 'POST' && { body: Readable.from(['x']) }),
      });
      const tookMs = performance.now() - started;
      expect(answer.status).toBe(504);
      expect(answer.headers['proxy-status']).toBe('weir; error=http_response_timeout');
      const { elapsedMs, ...problem } = answer.json();
      expect(problem).toMatchObject({ code: 'DEADLINE_EXCEEDED', upstream: 'patient' });
      expect(elapsedMs).toBeGreaterThanOrEqual(119);
      expect(elapsedMs).toBeLessThanOrEqual(tookMs);
      await until(() => service.connections.size === 0);
      // One failure would have opened it: a client must not.
      expect(state('patient')).toBe('closed');
    },
  );

  test('is told to the upstream, as what is left of it', async () => {
    answersAfterMs = 0;
    await send(`${gateway.url}/patient`, { headers: { 'x-weir-deadline-ms': '5000' } });
    expect(Number(told[0])).toBeLessThanOrEqual(5000);
    expect(Number(told[0])).toBeGreaterThan(4000);
  });

  test("can only shorten the upstream's timeout, which is told otherwise", async () => {
    answersAfterMs = 0;
    await send(`${gateway.url}/brief`, { headers: { 'x-weir-deadline-ms': '99999999999' } });
    await send(`${gateway.url}/brief`);
    for (const left of told) expect(Number(left)).toBeLessThanOrEqual(200);
    answersAfterMs = undefined;
    const answer = await send(`${gateway.url}/brief`, { headers: { 'x-weir-deadline-ms': '60000' } });
    expect(answer.json()).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  test('that has passed calls nobody', async () => {
    const answer = await send(`${gateway.url}/patient`, { headers: { 'x-weir-deadline-ms': '0' } });
    expect(answer.json()).toMatchObject({ status: 504, code: 'DEADLINE_EXCEEDED' });
    expect(told).toEqual([]);
  });

  test.each(['-1', '1.5', 'soon', '1e3x', '1e400', '0x', ''])("that is none ('%s') is a 400", async (value) => {
    const answer = await send(`${gateway.url}/patient`, { headers: { 'x-weir-deadline-ms': value } });
    expect(answer.json()).toMatchObject({ status: 400, code: 'BAD_REQUEST' });
  });

  test('holds while the client still uploads', async () => {
    const request = begin(`${gateway.url}/patient`, {
      method: 'POST',
      headers: { 'x-weir-deadline-ms': '150', 'content-length': 1_000_000 },
    });
    request.write('some');
    const answer = await answerTo(request);
    expect(answer.json()).toMatchObject({ status: 504, code: 'DEADLINE_EXCEEDED' });
    expect(Number(told[0])).toBeLessThanOrEqual(150);
    request.destroy();
  });

  test('holds for what is left of it after an upload', async () => {
    const request = begin(`${gateway.url}/patient`, {
      method: 'POST',
      headers: { 'x-weir-deadline-ms': '250', 'content-length': 100_000 },
    });
    const started = performance.now();
    setTimeout(() => request.end(Buffer.alloc(100_000)), 100);
    request.flushHeaders();
    const answer = await answerTo(request);
    expect(answer.json()).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(performance.now() - started).toBeLessThan(340);
  });
});

describe('The timeout of a route or an upstream', () => {
  test('covers the retries too', async () => {
    const own = await startGateway({
      upstreams: {
        s: {
          endpoints: [service.url],
          timeout: '200ms',
          attemptTimeout: '60ms',
          retry: { attempts: 10, backoff: '1ms' },
          breaker: { failures: 100 },
        },
      },
      routes: [{ path: '/', upstream: 's' }],
    });
    const started = performance.now();
    expect((await send(own.url)).status).toBe(504);
    expect(performance.now() - started).toBeLessThan(300);
    expect(told.length).toBeGreaterThan(1);
    expect(told.length).toBeLessThan(5);
    await untilIdle(own);
    await own.stop();
  });

  test("the route's stands in for the upstream's", async () => {
    const answer = await send(`${gateway.url}/route`);
    expect(answer.json()).toMatchObject({ status: 504, code: 'DEADLINE_EXCEEDED', upstream: 'patient' });
    expect(Number(told[0])).toBeLessThanOrEqual(150);
    expect(state('patient')).toBe('closed');
  });

  test('ends with the head of the answer: a body may take longer', async () => {
    expect((await send(`${gateway.url}/trickle`)).text).toBe('slowly');
  });

  test('does not run while the client uploads, and is not told to the upstream then', async () => {
    answersAfterMs = 0;
    const request = begin(`${gateway.url}/route`, { method: 'POST', headers: { 'content-length': 100_000 } });
    request.flushHeaders();
    setTimeout(() => request.end(Buffer.alloc(100_000)), 300);
    expect((await answerTo(request)).text).toBe('ok');
    expect(told).toEqual([undefined]);
  });
});

describe('The timeout of an attempt', () => {
  test("is the upstream's failure: it is tried again, then 504 UPSTREAM_TIMEOUT, and the breaker counts", async () => {
    const answer = await send(`${gateway.url}/eager`);
    expect(answer.json()).toMatchObject({ status: 504, code: 'UPSTREAM_TIMEOUT', upstream: 'eager' });
    expect(gateway.gateway.assembly.upstreams.get('eager')!.retries).toBe(2);
    expect(state('eager')).toBe('open');
    await until(() => told.length === 3);
  });

  test('an attempt that comes in time is the answer', async () => {
    const own = await startGateway({
      upstreams: {
        eager: { endpoints: [service.url], attemptTimeout: '150ms', retry: { attempts: 2, backoff: '1ms' } },
      },
      routes: [{ path: '/eager', upstream: 'eager' }],
    });
    const asked = send(`${own.url}/eager`);
    await until(() => told.length === 2);
    answersAfterMs = 0;
    expect((await asked).text).toBe('ok');
    expect(told.length).toBe(3);
    // Each is told what is left.
    expect(Number(told[2])).toBeLessThan(Number(told[0]));
    expect(own.gateway.assembly.upstreams.get('eager')!.retries).toBe(2);
    await own.stop();
  });
});
