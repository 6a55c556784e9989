import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';
import { afterEach, describe, expect, test } from 'vitest';
import type { UpstreamStatus } from '#gateway/control/upstream-status.ts';
import { startGateway, untilIdle, type TestConfig, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { deadUrl, startServer, startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';

let gateway: TestGateway;
const services: TestUpstream[] = [];

async function service(handler: Handler = (_request, response) => void response.end('ok')): Promise<TestUpstream> {
  const started = await startUpstream(handler);
  services.push(started);
  return started;
}

async function start(settings: object, more: TestConfig = {}): Promise<void> {
  gateway = await startGateway({
    upstreams: { things: { retry: { attempts: 0 }, ...settings } },
    routes: [{ name: 'things', path: '/*path', upstream: 'things' }],
    ...more,
  });
}

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  for (const started of services.splice(0)) await started.close();
});

async function things(): Promise<UpstreamStatus> {
  const answer = await send(`${gateway.adminUrl}/admin/upstreams/things`);
  expect(answer.status).toBe(200);
  return JSON.parse(answer.text) as UpstreamStatus;
}

/** So many calls, one after the other, each to a path of its own. */
async function call(times: number, path = '/'): Promise<void> {
  for (let count = 0; count < times; count++) await send(`${gateway.url}${path}${count}`);
}

