import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send, type Answer } from '../support/raw-client.ts';
import { deadUrl, startUpstream, type TestUpstream } from '../support/upstream.ts';

const origin = 'https://app.example.com';
let upstream: TestUpstream;
let gateway: TestGateway;
let open: TestGateway;
let off: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => {
    response
      .writeHead(200, {
        vary: 'Accept-Language',
        'access-control-allow-origin': '*',
        'access-control-allow-credentials': 'true',
      })
      .end('ok');
  });
  const config = {
    upstreams: {
      service: { endpoints: [upstream.url] },
      dead: { endpoints: [await deadUrl()], retry: { attempts: 0 } },
    },
    routes: [
      { path: '/s', upstream: 'service', methods: ['GET', 'PUT'] },
      { path: '/small', upstream: 'service', maxBodyBytes: '1B' },
      { path: '/dead', upstream: 'dead' },
    ],
  };
  gateway = await startGateway({
    ...config,
    cors: { origins: [origin, 'http://localhost:*'], credentials: true, maxAge: '1m' },
  });
  open = await startGateway({ ...config, cors: { origins: ['*'], methods: ['GET'], allowHeaders: ['x-a', 'x-b'] } });
  off = await startGateway(config);
});

afterAll(async () => {
  for (const one of [gateway, open, off]) await one.stop();
  await upstream.close();
});

const allowed = ({ headers }: Answer) => headers['access-control-allow-origin'];

/** Fetch standard §4.8. */
const preflight = (url: string, from: string, method = 'PUT') =>
  send(url, {
    method: 'OPTIONS',
    headers: {
      origin: from,
      'access-control-request-method': method,
      'access-control-request-headers': 'x-one, content-type',
    },
  });

describe('A page of a listed origin', () => {
  test.each([origin, 'http://localhost:3000', 'http://localhost:1', 'http://localhost'])(
    '%s may read the answer, with credentials',
    async (from) => {
      const answer = await send(`${gateway.url}/s`, { headers: { origin: from } });
      expect(allowed(answer)).toBe(from);
      expect(answer.headers['access-control-allow-credentials']).toBe('true');
      expect(answer.headers['access-control-expose-headers']).toContain('x-request-id');
      expect(answer.headers.vary).toBe('Accept-Language, Origin');
    },
  );

  test('is told what it may send by the gateway, and the upstream hears nothing of it', async () => {
    const seen = upstream.requests.length;
    const answer = await preflight(`${gateway.url}/s`, origin);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
      'access-control-allow-headers': 'x-one, content-type',
      'access-control-max-age': '60',
    });
    expect(upstream.requests.length).toBe(seen);
  });

  test.each([
    ['404', 'GET', '/nothing', ''],
    ['405', 'POST', '/s', ''],
    ['413', 'POST', '/small', 'too much'],
    ['502', 'GET', '/dead', ''],
  ])('may read why: %s', async (status, method, path, body) => {
    const answer = await send(`${gateway.url}${path}`, {
      method,
      headers: { origin, ...(method === 'POST' && { 'content-length': body.length }) },
      body,
    });
    expect([String(answer.status), allowed(answer), answer.headers.vary]).toEqual([status, origin, 'Origin']);
  });

  test('is told that it may ask, where a refusal awaits what it asks, which it may then read', async () => {
    for (const path of ['/nothing', '/s']) {
      const answer = await preflight(`${gateway.url}${path}`, origin, 'DELETE');
      expect([answer.status, allowed(answer)]).toEqual([204, origin]);
    }
  });
});

describe('A page of another origin', () => {
  test.each([
    'https://evil.example',
    'https://app.example.com.evil.example',
    'https://app.example.com:8443',
    'http://app.example.com',
    'https://sub.app.example.com',
    'http://localhost.evil.example',
    'http://localhost:0',
    'http://localhost:99999',
    'http://localhost:1:2',
    'https://localhost:3000',
    'null',
  ])('%s may read nothing, whatever the upstream says', async (from) => {
    const answer = await send(`${gateway.url}/s`, { headers: { origin: from } });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    expect(answer.headers.vary).toContain('Origin');
    const refused = await preflight(`${gateway.url}/s`, from);
    expect(allowed(refused)).toBeUndefined();
  });

  test('is told apart by caches also where there is no origin', async () => {
    const answer = await send(`${gateway.url}/s`);
    expect([allowed(answer), answer.headers.vary]).toEqual([undefined, 'Accept-Language, Origin']);
  });
});

describe('All origins', () => {
  test('are answered alike, without credentials', async () => {
    const answer = await send(`${open.url}/s`, { headers: { origin: 'https://anywhere.example' } });
    expect(allowed(answer)).toBe('*');
    expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
    expect(answer.headers.vary).toBe('Accept-Language');
    expect((await preflight(`${open.url}/s`, 'https://anywhere.example')).headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'GET',
      'access-control-allow-headers': 'x-a, x-b',
    });
  });
});

describe('Without CORS in the configuration', () => {
  test('what the upstream says of it passes', async () => {
    const answer = await send(`${off.url}/s`, { headers: { origin } });
    expect([allowed(answer), answer.headers.vary]).toEqual(['*', 'Accept-Language']);
    const seen = upstream.requests.length;
    await preflight(`${off.url}/s`, origin);
    expect(upstream.requests.slice(seen)).toMatchObject([{ method: 'OPTIONS', url: '/s' }]);
  });
});
