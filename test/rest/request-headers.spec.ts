import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { RawClient, raw, send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let gateway: TestGateway;
let trusting: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => void response.end('ok'));
  const endpoints = [upstream.url];
  const config = {
    upstreams: { shown: { endpoints }, hidden: { endpoints, identity: 'none' } },
    routes: [
      { path: '/shown', upstream: 'shown' },
      { path: '/hidden', upstream: 'hidden' },
    ],
  };
  gateway = await startGateway(config);
  trusting = await startGateway({ ...config, listen: { trustedProxies: ['127.0.0.1', '10.0.0.0/8', 'fd00::/8'] } });
});

afterAll(async () => {
  await gateway.stop();
  await trusting.stop();
  await upstream.close();
});

const latest = () => upstream.requests.at(-1)!.headers;

/** By either form of the exchange. */
const forms = ['buffered', 'streamed'] as const;

async function ask(
  form: (typeof forms)[number],
  headers: Record<string, string | string[]>,
  path = '/shown',
  base = gateway.url,
) {
  const body = form === 'streamed' ? { method: 'POST', body: Readable.from(['x']) } : {};
  const answer = await send(`${base}${path}`, { ...body, headers });
  expect(answer.status).toBe(200);
  return answer;
}

describe.each(forms)('What a client sends of headers, %s', (form) => {
  test('goes on where it is end-to-end, repeated fields joined (RFC 9110 §5.3)', async () => {
    await ask(form, {
      'content-type': 'text/x',
      'user-agent': 'test',
      'x-many': ['a', 'b'],
      'accept-language': 'de, en;q=0.5',
      'x-latin': 'caf\xe9',
    });
    expect(latest()).toMatchObject({
      'content-type': 'text/x',
      'user-agent': 'test',
      'x-many': 'a, b',
      'accept-language': 'de, en;q=0.5',
      'x-latin': 'caf\xe9',
    });
  });

  test('stays where it is for this hop, or named in Connection (RFC 9110 §7.6.1)', async () => {
    await ask(form, {
      connection: 'X-Private, keep-alive, X-Request-Id, Via',
      'x-private': 'secret',
      'keep-alive': 'timeout=9',
      te: 'trailers',
      'proxy-authorization': 'Basic eDp5',
      'proxy-connection': 'keep-alive',
      upgrade: 'h2c',
      ...(form === 'streamed' && { trailer: 'x-sum' }),
    });
    const headers = latest();
    for (const name of [
      'x-private',
      'keep-alive',
      'te',
      'proxy-authorization',
      'proxy-connection',
      'upgrade',
      'trailer',
    ])
      expect(headers).not.toHaveProperty(name);
    expect(headers.connection).not.toContain('X-Private');
    // What the gateway itself says cannot be named away.
    expect(headers['x-request-id']).toBeDefined();
    expect(headers.via).toBe('1.1 weir');
  });

  test('carries no framing, and nothing that was named, in a spelling that services take for it (RFC 3875 §4.1.18)', async () => {
    await ask(form, {
      Transfer_Encoding: 'chunked',
      Content_Length: '7',
      Proxy_Connection: 'close',
      connection: 'x-private-thing',
      X_Private_Thing: '1',
      x_other: '2',
    });
    const headers = latest();
    for (const name of ['transfer_encoding', 'content_length', 'proxy_connection', 'x_private_thing'])
      expect(headers).not.toHaveProperty(name);
    expect(headers.x_other).toBe('2');
  });

  test("never speaks in the gateway's name", async () => {
    await ask(form, {
      'X-Weir-Consumer': 'root',
      'x-weir-tier': 'gold',
      'x-weir-roles': 'admin',
      'x-weir-anything': '1',
      x_weir_consumer: 'root',
      'X_Weir-Subject': 'root',
      authorization: 'Bearer secret',
      cookie: 'session=secret',
      forwarded: 'for=6.6.6.6',
      'x-forwarded-for': '6.6.6.6',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '1',
      'x-forwarded-prefix': '/evil',
      x_forwarded_for: '6.6.6.6',
      'x-real-ip': '6.6.6.6',
    });
    const { host, ...headers } = latest();
    expect(headers).toMatchObject({
      'x-weir-consumer': 'anonymous',
      'x-weir-tier': 'anonymous',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': new URL(gateway.url).host,
      'x-forwarded-proto': 'http',
    });
    expect(host).toBe(new URL(upstream.url).host);
    expect(JSON.stringify(headers)).not.toMatch(
      /root|gold|admin|secret|6\.6\.6\.6|evil|x-weir-(anything|roles|subject|scopes)/,
    );
  });

  test('is made one in what it accepts (DESIGN, one identity vector)', async () => {
    for (const accept of [undefined, '*/*', 'application/json', 'application/json, text/plain, */*']) {
      await ask(form, { ...(accept !== undefined && { accept }), 'accept-encoding': 'br, gzip' });
      expect([latest().accept, latest()['accept-encoding']]).toEqual(['application/json, */*;q=0.5', 'identity']);
    }
    await ask(form, { accept: 'text/csv' });
    expect(latest().accept).toBe('text/csv');
  });

  test('is shown of the caller only if the upstream is to know (identity: none)', async () => {
    await ask(form, { 'x-weir-consumer': 'root' }, '/hidden');
    expect(Object.keys(latest()).filter((name) => name.startsWith('x-weir-') && name !== 'x-weir-deadline-ms')).toEqual(
      [],
    );
  });

  test('gets a request id that is plain enough for any log, and a trace', async () => {
    const answer = await ask(form, { 'x-request-id': 'abc-1.2:3_4' });
    expect([latest()['x-request-id'], answer.headers['x-request-id']]).toEqual(['abc-1.2:3_4', 'abc-1.2:3_4']);
    expect(latest().traceparent?.slice(0, 35)).toBe(answer.headers.traceparent?.slice(0, 35));
    for (const id of ['a b', 'x'.repeat(129), '{"a":1}']) {
      const other = await ask(form, { 'x-request-id': id });
      expect(other.headers['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
      expect(latest()['x-request-id']).toBe(other.headers['x-request-id']);
    }
  });

  test('is added to what stood in Via (RFC 9110 §7.6.3)', async () => {
    await ask(form, { via: '1.0 fred, 1.1 example' });
    expect(latest().via).toBe('1.0 fred, 1.1 example, 1.1 weir');
  });
});

describe('What trusted proxies say of the client', () => {
  test('is believed as far as they themselves appended it', async () => {
    await ask(
      'buffered',
      {
        'x-forwarded-for': '6.6.6.6, 203.0.113.7, 10.1.2.3',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'shop.example',
      },
      '/shown',
      trusting.url,
    );
    expect(latest()).toMatchObject({
      'x-forwarded-for': '203.0.113.7, 10.1.2.3, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop.example',
    });
  });

  test.each([
    ['203.0.113.7', '203.0.113.7, 127.0.0.1'],
    ['203.0.113.7:4711', '203.0.113.7, 127.0.0.1'],
    ['2001:db8::1', '2001:db8::1, 127.0.0.1'],
    ['[2001:db8::1]:4711', '2001:db8::1, 127.0.0.1'],
    ['::ffff:203.0.113.7', '203.0.113.7, 127.0.0.1'],
    ['fd00::1, 10.1.1.1', 'fd00::1, 10.1.1.1, 127.0.0.1'],
    ['unknown', '127.0.0.1'],
    ['<script>, 10.1.1.1', '10.1.1.1, 127.0.0.1'],
    ['', '127.0.0.1'],
  ])('X-Forwarded-For: %s', async (given, expected) => {
    const answer = await ask('buffered', { 'x-forwarded-for': given }, '/shown', trusting.url);
    expect(latest()['x-forwarded-for']).toBe(expected);
    const line = await trusting.accessOf(String(answer.headers['x-request-id']));
    expect(line.clientIp).toBe(expected.split(', ')[0]);
  });

  test('is not believed of anybody else', async () => {
    const answer = await ask('buffered', { 'x-forwarded-for': '203.0.113.7' });
    expect((await gateway.accessOf(String(answer.headers['x-request-id']))).clientIp).toBe('127.0.0.1');
  });

  test('a host is the last one of a list, and one that is none is not passed on, nor is such a protocol', async () => {
    await ask('buffered', { 'x-forwarded-host': 'evil.example, Shop.Example:8443' }, '/shown', trusting.url);
    expect(latest()['x-forwarded-host']).toBe('shop.example:8443');
    await ask('buffered', { 'x-forwarded-proto': 'javascript', 'x-forwarded-host': 'a b/@' }, '/shown', trusting.url);
    expect(latest()).toMatchObject({ 'x-forwarded-proto': 'http', 'x-forwarded-host': new URL(trusting.url).host });
  });
});

describe('A client of HTTP/1.0', () => {
  test('is answered, without chunks, and the connection ends', async () => {
    const answer = await raw(gateway.url, 'GET /shown HTTP/1.0');
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(answer).not.toMatch(/transfer-encoding/i);
    expect(answer.endsWith('\r\n\r\nok')).toBe(true);
  });

  test('may keep it if it asks to', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('GET /nothing HTTP/1.0', 'Connection: keep-alive');
    await client.until('ROUTE_NOT_FOUND');
    client.head('GET /nothing HTTP/1.0');
    expect((await client.end()).match(/HTTP\/1\.1 404/g)).toHaveLength(2);
  });
});
