import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send, type Answer } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => {
    response.writeHead(200, { 'access-control-allow-origin': '*' }).end('ok');
  });
  gateway = await startGateway({
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [
      { path: '/plain', upstream: 'service' },
      {
        path: '/partners',
        upstream: 'service',
        cors: {
          origins: ['https://*.example.com', 'https://*.shop.example:8443', 'http://*.local.test:*'],
          credentials: true,
          maxAge: '1h',
        },
      },
      { path: '/everybody', upstream: 'service', cors: { origins: ['*'], exposeHeaders: [] } },
      { path: '/off', upstream: 'service', cors: { origins: [] } },
    ],
    cors: { origins: ['https://app.example.org'], methods: ['GET', 'PUT'], allowHeaders: ['x-a'] },
  });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const from = (path: string, origin: string) => send(`${gateway.url}${path}`, { headers: { origin } });
const allowed = ({ headers }: Answer) => headers['access-control-allow-origin'];

const preflight = (path: string, origin: string) =>
  send(`${gateway.url}${path}`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'x-one' },
  });

describe("A route's own CORS", () => {
  test.each([
    ['https://a.example.com'],
    ['https://a.b.example.com'],
    ['https://a_b-c.example.com'],
    ['https://a.shop.example:8443'],
    ['http://a.local.test'],
    ['http://a.local.test:3000'],
  ])('takes any host below a listed one, and says which it was: %s', async (origin) => {
    const answer = await from('/partners', origin);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    });
  });

  test.each([
    ['https://example.com'],
    ['https://example.com.evil.example'],
    ['https://evilexample.com'],
    ['https://.example.com'],
    ['https://a..example.com'],
    ['https://evil.example/.example.com'],
    ['https://evil.example@a.example.com'],
    ['https://evil.example:1.example.com'],
    ['https://a.example.com:8443'],
    ['http://a.example.com'],
    ['https://A.example.com'],
    ['https://a.shop.example'],
    ['http://a.local.test:0'],
    ['http://a.local.test:65536'],
    ['http://local.test'],
    ['null'],
    ['https://app.example.org'],
  ])('reflects no origin that is not listed (Fetch §3.2.5): %s', async (origin) => {
    for (const answer of [await from('/partners', origin), await preflight('/partners', origin)]) {
      expect(allowed(answer)).toBeUndefined();
      expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
      expect(answer.headers.vary).toBe('Origin');
    }
  });

  test('stands in for what is said for all, key by key', async () => {
    const answer = await preflight('/partners', 'https://a.example.com');
    expect([answer.status, answer.headers['access-control-max-age']]).toEqual([204, '3600']);
    expect(answer.headers['access-control-allow-methods']).toBe('GET, PUT');
    expect(answer.headers['access-control-allow-headers']).toBe('x-a');
    const other = await preflight('/plain', 'https://app.example.org');
    expect([allowed(other), other.headers['access-control-max-age']]).toEqual(['https://app.example.org', '600']);
    expect(other.headers).not.toHaveProperty('access-control-allow-credentials');
    expect(allowed(await preflight('/plain', 'https://a.example.com'))).toBeUndefined();
  });

  test('may be open to everybody, or nothing of the gateway', async () => {
    const open = await from('/everybody', 'https://anywhere.example');
    expect(open.headers).toMatchObject({ 'access-control-allow-origin': '*' });
    expect(open.headers).not.toHaveProperty('vary');
    expect(open.headers).not.toHaveProperty('access-control-expose-headers');
    expect(allowed(await from('/off', 'https://app.example.org'))).toBe('*');
  });
});

test('A page may read what the gateway says in headers of its own: limit, request id, cost, freshness, retirement', async () => {
  const answer = await from('/plain', 'https://app.example.org');
  const exposed = String(answer.headers['access-control-expose-headers']).split(', ');
  expect(exposed).toEqual(
    expect.arrayContaining([
      'x-request-id',
      'ratelimit',
      'ratelimit-policy',
      'x-ratelimit-limit',
      'x-ratelimit-remaining',
      'x-ratelimit-reset',
      'retry-after',
      'x-weir-cost',
      'x-weir-limit-warning',
      'x-weir-completed',
      'x-weir-missing',
      'cache-status',
      'deprecation',
      'sunset',
    ]),
  );
});

test('A preflight whose answer repeats what it asks says so to caches (RFC 9110 §12.5.5)', async () => {
  const one = await startGateway({ cors: { origins: ['https://app.example.org'] } });
  try {
    const answer = await send(`${one.url}/`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example.org',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'x-one',
      },
    });
    expect(answer.headers).toMatchObject({
      'access-control-allow-headers': 'x-one',
      vary: 'Access-Control-Request-Headers, Origin',
    });
  } finally {
    await one.stop();
  }
});

describe('A mistake in it is found before anything runs', () => {
  const service = 'upstreams: { service: { endpoints: [http://127.0.0.1:1] } }';
  test.each([
    ['credentials for everybody', '{ origins: ["*"], credentials: true }', 'routes[0].cors.credentials', 'every page'],
    ['all of a top-level domain', '{ origins: ["https://*.com"] }', 'routes[0].cors.origins[0]', 'is not accepted'],
    [
      'a star within a label',
      '{ origins: ["https://a*.example.com"] }',
      'routes[0].cors.origins[0]',
      'is not accepted',
    ],
    ['a path', '{ origins: ["https://*.example.com/x"] }', 'routes[0].cors.origins[0]', 'is not accepted'],
  ])('%s', async (_, cors, path, what) => {
    const starting = startGateway(`${service}\nroutes:\n  - path: /a\n    upstream: service\n    cors: ${cors}\n`);
    await expect(starting).rejects.toThrow(path);
    await expect(starting).rejects.toThrow(what);
    await expect(starting).rejects.toThrow(/test\.yaml:\d+:\d+/);
  });

  test('credentials of the route with the origins of all', async () => {
    const yaml = `${service}\ncors: { origins: ["*"] }\nroutes:\n  - { path: /a, upstream: service, cors: { credentials: true } }\n`;
    await expect(startGateway(yaml)).rejects.toThrow('routes[0].cors.credentials');
  });
});
