import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, type Sending } from '../support/raw-client.ts';
import { startUpstream, type ReceivedRequest, type TestUpstream } from '../support/upstream.ts';

interface Scripted {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

const key = 'a-key-of-acme-that-is-long-enough';
const usual: Scripted = { body: '{"customer_id":"c1","lines":[{"qty":1},{"qty":2}],"internal_notes":"x","shard":7}' };
let script: Scripted = usual;
let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => {
    const { status = 200, headers = {}, body = '' } = script;
    response.writeHead(status, { 'content-type': 'application/json', 'x-shard': '7', ...headers }).end(body);
  });
  // The example of the page, over a service of the test's own.
  const [, yaml = ''] = /```yaml\n([^]*?)```/.exec(page()) ?? [];
  gateway = await startGateway(
    `${yaml.replace('http://127.0.0.1:5002', upstream.url)}
  - path: /set/:id
    upstream: orders
    headers:
      request: { rename: { X-Old: X-New }, set: { X-Path: '{request.path}', x-braces: '{{a}}', x-q: '{query.q}' } }
      response: { rename: { x-shard: x-place }, set: { x-for: '{consumer.tier}' } }
    query: { set: { user: '{subject}', id: '{params.id}' } }
    body:
      request: { set: { /who/id: '{consumer.id}', /sub: '{claims.sub}', /n: 1, '/items/*/seen': true } }
      response: { rename: { /a/b: c }, remove: ['/list/0', /gone], set: { /meta/request: '{request.id}' } }
    maxBodyBytes: 1KiB
auth: { default: optional }
consumers: [{ id: acme, tier: pro, keys: ['${hashOf(key)}'] }]
`.replace('orders: { endpoints', 'orders: { maxResponseBytes: 2KiB, endpoints'),
  );
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

beforeEach(() => {
  script = usual;
});

function page(): string {
  return readFileSync(resolve(import.meta.dirname, '../../docs/transforms.md'), 'utf8');
}

const received = (): ReceivedRequest => upstream.requests.at(-1)!;

const put = (path: string, body: string, headers: Sending['headers'] = {}) =>
  send(`${gateway.url}${path}`, { method: 'PUT', headers: { 'content-type': 'application/json', ...headers }, body });

describe('The example of docs/transforms.md', () => {
  test('changes the request: path, query, headers', async () => {
    const answer = await send(`${gateway.url}/v2/orders/o1?pageSize=5&debug=1&a=%2F&tenant=forged`, {
      headers: {
        'x-api-key': key,
        'x-client-version': '3',
        'x-version': 'forged',
        'x-debug': '1',
        'x-on-behalf-of': 'forged',
      },
    });
    const { url, headers } = received();
    expect(url).toBe('/orders/o1?limit=5&a=%2F&tenant=acme');
    expect(headers).toMatchObject({ 'x-version': '3', 'x-caller': `acme ${String(answer.headers['x-request-id'])}` });
    for (const name of ['x-client-version', 'x-debug', 'x-on-behalf-of']) expect(headers).not.toHaveProperty(name);
  });

  test('changes the answer: headers and fields', async () => {
    script = { ...usual, headers: { etag: '"v1"', 'accept-ranges': 'bytes' } };
    const answer = await send(`${gateway.url}/v2/orders/o1`, { headers: { range: 'bytes=0-10' } });
    expect(answer.json()).toEqual({ customerId: 'c1', lines: [{ quantity: 1 }, { quantity: 2 }], shard: 7 });
    expect(answer.headers).toMatchObject({
      'cache-control': 'private, max-age=5',
      etag: 'W/"v1"',
      'content-length': String(answer.body.length),
    });
    for (const name of ['x-shard', 'accept-ranges']) expect(answer.headers).not.toHaveProperty(name);
    expect(received().headers).not.toHaveProperty('range');
  });

  test('changes the body of the request', async () => {
    await put('/v2/orders/o%201', '{"customerId":"c1","id":12345678901234567890,"price":1.10}');
    expect(received().body).toBe(
      '{"id":12345678901234567890,"price":1.10,"customer_id":"c1","source":"gateway","orderId":"o 1"}',
    );
  });
});

