import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { raw, RawClient, send, until, type Sending } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let service: TestUpstream;
let open: TestGateway;
let guarded: TestGateway;

beforeAll(async () => {
  service = await startUpstream((_request, response) => void response.end('ok'));
  const config = { upstreams: { things: { endpoints: [service.url] } }, routes: [{ path: '/', upstream: 'things' }] };
  open = await startGateway(config);
  guarded = await startGateway({ ...config, admin: { token: 'a-long-token' } });
});

afterAll(async () => {
  await open.stop();
  await guarded.stop();
  await service.close();
});

const ask = (path: string, sending: Sending = {}) => send(open.adminUrl + path, sending);
const hostOf = (url: string) => new URL(url).host;

describe('The admin listener without a token', () => {
  test.each(['127.0.0.1', '127.0.0.1:1', '[::1]:4001', '10.2.3.4:4001', 'localhost', 'LOCALHOST:4001', '0x7f.1'])(
    'answers to an address and to localhost: %s',
    async (host) => {
      for (const path of ['/livez', '/readyz', '/metrics', '/admin/status'])
        expect((await ask(path, { headers: { host } })).status).toBe(200);
    },
  );

  test.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:4001', 'gateway', 'a b', '%', '@', ''])(
    'is not to be had by a name that somebody else may own: %j (DNS rebinding)',
    async (host) => {
      const answer = await raw(open.adminUrl, 'GET /admin/status HTTP/1.1', `Host: ${host}`, 'Connection: close');
      expect(answer).toMatch(/^HTTP\/1\.1 (421|400) /);
      expect(answer).not.toContain('upstreams');
    },
  );

  test('answers to the name that its configuration gives it', async () => {
    const named = await startGateway({
      upstreams: { things: { endpoints: [service.url] } },
      routes: [{ path: '/', upstream: 'things' }],
      admin: { host: 'localhost' },
    });
    expect((await send(`${named.adminUrl}/readyz`, { headers: { host: 'localhost:4001' } })).status).toBe(200);
    await named.stop();
  });

  test.each([
    ['another origin', { origin: 'https://evil.example' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:1' }],
    ['a page without an origin', { origin: 'null' }],
    ['another site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }],
    ['a sibling site', { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' }],
    [
      'another site, in a frame',
      { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
    ],
  ])('takes nothing that comes from %s (CSRF)', async (_what, headers) => {
    for (const [method, path] of [
      ['GET', '/admin/status'],
      ['GET', '/metrics'],
      ['GET', '/readyz'],
      ['POST', '/admin/reload'],
      ['POST', '/admin/overrides'],
      ['DELETE', '/admin/overrides?action=debug&by=x'],
    ] as const) {
      const answer = await ask(path, { method, headers });
      expect([answer.status, answer.headers['content-type']]).toEqual([403, 'application/problem+json; charset=utf-8']);
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    }
    expect(open.log.some(({ msg }) => msg === 'reloaded')).toBe(false);
  });

  test('lets a link to it be followed, but no form be sent', async () => {
    const followed = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await ask('/admin/upstreams', { headers: followed })).status).toBe(200);
    expect((await ask('/admin/reload', { method: 'POST', headers: followed })).status).toBe(403);
  });

  test('takes what comes from its own origin, or from no page at all', async () => {
    const own = { origin: open.adminUrl, 'sec-fetch-site': 'same-origin' };
    expect((await ask('/admin/status', { headers: own })).status).toBe(200);
    expect((await ask('/admin/status', { headers: { 'sec-fetch-site': 'none' } })).status).toBe(200);
  });

  test.each([
    'application/x-www-form-urlencoded',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    '',
  ])('takes no body of a kind that a page may send without asking: %j', async (type) => {
    const json = JSON.stringify({ by: 'page' });
    for (const body of [json, undefined])
      expect(
        (await ask('/admin/reload', { method: 'POST', headers: { 'content-type': type }, ...(body && { body }) }))
          .status,
      ).toBe(415);
  });
});

describe('The admin listener with a token', () => {
  const withToken = { authorization: 'Bearer a-long-token' };

  test('takes any host, since a page has no token', async () => {
    const headers = { ...withToken, host: 'gateway-7.internal:4001' };
    expect((await send(`${guarded.adminUrl}/admin/status`, { headers })).status).toBe(200);
    expect((await send(`${guarded.adminUrl}/readyz`, { headers: { host: 'gateway-7.internal' } })).status).toBe(200);
  });

  test('takes nothing from another origin all the same', async () => {
    const headers = { ...withToken, origin: 'https://evil.example' };
    expect((await send(`${guarded.adminUrl}/admin/status`, { headers })).status).toBe(403);
  });

  test('asks for it before it reads anything or says what there is', async () => {
    for (const [method, path] of [
      ['GET', '/admin/nothing'],
      ['PUT', '/admin/reload'],
      ['POST', '/admin/reload'],
      ['GET', '/admin/status'],
    ] as const) {
      const body = method === 'GET' ? {} : { body: 'not json', headers: { 'content-type': 'text/plain' } };
      const answer = await send(guarded.adminUrl + path, { method, ...body });
      expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    }
  });
});

describe('The admin listener', () => {
  test('answers in problem+json to a path that is none, and names those that there are', async () => {
    const answer = await ask('/admin/upstream');
    expect([answer.status, answer.headers['content-type']]).toEqual([404, 'application/problem+json; charset=utf-8']);
    expect(answer.json()).toMatchObject({ type: 'about:blank', title: 'There is no such admin path' });
    expect(answer.json().paths).toContain('GET /admin/upstreams');
  });

  test.each([
    ['POST', '/livez', 'GET, HEAD'],
    ['DELETE', '/admin/status', 'GET, HEAD'],
    ['PUT', '/admin/overrides', 'GET, HEAD, POST, DELETE'],
    ['GET', '/admin/reload', 'POST'],
    ['OPTIONS', '/admin/rollback', 'POST'],
    ['PATCH', '/admin/overrides/1', 'DELETE'],
  ])('takes no %s of %s, and names the methods that it takes (RFC 9110 §15.5.6)', async (method, path, allow) => {
    const answer = await ask(path, { method });
    expect([answer.status, answer.headers.allow, answer.json().status]).toEqual([405, allow, 405]);
  });

  test('answers HEAD like GET, without the body', async () => {
    const answer = await ask('/admin/status', { method: 'HEAD' });
    expect([answer.status, answer.text]).toEqual([200, '']);
  });

  test.each([
    ['a body of 16 KiB and more', { body: JSON.stringify({ by: 'x'.repeat(16 * 1024) }) }, 413],
    ['a body that is no JSON', { body: '{"by":' }, 400],
    ['a body in a coding that it does not know', { body: 'x', headers: { 'content-encoding': 'zstd2' } }, 415],
  ] satisfies [string, Sending, number][])('refuses %s without a stack', async (_what, sending: Sending, status) => {
    const headers = { 'content-type': 'application/json', ...sending.headers };
    const answer = await ask('/admin/overrides', { method: 'POST', ...sending, headers });
    expect([answer.status, answer.headers['content-type']]).toEqual([
      status,
      'application/problem+json; charset=utf-8',
    ]);
    expect(answer.text).not.toMatch(/ at |node_modules|\.ts/);
  });

  test('refuses a path that cannot be decoded, without a stack', async () => {
    const answer = await ask('/admin/upstreams/%ff');
    expect(answer.status).toBe(400);
    expect(answer.text).not.toMatch(/ at |node_modules|\.ts/);
  });

  test('says of a defect of its own that it is one, and keeps the stack for the log', async () => {
    const gateway = await startGateway({
      upstreams: { things: { endpoints: [service.url] } },
      routes: [{ path: '/', upstream: 'things' }],
    });
    gateway.gateway.control.status = () => Promise.reject(new Error('a secret in /etc/weir'));
    const answer = await send(`${gateway.adminUrl}/admin/status`);
    expect([answer.status, answer.json()]).toEqual([
      500,
      {
        type: 'about:blank',
        status: 500,
        title: 'The gateway failed',
        detail: "A defect of Weir: its log has the cause, under 'admin request failed'.",
      },
    ]);
    expect(gateway.log.find(({ msg }) => msg === 'admin request failed')).toMatchObject({
      method: 'GET',
      path: '/admin/status',
      err: { message: 'a secret in /etc/weir' },
    });
    await gateway.stop();
  });

  test('speaks no WebSocket: an upgrade is answered as the request that it is', async () => {
    const answer = await raw(
      open.adminUrl,
      'GET /admin/nothing HTTP/1.1',
      `Host: ${hostOf(open.adminUrl)}`,
      'Connection: Upgrade, close',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
  });

  test('tells nobody to keep what it says, or to show it in a frame', async () => {
    for (const path of ['/livez', '/admin/status', '/admin/nothing']) {
      expect((await ask(path)).headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      });
    }
  });

  test('does not wait for a head that never comes', { timeout: 30_000 }, async () => {
    const client = await RawClient.connect(open.adminUrl);
    client.write('GET /livez HTTP/1.1\r\nHost: ');
    await until(() => client.closed || client.socket.readableEnded);
    expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
  });
});
