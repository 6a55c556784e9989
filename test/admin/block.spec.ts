import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { weirAt, type Weir } from '../cli/running.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

let upstream: TestServer;
let calls: number;
let sockets: WebSocketServer;
let gateway: TestGateway;
let weir: Weir;

const keys = { acme: 'key-of-acme', beta: 'key-of-beta' };

beforeEach(async () => {
  calls = 0;
  upstream = await startServer((_request, response) => {
    calls++;
    response.end('ok');
  });
  sockets = new WebSocketServer({ server: upstream.server });
  gateway = await startGateway({
    listen: { trustedProxies: ['127.0.0.1'] },
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [{ name: 'all', path: '/{*rest}', upstream: 'service' }],
    consumers: Object.entries(keys).map(([id, key]) => ({ id, keys: [hashOf(key)] })),
  });
  weir = weirAt(gateway.adminUrl);
});

afterEach(async () => {
  await gateway.stop();
  sockets.close();
  await upstream.close();
});

const asked = (key?: string, from = '192.0.2.1') =>
  fetch(gateway.url, { headers: { 'x-forwarded-for': from, ...(key !== undefined && { 'x-api-key': key }) } });

describe('weir block', () => {
  test('keeps one consumer out, whatever it shows, and nobody else', async () => {
    expect((await weir('block', 'acme', '--for', '1h', '--reason', 'floods us')).stdout).toContain('acme is kept out');
    const refused = await asked(keys.acme);
    expect([refused.status, await refused.json()]).toEqual([403, expect.objectContaining({ code: 'BLOCKED' })]);
    expect((await asked(keys.beta)).status).toBe(200);
    expect((await asked()).status).toBe(200);
    const line = gateway.log.find(({ msg, action }) => msg === 'operator' && action === 'block');
    expect(line).toMatchObject({ kind: 'consumer', target: 'acme', reason: 'floods us' });
    expect((await weir('block', 'acme', 'off')).stdout).toContain('let in again');
    expect((await asked(keys.acme)).status).toBe(200);
  });

  test('keeps an address or a block of them out, before it is asked who it is', async () => {
    await weir('block', '192.0.2.0/24');
    await weir('block', '2001:db8::7');
    expect((await asked(keys.beta)).status).toBe(403);
    expect((await asked(keys.beta, '2001:db8::7')).status).toBe(403);
    expect((await asked(keys.beta, '198.51.100.1')).status).toBe(200);
    expect(calls).toBe(1);
  });

  test('leaves debug logging of the same consumer as it is', async () => {
    await weir('debug', 'consumer', 'acme');
    await weir('block', 'acme');
    expect((await weir('debug')).stdout).toContain('consumer acme debug');
    expect((await asked(keys.acme)).status).toBe(403);
  });

  test('ends what goes on without end', async () => {
    const headers = { 'x-api-key': keys.acme };
    const socket = new WebSocket(gateway.url.replace('http', 'ws'), { headers });
    await once(socket, 'open');
    const closed = once(socket, 'close');
    await weir('block', 'acme');
    const [code] = (await closed) as [number];
    expect(code).not.toBe(1000);
  });

  test('holds over a reload, and refuses what is no address', async () => {
    await weir('block', 'acme');
    await gateway.gateway.control.reload();
    expect((await asked(keys.acme)).status).toBe(403);
    const wrong = await weir('block', '192.0.2.0/99');
    expect([wrong.status, wrong.stderr]).toEqual([1, expect.stringContaining('write an address or a CIDR block')]);
  });
});