describe('A template', () => {
  test('whose value is not there sets nothing, nor lets the client stand in for it', async () => {
    const answer = await send(`${gateway.url}/set/7?user=forged&id=9&b`, { headers: { 'x-new': 'forged' } });
    expect(received().url).toBe('/set/7?b&id=7');
    expect(received().headers).toMatchObject({ 'x-path': '/set/7', 'x-braces': '{a}' });
    for (const name of ['x-new', 'x-q']) expect(received().headers).not.toHaveProperty(name);
    expect(answer.headers).toMatchObject({ 'x-place': '7', 'x-for': 'anonymous' });
  });

  test.each(['a%0d%0ax-evil:%201', '%C3%A9', '%00', '%20'])(
    'cannot bring into a header what is none (RFC 9110 §5.5): %s',
    async (q) => {
      const answer = await send(`${gateway.url}/set/7?q=${q}`);
      expect(answer.status).toBe(200);
      expect(received().headers).not.toHaveProperty('x-q');
      expect(received().headers).not.toHaveProperty('x-evil');
    },
  );
});

describe('Fields of a body', () => {
  test('are set where they are, with the objects on their way', async () => {
    await put('/set/1', '{"items":[{"a":1},2,{}],"sub":"forged"}', { 'x-api-key': key });
    expect(JSON.parse(received().body)).toEqual({
      items: [{ a: 1, seen: true }, 2, { seen: true }],
      who: { id: 'acme' },
      n: 1,
    });
  });

  test('of an answer keep their places in a list, and what is no object is left alone', async () => {
    script = { body: '{"a":{"b":1},"list":["x","y"],"gone":2}' };
    const answer = await send(`${gateway.url}/set/1`);
    expect(answer.json()).toEqual({
      a: { c: 1 },
      list: [null, 'y'],
      meta: { request: answer.headers['x-request-id'] },
    });
    script = { body: '[1,2]' };
    expect((await send(`${gateway.url}/set/1`)).text).toBe('[1,2]');
    script = { body: '{"__proto__":{"a":1},"meta":3}' };
    expect((await send(`${gateway.url}/set/1`)).text).toBe('{"__proto__":{"a":1},"meta":3}');
  });

  test('that is no JSON goes on byte for byte', async () => {
    await put('/set/1', 'a=1', { 'content-type': 'application/x-www-form-urlencoded' });
    expect(received().body).toBe('a=1');
    script = { headers: { 'content-type': 'text/plain' }, body: '{"gone":1}' };
    expect((await send(`${gateway.url}/set/1`)).text).toBe('{"gone":1}');
  });

  test('of an answer with another status than 2xx go on as they are', async () => {
    script = { status: 404, body: '{"gone":1}' };
    const answer = await send(`${gateway.url}/set/1`);
    expect([answer.status, answer.text]).toEqual([404, '{"gone":1}']);
  });

  test.each([
    ['400', 'JSON that is none', '{"a":', {}],
    ['400', 'JSON of no UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1'), {}],
    ['415', 'JSON that is compressed', '{}', { 'content-encoding': 'gzip' }],
    ['413', 'JSON beyond maxBodyBytes', JSON.stringify('x'.repeat(2000)), {}],
  ])('of a request are refused with %s: %s', async (status, _, body, headers) => {
    const seen = upstream.requests.length;
    const answer = await send(`${gateway.url}/set/1`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', ...headers },
      body: Buffer.from(body, 'latin1'),
    });
    expect(String(answer.status)).toBe(status);
    expect(upstream.requests.length).toBe(seen);
  });

  test.each([
    ['is no JSON', { body: '{"gone":' }, 'UPSTREAM_BAD_RESPONSE'],
    [
      'is compressed, though plain content was asked for',
      { headers: { 'content-encoding': 'gzip' } },
      'UPSTREAM_BAD_RESPONSE',
    ],
    ['is a part of one', { status: 206, headers: { 'content-range': 'bytes 0-1/9' } }, 'UPSTREAM_BAD_RESPONSE'],
    ['is beyond maxResponseBytes', { body: JSON.stringify('x'.repeat(4000)) }, 'UPSTREAM_RESPONSE_TOO_LARGE'],
  ])('of an answer that %s do not leave: 502', async (_, scripted, code) => {
    script = { body: '{"gone":"secret"}', ...scripted };
    const answer = await send(`${gateway.url}/set/1`);
    expect([answer.status, answer.json().code]).toEqual([502, code]);
    expect(answer.text).not.toContain('secret');
    await untilIdle(gateway);
  });

  test('HEAD has the head of GET, less what only the content tells', async () => {
    script = { headers: { etag: '"v1"' } };
    const answer = await send(`${gateway.url}/set/1`, { method: 'HEAD' });
    expect([answer.status, answer.headers.etag, answer.headers['content-length']]).toEqual([200, 'W/"v1"', undefined]);
  });
});