describe('/admin/upstreams', () => {
  test('says of an upstream that nobody has called that nothing is wrong, and nothing is known', async () => {
    const { url } = await service();
    await start({ endpoints: [url], timeout: '3s', attemptTimeout: '1s' });
    const status = await things();
    expect(status).toMatchObject({
      name: 'things',
      problems: [],
      breaker: { state: 'closed', restMs: 0, processes: { closed: 1, open: 0, 'half-open': 0 } },
      rate: 0,
      calls: 0,
      errorRatio: 0,
      refusedRatio: 0,
      timeoutMs: 3_000,
      attemptTimeoutMs: 1_000,
      inFlight: 0,
      maxInFlight: 256,
      connections: { used: 0, waiting: 0, max: 128 },
      retries: 0,
      panic: false,
      endpoints: [{ url, state: 'up', weight: 1, share: 1, healthy: true, drained: false, ejections: 0, active: 0 }],
    });
    expect('latencyMs' in status || 'lastError' in status || 'owner' in status).toBe(false);
    expect(Date.parse(status.breaker.since)).toBeLessThanOrEqual(Date.now());
  });

  test('has rate, error ratio and percentiles of its calls, beside the timeout that bounds them', async () => {
    const slow = 300;
    const { url } = await service((request, response) => {
      if (request.url!.startsWith('/slow')) setTimeout(() => response.end('ok'), slow);
      else response.writeHead(request.url!.startsWith('/sick') ? 500 : 200).end('ok');
    });
    await start({ endpoints: [url], breaker: { failures: 100 }, ejection: { failures: 0 } });
    await call(12);
    await call(4, '/sick');
    await Promise.all(Array.from({ length: 4 }, (_, index) => send(`${gateway.url}/slow${index}`)));
    const { calls, errorRatio, refusedRatio, latencyMs, rate } = await things();
    expect({ calls, errorRatio, refusedRatio }).toEqual({ calls: 20, errorRatio: 0.2, refusedRatio: 0 });
    expect(rate).toBeGreaterThan(0);
    expect(latencyMs!.p50).toBeLessThan(slow);
    expect(latencyMs!.p95).toBeGreaterThan(slow * 0.95);
    expect(latencyMs!.p99).toBeGreaterThanOrEqual(latencyMs!.p95);
  });

  test('times the whole of an answer that streams only up to its head, as the timeout does', async () => {
    const bodies: (() => void)[] = [];
    const { url } = await service((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.write('a');
      bodies.push(() => response.end('b'));
    });
    await start({ endpoints: [url] });
    const answer = send(`${gateway.url}/long`, { headers: { 'cache-control': 'no-cache' } });
    await until(async () => (await things()).calls === 1);
    expect((await things()).inFlight).toBe(1);
    bodies[0]!();
    expect((await answer).text).toBe('ab');
    expect((await things()).calls).toBe(1);
  });

  test('names the last error with its status, its endpoint and its time, also where the answer was an error', async () => {
    const { url } = await service((request, response) => {
      response.writeHead(request.url!.startsWith('/501') ? 501 : 503).end();
    });
    await start({ endpoints: [url] });
    const before = Date.now();
    // A status that no breaker counts is an error all the same.
    await call(1, '/501');
    expect(await things()).toMatchObject({
      lastError: { code: 'UPSTREAM_ERROR', status: 501, endpoint: url },
      // One of one says nothing about the upstream.
      errorRatio: 1,
      problems: [],
    });
    await call(1);
    const { lastError, endpoints } = await things();
    expect(lastError).toMatchObject({ code: 'UPSTREAM_ERROR', status: 503, endpoint: url });
    expect(endpoints[0]!.lastError).toMatchObject({ code: 'UPSTREAM_ERROR', status: 503 });
    expect(Date.parse(lastError!.at)).toBeGreaterThanOrEqual(before - 1);
  });

  test('keeps the error that opened the breaker as the last one, while calls are refused; since when, and until when', async () => {
    const dead = await deadUrl();
    await start({ endpoints: [dead], breaker: { failures: 3, openFor: '1m' } });
    const before = Date.now();
    await call(9);
    const { breaker, lastError, errorRatio, refusedRatio, latencyMs, problems } = await things();
    expect(breaker.state).toBe('open');
    expect(Date.parse(breaker.since)).toBeGreaterThanOrEqual(before - 1);
    expect(breaker.restMs).toBeGreaterThan(30_000);
    expect(lastError).toMatchObject({ code: 'UPSTREAM_UNREACHABLE', endpoint: dead });
    expect({ errorRatio, refusedRatio, latencyMs }).toEqual({ errorRatio: 1, refusedRatio: 0.6667 });
    expect(problems).toContain('its breaker is open');
  });

  test('counts what ran out of time as slow: the p99 stands at the timeout, and it is told', async () => {
    const { url } = await service(() => {});
    await start({
      endpoints: [url],
      timeout: '100ms',
      attemptTimeout: '100ms',
      breaker: { failures: 100 },
      ejection: { failures: 0 },
    });
    await Promise.all(Array.from({ length: 20 }, (_, index) => send(`${gateway.url}/${index}`)));
    const { latencyMs, errorRatio, problems } = await things();
    expect(errorRatio).toBe(1);
    expect(latencyMs!.p99).toBeGreaterThan(90);
    expect(problems).toEqual(['100 % of its calls fail', 'its p99 is near its timeout of 100ms']);
  });

  test("holds a client's own impatience, and its leaving, against nobody", async () => {
    const { url } = await service(() => {});
    await start({ endpoints: [url] });
    await send(`${gateway.url}/a`, { headers: { 'x-weir-deadline-ms': '30' } });
    const client = await RawClient.connect(gateway.url);
    client.head('GET /b HTTP/1.1', 'Host: x');
    await until(() => services[0]!.requests.length === 2);
    client.reset();
    await until(async () => (await things()).calls === 2);
    expect(await things()).toMatchObject({ errorRatio: 0, problems: [] });
    expect('lastError' in (await things())).toBe(false);
  });

  test('counts an answer that breaks off as an error of the call that was good at first', async () => {
    const { url } = await service((_request, response) => {
      response.writeHead(200, { 'content-length': 10 });
      response.write('half', () => response.destroy());
    });
    await start({ endpoints: [url] });
    await send(`${gateway.url}/x`).catch(() => {});
    await until(async () => (await things()).errorRatio === 1);
    expect(await things()).toMatchObject({ calls: 1, lastError: { code: 'UPSTREAM_BAD_RESPONSE' } });
  });

  test('does not count health checks, whose failures stand with their endpoints, with the next check', async () => {
    const { url } = await service((_request, response) => void response.writeHead(500).end());
    await start({ endpoints: [url], health: { path: '/health', every: '100ms', unhealthyAfter: 2 } });
    await until(async () => (await things()).endpoints[0]!.state === 'unhealthy');
    const { calls, endpoints, problems } = await things();
    expect(calls).toBe(0);
    expect(endpoints[0]).toMatchObject({ healthy: false });
    expect(endpoints[0]!.nextCheck).toMatch(/^\d{4}-.*Z$/);
    expect(problems).toContain(`1 of 1 endpoints is out: ${url} (unhealthy)`);
  });

  test('tells an endpoint that was ejected from one that is unhealthy, and until when', async () => {
    const sick = await service((_request, response) => void response.writeHead(500).end());
    const well = await service();
    await start({
      endpoints: [sick.url, well.url],
      breaker: { failures: 1000 },
      ejection: { failures: 2, for: '1m' },
      slowStart: '0ms',
    });
    await call(8);
    const { endpoints } = await things();
    expect(endpoints).toMatchObject([
      { url: sick.url, state: 'ejected', healthy: true, ejections: 1 },
      { url: well.url, state: 'up' },
    ]);
    expect(Date.parse(endpoints[0]!.ejectedUntil!)).toBeGreaterThan(Date.now() + 30_000);
  });

  test('says when the places for calls are nearly all taken', async () => {
    const held: (() => void)[] = [];
    const { url } = await service((_request, response) => void held.push(() => response.end()));
    await start({ endpoints: [url], maxInFlight: 5 });
    const asked = Array.from({ length: 4 }, (_, index) => send(`${gateway.url}/${index}`));
    await until(() => held.length === 4);
    expect((await things()).problems).toEqual(['4 of 5 calls are in flight (maxInFlight)']);
    for (const answer of held) answer();
    await Promise.all(asked);
  });

  test('finds no upstream of another name, and names those that there are', async () => {
    const { url } = await service();
    await start({ endpoints: [url] });
    const answer = await send(`${gateway.adminUrl}/admin/upstreams/thing`);
    expect([answer.status, answer.headers['content-type'], answer.json()]).toEqual([
      404,
      'application/problem+json; charset=utf-8',
      { type: 'about:blank', status: 404, title: 'There is no such upstream', known: ['things'] },
    ]);
  });

  test('keeps what it counted over a reload', async () => {
    const { url } = await service();
    await start({ endpoints: [url] });
    await call(3);
    await gateway.gateway.control.reload();
    expect(await things()).toMatchObject({ calls: 3 });
  });

  test('counts a WebSocket from its first moment, not at its end', async () => {
    const { url, server, close } = await startServer((_request, response) => void response.end());
    const accepting = new WebSocketServer({ server });
    await start({ endpoints: [url] });
    const client = new WebSocket(`${gateway.url.replace('http', 'ws')}/socket`);
    await once(client, 'open');
    await until(async () => (await things()).calls === 1);
    expect(await things()).toMatchObject({ errorRatio: 0, inFlight: 1 });
    client.close();
    await once(client, 'close');
    await untilIdle(gateway);
    expect(await things()).toMatchObject({ calls: 1, errorRatio: 0 });
    accepting.close();
    await close();
  });
});
