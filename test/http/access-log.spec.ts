import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, settle, until } from '../support/raw-client.ts';
import { deadUrl, startServer, type TestServer } from '../support/upstream.ts';

let service: TestServer;
let gateway: TestGateway;

beforeAll(async () => {
  service = await startServer((request, response) => {
    request.resume();
    if (request.url === '/hang') return;
    request.on('end', () => response.end('12345'));
  });
  gateway = await startGateway({
    upstreams: {
      service: { endpoints: [service.url] },
      dead: { endpoints: [await deadUrl()], retry: { attempts: 1, backoff: '1ms' } },
    },
    routes: [
      { name: 'things', path: '/things{/*rest}', upstream: 'service', rewrite: '{/*rest}' },
      { path: '/dead', upstream: 'dead' },
    ],
  });
});

afterAll(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

async function lineOf(...sending: Parameters<typeof send>) {
  const answer = await send(...sending);
  return gateway.accessOf(String(answer.headers['x-request-id']));
}

const lines = () => gateway.log.filter(({ msg }) => msg === 'request');

describe('The access log', () => {
  test('has one line for a request, with all there is to say of it', async () => {
    const answer = await send(`${gateway.url}/things/1?a=1&token=secret`, {
      headers: { 'user-agent': 'x', authorization: 'Bearer secret', cookie: 'secret' },
    });
    const { durationMs, traceId, spanId, time, pid, ...line } = await gateway.accessOf(
      String(answer.headers['x-request-id']),
    );
    expect(line).toEqual({
      level: 'info',
      service: 'weir',
      msg: 'request',
      requestId: answer.headers['x-request-id'],
      method: 'GET',
      route: 'things',
      path: '/things/1',
      query: 'a=1&token=[redacted]',
      status: 200,
      requestBytes: 0,
      responseBytes: 5,
      clientIp: '127.0.0.1',
      calls: 1,
      upstreams: { service: 1 },
    });
    expect(answer.headers.traceparent).toContain(`00-${String(traceId)}-${String(spanId)}-`);
    expect(durationMs).toBeGreaterThan(0);
    expect([typeof time, typeof pid]).toEqual(['string', 'number']);
    await settle(20);
    expect(lines().filter(({ requestId }) => requestId === line.requestId)).toHaveLength(1);
    expect(JSON.stringify(gateway.log)).not.toContain('secret');
  });

  test.each([
    ['held', 'hello', 5],
    ['streamed', Readable.from(['hello ', 'world']), 11],
    ['streamed for its size', 'x'.repeat(100_000), 100_000],
  ])('counts the bytes of a body, %s', async (_, body, bytes) => {
    expect(await lineOf(`${gateway.url}/things`, { method: 'POST', body })).toMatchObject({
      requestBytes: bytes,
      responseBytes: 5,
    });
  });

  test('says what went wrong by its code, and what was behind it to the log alone', async () => {
    const answer = await send(`${gateway.url}/dead`);
    const line = await gateway.accessOf(String(answer.headers['x-request-id']));
    expect(line).toMatchObject({ status: 502, error: 'UPSTREAM_UNREACHABLE', calls: 1, upstreams: { dead: 1 } });
    expect(line.cause).toContain('ECONNREFUSED');
    expect(answer.text).not.toContain('ECONNREFUSED');
  });

  test.each([
    ['/nothing', 'GET', { status: 404, error: 'ROUTE_NOT_FOUND', calls: 0 }],
    ['/things/%00', 'GET', { status: 400, error: 'BAD_REQUEST', calls: 0 }],
    ['/docs/errors', 'GET', { status: 200, route: '/docs/errors', calls: 0 }],
    ['/docs/errors', 'POST', { status: 405, error: 'METHOD_NOT_ALLOWED' }],
  ])('has a line for what is answered without a call: %s', async (path, method, expected) => {
    expect(await lineOf(gateway.url + path, { method })).toMatchObject(expected);
  });

  test('has a line for a client that left, by the code that no client sees', async () => {
    const before = lines().length;
    const client = await RawClient.connect(gateway.url);
    client.head('GET /things/hang HTTP/1.1', 'Host: x', 'X-Request-Id: gone');
    await until(() => gateway.gateway.assembly.upstreams.get('service')!.inFlight === 1);
    client.reset();
    expect(await gateway.accessOf('gone')).toMatchObject({
      route: 'things',
      error: 'CLIENT_CLOSED_REQUEST',
      calls: 1,
      responseBytes: 0,
    });
    expect(lines().length).toBe(before + 1);
  });

  test('is not broken by what a client sends', async () => {
    const line = await lineOf(`${gateway.url}/things/%22%7B%0${'1'.repeat(0)}d`.replace('%0d', '%20'), {
      headers: { host: 'a"b' },
    }).catch(() => undefined);
    expect(line).toBeDefined();
    const long = await lineOf(`${gateway.url}/things/${'x'.repeat(5000)}`);
    expect(String(long.path).length).toBeLessThan(1100);
  });
});