describe('What is wrong is refused before anything runs, with its place', () => {
  test.each([
    ['headers: { request: { set: { x-a: "{consumer.name}" } } }', 'headers.request.set.x-a', 'no template has'],
    ['headers: { request: { set: { x-a: "{env.SECRET}" } } }', 'headers.request.set.x-a', 'no template has'],
    ['headers: { request: { set: { x-a: "{request.id" } } }', 'headers.request.set.x-a', 'without a closing one'],
    ['headers: { request: { set: { x-a: "a}" } } }', 'headers.request.set.x-a', 'without an opening one'],
    ['headers: { request: { set: { x-a: "{params.name}" } } }', 'headers.request.set.x-a', 'the path does not have'],
    ['query: { set: { a: "{params.name}" } }', 'query.set.a', 'the path does not have'],
    ['body: { request: { set: { /a: [{ b: "{claims}" }] } } }', 'body.request.set./a', ''],
    [
      'headers: { request: { set: { x-weir-consumer: root } } }',
      'headers.request.set.x-weir-consumer',
      'by the gateway alone',
    ],
    [
      'headers: { request: { set: { x_weir_consumer: root } } }',
      'headers.request.set.x_weir_consumer',
      'by the gateway alone',
    ],
    ['headers: { request: { set: { Host: a } } }', 'headers.request.set.Host', 'by the gateway alone'],
    [
      'headers: { request: { set: { content-length: "1" } } }',
      'headers.request.set.content-length',
      'frames the message',
    ],
    ['headers: { request: { rename: { a: Connection } } }', 'headers.request.rename.a', 'frames the message'],
    [
      'headers: { request: { set: { x-forwarded-for: a } } }',
      'headers.request.set.x-forwarded-for',
      'by the gateway alone',
    ],
    ['headers: { request: { set: { authorization: a } } }', 'headers.request.set.authorization', 'is a credential'],
    ['headers: { response: { set: { transfer-encoding: a } } }', 'headers.response.set.transfer-encoding', 'frames'],
    [
      'headers: { response: { set: { access-control-allow-origin: "*" } } }',
      'headers.response.set.access-control-allow-origin',
      'belongs to CORS',
    ],
    ['headers: { response: { set: { server: a } } }', 'headers.response.set.server', 'by the gateway alone'],
    ['headers: { response: { set: { x-a: "a\\r\\nb: c" } } }', 'headers.response.set.x-a', 'visible ASCII'],
    ['body: { response: { remove: [a] } }', 'body.response.remove[0]', 'a JSON Pointer'],
    ['body: { response: { remove: [/a~2] } }', 'body.response.remove[0]', 'no escape'],
    ['body: { response: { set: { /__proto__/a: 1 } } }', 'body.response.set./__proto__/a', 'no field'],
    ['body: { response: { rename: { /a: __proto__ } } }', 'body.response.rename./a', 'no name for a field'],
  ])('%s', async (yaml, place, what) => {
    const config = `upstreams: { s: { endpoints: [http://127.0.0.1:1] } }\nroutes:\n  - path: /a/:id\n    upstream: s\n    ${yaml}\n`;
    const message = await startGateway(config).then(
      () => 'it was accepted',
      (error: unknown) => (error as Error).message,
    );
    expect(message).toContain(what);
    expect(message.replaceAll('"', '')).toContain(`routes[0].${place}`);
    expect(message).toMatch(/test\.yaml:\d+:\d+/);
  });
});
