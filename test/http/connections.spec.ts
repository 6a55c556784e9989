import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ConnectionLimit, networkOf } from '#gateway/http/connection-limit.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { exposition } from '../telemetry/exposition.ts';

const routes = [{ path: '/things', upstream: 'service' }];
const upstreams = { service: { endpoints: ['http://127.0.0.1:1'] } };

async function refused(gateway: TestGateway, reason: string): Promise<number> {
  const { text } = await send(`${gateway.adminUrl}/metrics`);
  const { samples = [] } = exposition(text).get('weir_connections_refused_total') ?? {};
  return samples.find(({ labels }) => labels.weir_connections_refused_reason === reason)?.value ?? 0;
}

/** A connection that comes from this address of the loopback network. */
function from(gateway: TestGateway, localAddress: string): Socket {
  const socket = connect({ port: Number(new URL(gateway.url).port), host: '127.0.0.1', localAddress });
  socket.on('error', () => {});
  return socket;
}

/** @returns whether a request on it is answered; false where the connection is closed */
async function serves(socket: Socket): Promise<boolean> {
  let [received, closed] = ['', false];
  socket.on('data', (chunk) => (received += String(chunk)));
  socket.once('close', () => (closed = true));
  socket.write('GET /docs/errors HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => closed || received.startsWith('HTTP/1.1 200 '));
  return received !== '';
}

describe('Connections in all', () => {
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await startGateway({ listen: { maxConnections: 3 }, upstreams, routes });
  });

  afterAll(() => gateway.stop());

  test('above maxConnections are closed at once and counted, while the others are served', async () => {
    const clients = await Promise.all(Array.from({ length: 3 }, () => RawClient.connect(gateway.url)));
    const surplus = await RawClient.connect(gateway.url);
    surplus.head('GET /docs/errors HTTP/1.1', 'Host: x');
    await until(() => surplus.closed);
    expect(surplus.received).toBe('');
    expect(await refused(gateway, 'total')).toBe(1);
    for (const client of clients) {
      client.head('GET /docs/errors HTTP/1.1', 'Host: x');
      expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    }
    for (const { socket } of clients) socket.destroy();
  });

  test('are taken again as soon as one has closed', async () => {
    const clients = await Promise.all(Array.from({ length: 3 }, () => RawClient.connect(gateway.url)));
    clients[0]!.socket.destroy();
    let next: RawClient | undefined;
    await until(async () => {
      next = await RawClient.connect(gateway.url);
      next.head('GET /docs/errors HTTP/1.1', 'Host: x');
      await until(() => next!.closed || next!.received !== '');
      return !next.closed;
    });
    expect(next!.received).toMatch(/^HTTP\/1\.1 200 /);
    next!.socket.destroy();
    for (const { socket } of clients) socket.destroy();
  });
});

describe('Connections of one address', () => {
  let gateway: TestGateway;
  const sockets: Socket[] = [];
  const open = (address = '127.0.0.1') => {
    const socket = from(gateway, address);
    sockets.push(socket);
    return socket;
  };

  beforeAll(async () => {
    gateway = await startGateway({
      listen: { maxConnectionsPerIp: 2, trustedProxies: ['127.0.0.9'] },
      upstreams,
      routes,
    });
  });

  afterEach(async () => {
    const all = sockets.splice(0);
    for (const socket of all) socket.destroy();
    await until(async () =>
      /^weir_server_connections(\{.*\})? 0$/m.test((await send(`${gateway.adminUrl}/metrics`)).text),
    );
  });

  afterAll(() => gateway.stop());

  test('above maxConnectionsPerIp are closed at once and counted, while those of others are taken', async () => {
    const before = await refused(gateway, 'per_ip');
    const [first, second] = [open(), open()];
    expect([await serves(first), await serves(second)]).toEqual([true, true]);
    expect(await serves(open())).toBe(false);
    expect(await refused(gateway, 'per_ip')).toBe(before + 1);
    expect(await serves(open('127.0.0.2'))).toBe(true);
    // Whom it had before is not the worse for it.
    expect(await serves(first)).toBe(true);
  });

  test('are taken again as soon as one has closed, however it did', async () => {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const [first, second] = [open(), open()];
      expect([await serves(first), await serves(second)]).toEqual([true, true]);
      first[leave]();
      await until(async () => serves(open()));
      for (const socket of sockets) socket.destroy();
      await until(async () => serves(open('127.0.0.3')));
      for (const socket of sockets.splice(0)) socket.destroy();
    }
  });

  test('are not counted for a trusted proxy, which is many clients', async () => {
    const served = Array.from({ length: 6 }, () => serves(open('127.0.0.9')));
    expect(await Promise.all(served)).toEqual(Array.from({ length: 6 }, () => true));
  });

  test('have no line each in the log, but one together', async () => {
    const lines = gateway.log.length;
    const [first, second] = [open(), open()];
    expect([await serves(first), await serves(second)]).toEqual([true, true]);
    for (let index = 0; index < 20; index++) expect(await serves(open())).toBe(false);
    expect(gateway.log.slice(lines).filter(({ msg }) => msg === 'refused')).toEqual([]);
    gateway.gateway.telemetry.refusals.flush();
    const [summary, ...others] = gateway.log.filter(
      ({ msg, code }) => msg === 'refused' && code === 'CONNECTIONS_PER_IP',
    );
    expect(summary).toMatchObject({ level: 'info', clientIps: ['127.0.0.1'] });
    expect(summary!.count).toBeGreaterThanOrEqual(20);
    expect(others).toEqual([]);
  });
});

describe('The count by address', () => {
  test('holds no address that has no connection', () => {
    const limit = new ConnectionLimit(2);
    const leaves = Array.from({ length: 1000 }, (_, index) => limit.take(`10.0.${index >> 8}.${index & 255}`));
    expect(limit.size).toBe(1000);
    for (const leave of leaves) leave!();
    expect(limit.size).toBe(0);
    // Nor one that was refused.
    const [first, second] = [limit.take('10.0.0.1'), limit.take('10.0.0.1')];
    expect(limit.take('10.0.0.1')).toBeUndefined();
    first!();
    second!();
    expect(limit.size).toBe(0);
  });

  test.each([
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:db8:0:0:ffff:ffff:ffff:ffff', '2001:db8:0:0'],
    ['2001:DB8:0000:0001::1', '2001:db8:0:1'],
    ['2001:db8:0:1::', '2001:db8:0:1'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4'],
    ['1::8', '1:0:0:0'],
    ['::3:4:5:6:7:8', '0:0:3:4'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0'],
    ['192.0.2.1', '192.0.2.1'],
    ['', ''],
  ])('takes the /64 of an IPv6 address for one: %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });

  test('counts addresses of one /64 together, and those of the next apart', () => {
    const limit = new ConnectionLimit(2);
    expect(limit.take('2001:db8::1')).toBeDefined();
    expect(limit.take('2001:db8::ffff:2')).toBeDefined();
    expect(limit.take('2001:db8:0:0:1::')).toBeUndefined();
    expect(limit.take('2001:db8:0:1::1')).toBeDefined();
  });
});
