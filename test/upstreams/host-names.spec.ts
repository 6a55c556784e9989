import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { startNameServer, type TestNameServer } from '../support/dns.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, settle, until } from '../support/raw-client.ts';
import { startServer, startUpstream, type Handler, type TestServer, type TestUpstream } from '../support/upstream.ts';

let names: TestNameServer;
let gateway: TestGateway;
let port: number;
let old: TestUpstream;
let young: TestUpstream;
/** What the service at the old address does, if not answering. */
let hold: Handler | undefined;

beforeEach(async () => {
  hold = undefined;
  names = await startNameServer({ 'orders.internal': { a: ['127.0.0.2'] } });
  old = await startUpstream((...call) => (hold ? hold(...call) : void call[1].end('old')), undefined, {
    host: '127.0.0.2',
    port: 0,
  });
  ({ port } = old);
  young = await startUpstream((_request, response) => void response.end('young'), undefined, {
    host: '127.0.0.3',
    port,
  });
});
afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await Promise.all([names, old, young].map((service) => service.close()));
});

async function front(settings: object = {}): Promise<void> {
  gateway = await startGateway({
    upstreams: {
      orders: {
        endpoints: [`http://orders.internal:${port}`],
        dns: { every: '100ms', servers: [names.address] },
        ...settings,
      },
    },
    routes: [{ path: '/*path', upstream: 'orders' }],
  });
}

const move = () => names.records.set('orders.internal', { a: ['127.0.0.3'] });
const ask = async (path: string) => (await send(gateway.url + path)).text;
const moved = () => gateway.log.filter(({ msg }) => msg === 'host name has other addresses');
const endpoint = () => gateway.gateway.assembly.upstreams.get('orders')!.endpoints[0]!;

describe('An endpoint with a host name', () => {
  test('is looked up again and again: once the name has another address, new calls go there', async () => {
    await front();
    expect(await ask('/1')).toBe('old');
    move();
    await until(() => moved().length === 1);
    expect(await ask('/2')).toBe('young');
    expect(young.requests[0]?.headers.host).toBe(`orders.internal:${port}`);
    expect(endpoint().origin).toBe(`http://orders.internal:${port}`);
  });

  test.each([
    ['a read', 0],
    ['a large body', 100_000],
  ])('drains the connections to the old one: %s in flight is answered, then they close', async (_, length) => {
    let answer = () => {};
    hold = (_request, response) => void (answer = () => response.end('late'));
    await front();
    const body = length > 0 ? { method: 'POST', body: Buffer.alloc(length) } : {};
    const call = send(`${gateway.url}/held`, body);
    await until(() => old.requests.length === 1);
    move();
    await until(() => moved().length === 1);
    expect(await ask('/now')).toBe('young');
    expect(old.connections.size).toBe(1);
    answer();
    expect((await call).text).toBe('late');
    await until(() => old.connections.size === 0);
    // What is known of the endpoint is still known.
    expect(endpoint().active).toBe(0);
  });

  test('closes idle connections to the old address at once', async () => {
    await front();
    await ask('/1');
    await send(`${gateway.url}/2`, { method: 'POST', body: Buffer.alloc(100_000) });
    expect(old.connections.size).toBe(2);
    move();
    await until(() => old.connections.size === 0);
  });

  test('leaves a WebSocket to the old address alone', async () => {
    const server: TestServer = await startServer(() => {}, undefined, { host: '127.0.0.4', port: 0 });
    const sockets = new WebSocketServer({ server: server.server });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    names.records.set('chat.internal', { a: ['127.0.0.4'] });
    await front({ endpoints: [`http://chat.internal:${server.port}`] });
    const client = new WebSocket(`${gateway.url.replace('http', 'ws')}/chat`);
    await once(client, 'open');
    names.records.set('chat.internal', { a: ['127.0.0.3'] });
    await until(() => moved().length === 1);
    client.send('still there');
    expect(String((await once(client, 'message'))[0])).toBe('still there');
    client.close();
    await once(client, 'close');
    await server.close();
  });

  test.each([
    ['cannot be looked up', () => names.sick.set('*', 'SERVFAIL')],
    ['does not exist any more', () => names.records.delete('orders.internal')],
  ])('keeps its connections when the name %s', async (_, happen) => {
    await front();
    await ask('/1');
    const [connection] = old.connections;
    happen();
    const before = names.queries.length;
    await until(() => names.queries.length >= before + 4);
    expect(await ask('/2')).toBe('old');
    expect([...old.connections]).toEqual([connection]);
    expect(moved()).toEqual([]);
  });

  test('keeps its connections while the name has the same addresses, in whatever order', async () => {
    names.records.set('orders.internal', { a: ['127.0.0.2', '127.0.0.3'] });
    await front();
    await ask('/1');
    names.records.set('orders.internal', { a: ['127.0.0.3', '127.0.0.2'] });
    const before = names.queries.length;
    await until(() => names.queries.length >= before + 4);
    expect(moved()).toEqual([]);
  });

  test('asks no name server for what is an address, or this machine (RFC 6761 §6.3)', async () => {
    await front({ endpoints: [`http://127.0.0.3:${port}`, 'http://localhost:1', 'http://[::1]:1'] });
    await settle(250);
    expect(names.queries).toEqual([]);
  });
});
