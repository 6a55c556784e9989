import { Readable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, settle } from '../support/raw-client.ts';
import {
  deadUrl,
  startRawUpstream,
  startScript,
  startUpstream,
  type Handler,
  type TestUpstream,
} from '../support/upstream.ts';

let service: TestUpstream;
let gateway: TestGateway;

const fast = { attempts: 2, backoff: '1ms', maxBackoff: '5ms' };

async function before(handler: Handler, settings: object = {}): Promise<void> {
  service = await startUpstream(handler);
  gateway = await startGateway({
    upstreams: { service: { endpoints: [service.url], retry: fast, breaker: { failures: 1000 }, ...settings } },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  });
}

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

/** Fails so often, then works. */
function failing(times: number, status = 503, headers: Record<string, string> = {}): Handler {
  let left = times;
  return (_request, response) => {
    if (left-- > 0) response.writeHead(status, headers).end('sorry');
    else response.end('ok');
  };
}

const retries = () => gateway.gateway.assembly.upstreams.get('service')!.retries;

describe('What is tried again', () => {
  test.each([502, 503, 504])('a read that is answered with %i', async (status) => {
    await before(failing(2, status));
    const answer = await send(gateway.url);
    expect([answer.status, answer.text, service.requests.length, retries()]).toEqual([200, 'ok', 3, 2]);
    // However many attempts, it is one call.
    expect(await gateway.accessOf(String(answer.headers['x-request-id']))).toMatchObject({
      calls: 1,
      upstreams: { service: 1 },
    });
  });

  test.each(['PUT', 'DELETE', 'OPTIONS', 'HEAD'])(
    '%s, which is idempotent (RFC 9110 §9.2.2), with the body that is held',
    async (method) => {
      await before(failing(1));
      const body = method === 'PUT' || method === 'DELETE' ? { body: 'the same' } : {};
      expect((await send(gateway.url, { method, ...body })).status).toBe(200);
      expect(service.requests.map((request) => [request.method, request.body])).toEqual(
        [1, 2].map(() => [method, body.body ?? '']),
      );
    },
  );

  test.each(['end', 'reset'] as const)('a connection that breaks before the head (%s)', async (after) => {
    await before(() => {});
    let connections = 0;
    const broken = await startRawUpstream((socket) => {
      connections++;
      if (after === 'end') socket.end();
      else socket.resetAndDestroy();
    });
    const own = await startGateway({
      upstreams: { s: { endpoints: [broken.url], retry: fast } },
      routes: [{ path: '/', upstream: 's' }],
    });
    expect((await send(own.url)).json()).toMatchObject({ code: 'UPSTREAM_UNREACHABLE' });
    expect(connections).toBe(3);
    await untilIdle(own);
    await own.stop();
    await broken.close();
  });

  test('elsewhere, if there is an elsewhere', async () => {
    await before((_request, response) => void response.end('alive'));
    const own = await startGateway({
      upstreams: {
        s: {
          endpoints: [await deadUrl(), service.url],
          retry: { attempts: 1, backoff: '1ms' },
          breaker: { failures: 1000 },
        },
      },
      routes: [{ path: '{/*rest}', upstream: 's' }],
    });
    for (let round = 0; round < 10; round++) expect((await send(`${own.url}/${round}`)).text).toBe('alive');
    expect(own.gateway.assembly.upstreams.get('s')!.retries).toBe(5);
    await own.stop();
  });
});

describe('What is not', () => {
  test.each([
    ['POST', 'buffered', 'x'],
    ['PATCH', 'buffered', 'x'],
    ['PUT', 'streamed', Readable.from(['x'])],
  ])('a %s, %s', async (method, _, body) => {
    await before(failing(1));
    const answer = await send(gateway.url, { method, body });
    expect([answer.status, answer.text, service.requests.length]).toEqual([503, 'sorry', 1]);
  });

  test.each([400, 404, 408, 429, 500, 501])('a read that is answered with %i', async (status) => {
    await before(failing(1, status));
    expect([(await send(gateway.url)).status, service.requests.length]).toEqual([status, 1]);
  });

  test('anything, once bytes of the answer have gone out', async () => {
    await before(() => {});
    const broken = await startScript('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', 'end');
    const own = await startGateway({
      upstreams: { s: { endpoints: [broken.url], retry: fast } },
      routes: [{ path: '/', upstream: 's' }],
    });
    await expect(send(own.url)).rejects.toThrow();
    expect(own.gateway.assembly.upstreams.get('s')!.retries).toBe(0);
    await untilIdle(own);
    await own.stop();
    await broken.close();
  });

  test('anything, with attempts: 0', async () => {
    await before(failing(1), { retry: { attempts: 0 } });
    expect((await send(gateway.url)).status).toBe(503);
    expect(service.requests.length).toBe(1);
  });

  test("more often than attempts: the last answer is the client's, as it came", async () => {
    await before(failing(9, 503, { 'x-sorry': '1' }));
    const answer = await send(gateway.url);
    expect([answer.status, answer.text, answer.headers['x-sorry'], service.requests.length]).toEqual([
      503,
      'sorry',
      '1',
      3,
    ]);
  });
});

describe('The wait before a retry', () => {
  test.each([
    ['seconds', () => '1'],
    ['a date', () => new Date(Date.now() + 2000).toUTCString()],
  ])("is the upstream's Retry-After in %s (RFC 9110 §10.2.3)", async (_, retryAfter) => {
    await before(failing(1, 503, { 'retry-after': retryAfter() }));
    const started = performance.now();
    expect((await send(gateway.url)).text).toBe('ok');
    expect(performance.now() - started).toBeGreaterThan(950);
  });

  test('is not begun when the deadline would pass meanwhile', async () => {
    await before(failing(1, 503, { 'retry-after': '10' }), { timeout: '2s' });
    const started = performance.now();
    const answer = await send(gateway.url);
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '10']);
    expect(performance.now() - started).toBeLessThan(1000);
    expect(retries()).toBe(0);
  });

  test('ends with the deadline', async () => {
    await before(failing(9), { retry: { attempts: 9, backoff: '10s', maxBackoff: '10s' }, timeout: '30s' });
    const answer = await send(gateway.url, { headers: { 'x-weir-deadline-ms': '100' } });
    // Whether a retry was begun is up to the jitter; that it did not outlast the deadline is not.
    expect([503, 504]).toContain(answer.status);
    await untilIdle(gateway);
    const seen = service.requests.length;
    await settle(100);
    expect(service.requests.length).toBe(seen);
  });
});

describe('The retry budget', () => {
  test('bounds retries to a share of the calls and ten: n × budget + 10', async () => {
    await before(failing(Number.POSITIVE_INFINITY), { retry: { ...fast, attempts: 3, budget: 0.2 } });
    const calls = 50;
    for (let call = 0; call < calls; call++) await send(`${gateway.url}/${call}`);
    expect(retries()).toBeLessThanOrEqual(calls * 0.2 + 10);
    expect(retries()).toBeGreaterThanOrEqual(18);
    expect(service.requests.length).toBe(calls + retries());
  });

  test('of 0 allows none', async () => {
    await before(failing(1), { retry: { ...fast, budget: 0 } });
    expect((await send(gateway.url)).status).toBe(503);
  });
});
