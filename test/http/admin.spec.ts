import supertest from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { deadUrl, startUpstream, type TestUpstream } from '../support/upstream.ts';

let service: TestUpstream;
let gateway: TestGateway;
let guarded: TestGateway;

beforeAll(async () => {
  service = await startUpstream((request, response) => {
    if (request.url === '/hang') return;
    response.writeHead(request.url === '/missing' ? 404 : 200).end('ok');
  });
  const config = {
    upstreams: {
      service: { endpoints: [service.url] },
      dead: { endpoints: [await deadUrl()], retry: { attempts: 1, backoff: '1ms' }, breaker: { failures: 4 } },
    },
    routes: [
      { name: 'things', path: '/things{/*rest}', upstream: 'service', rewrite: '{/*rest}' },
      { name: 'dead', path: '/dead', upstream: 'dead' },
    ],
  };
  gateway = await startGateway(config);
  guarded = await startGateway({ ...config, admin: { token: 'a-long-token' } });
});

afterAll(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await guarded.stop();
  await service.close();
});

const admin = (path: string) => send(gateway.adminUrl + path);

/** The value of one series of /metrics, by all of its labels. */
async function metric(name: string, labels: Record<string, string> = {}): Promise<number> {
  const { text } = await admin('/metrics');
  const values = text.split('\n').flatMap((line) => {
    const [, found, set = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    const matches =
      found === name && Object.entries(labels).every(([key, wanted]) => set.includes(`${key}="${wanted}"`));
    return matches ? [Number(value)] : [];
  });
  return values.reduce((sum, value) => sum + value, 0);
}

describe('The admin listener', () => {
  test('is alive and ready, with a dead upstream and an open breaker as a mere detail', async () => {
    for (let call = 0; call < 3; call++) await send(`${gateway.url}/dead`);
    expect((await admin('/livez')).json()).toEqual({ status: 'live' });
    const ready = await admin('/readyz');
    expect([ready.status, ready.json()]).toEqual([
      200,
      {
        status: 'ready',
        upstreams: {
          service: { breaker: 'closed', endpoints: 1, healthy: 1 },
          dead: { breaker: 'open', endpoints: 1, healthy: 1 },
        },
      },
    ]);
  });

  test('says of each upstream what an engineer on call wants to know', async () => {
    const [first, dead] = JSON.parse((await admin('/admin/upstreams')).text) as Record<string, unknown>[];
    expect(first).toMatchObject({
      name: 'service',
      breaker: { state: 'closed', restMs: 0 },
      inFlight: 0,
      connections: { used: 0, waiting: 0, max: 128 },
    });
    expect(dead).toMatchObject({
      name: 'dead',
      breaker: { state: 'open' },
      endpoints: [{ healthy: true, active: 0, lastError: { code: 'UPSTREAM_UNREACHABLE' } }],
    });
  });

  test('is not to be had at the public port, nor the public at it', async () => {
    for (const path of ['/livez', '/readyz', '/metrics', '/admin/upstreams'])
      expect((await send(gateway.url + path)).status).toBe(404);
    expect((await admin('/things')).status).toBe(404);
  });

  test('asks for its token, but for the probes', async () => {
    const ask = (path: string, authorization?: string) => {
      const asking = supertest(guarded.adminUrl).get(path);
      return authorization === undefined ? asking : asking.set('authorization', authorization);
    };
    for (const path of ['/livez', '/readyz']) expect((await ask(path)).status).toBe(200);
    for (const path of ['/metrics', '/admin/upstreams', '/nothing']) {
      for (const wrong of [undefined, 'Bearer wrong', 'a-long-token', 'Basic a-long-token', 'Bearer a-long-token2']) {
        const answer = await ask(path, wrong);
        expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer']);
      }
    }
    expect((await ask('/metrics', 'Bearer a-long-token')).status).toBe(200);
  });
});

describe('/metrics', () => {
  test('counts requests by route, method and status, and those under way', async () => {
    const count = (labels: Record<string, string>) => metric('http_server_request_duration_seconds_count', labels);
    const things = { http_route: 'things', http_request_method: 'GET' };
    const [found, missing, nothing] = await Promise.all([
      count({ ...things, http_response_status_code: '200' }),
      count({ ...things, http_response_status_code: '404' }),
      count({ http_response_status_code: '404' }),
    ]);
    for (let call = 0; call < 3; call++) await send(`${gateway.url}/things/${call}`);
    await send(`${gateway.url}/things/missing`);
    await send(`${gateway.url}/nothing`);
    expect(await count({ ...things, http_response_status_code: '200' })).toBe(found + 3);
    expect(await count({ ...things, http_response_status_code: '404' })).toBe(missing + 1);
    expect(await count({ http_response_status_code: '404' })).toBe(nothing + 2);
    const client = await RawClient.connect(gateway.url);
    client.head('GET /things/hang HTTP/1.1', 'Host: x', 'X-Request-Id: hanging');
    await until(async () => (await metric('http_server_active_requests')) === 1);
    expect(await metric('weir_upstream_active_calls', { weir_upstream: 'service' })).toBe(1);
    expect(await metric('weir_server_connections')).toBeGreaterThanOrEqual(1);
    client.reset();
    await gateway.accessOf('hanging');
    expect(await metric('http_server_active_requests')).toBe(0);
    expect(await metric('weir_upstream_active_calls', { weir_upstream: 'service' })).toBe(0);
  });

  test('counts calls to upstreams, one however many attempts, and their failures by code', async () => {
    const name = 'weir_upstream_call_duration_seconds_count';
    const before = await metric(name, { weir_upstream: 'service', http_response_status_code: '200' });
    await send(`${gateway.url}/things/counted`);
    expect(await metric(name, { weir_upstream: 'service', http_response_status_code: '200' })).toBe(before + 1);
    const own = await startGateway({
      upstreams: { dead: { endpoints: [await deadUrl()], retry: { attempts: 2, backoff: '1ms' } } },
      routes: [{ path: '/', upstream: 'dead' }],
    });
    await send(own.url);
    const { text } = await send(`${own.adminUrl}/metrics`);
    expect(text).toMatch(/^weir_upstream_call_errors_total\{[^}]*error_type="UPSTREAM_UNREACHABLE"[^}]*\} 1$/m);
    expect(text).toMatch(/^weir_upstream_retries_total\{[^}]*weir_upstream="dead"[^}]*\} 2$/m);
    await own.stop();
  });

  test('shows breakers, connections and endpoints as they are', async () => {
    for (let call = 0; call < 3; call++) await send(`${gateway.url}/dead`);
    const breaker = (state: string) =>
      metric('weir_upstream_breaker_state', { weir_upstream: 'dead', weir_breaker_state: state });
    expect([await breaker('closed'), await breaker('half-open'), await breaker('open')]).toEqual([0, 0, 1]);
    expect(await metric('weir_upstream_connections', { weir_upstream: 'service', weir_connection_state: 'used' })).toBe(
      0,
    );
    expect(await metric('weir_upstream_endpoint_healthy', { weir_upstream: 'service' })).toBe(1);
  });
});
