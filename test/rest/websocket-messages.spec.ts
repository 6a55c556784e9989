import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, settle, until } from '../support/raw-client.ts';
import { startServer, type TestServer } from '../support/upstream.ts';
import { frame, startRawWebSocketUpstream } from '../support/websocket-upstream.ts';

let service: TestServer;
let sockets: WebSocketServer;
let gateway: TestGateway;
/** Whether the service echoes what it hears. */
let echoes = true;

beforeAll(async () => {
  service = await startServer((_request, response) => void response.end());
  sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: { threshold: 0 },
    maxPayload: 64 * 1024 * 1024,
    handleProtocols: (offered) => [...offered].find((name) => name.startsWith('v')) ?? false,
  });
  sockets.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data: Buffer, binary) => {
      if (echoes) socket.send(data, { binary, compress: true });
    });
  });
  service.server.on('upgrade', (request, socket: Duplex, head: Buffer) =>
    sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request)),
  );
  gateway = await startGateway({
    upstreams: {
      service: { endpoints: [service.url], idleTimeout: '20s' },
      hasty: { endpoints: [service.url], idleTimeout: '300ms' },
    },
    routes: [
      { path: '/ws', upstream: 'service' },
      { path: '/hasty', upstream: 'hasty' },
    ],
  });
});

afterEach(async () => {
  echoes = true;
  for (const socket of sockets.clients) socket.terminate();
  await untilIdle(gateway);
});

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

/** Both ends of a WebSocket through the gateway. */
async function join({ path = '/ws', deflate = false, protocols = [] as string[] } = {}) {
  const accepting = once(sockets, 'connection') as Promise<[WebSocket, IncomingMessage]>;
  const client = new WebSocket(gateway.url.replace('http', 'ws') + path, protocols, { perMessageDeflate: deflate });
  client.on('error', () => {});
  await once(client, 'open');
  const [peer, { socket }] = await accepting;
  return { client, peer, wire: socket };
}

/** On both sides of every step in the length of a frame (RFC 6455 §5.2), and more than any socket holds. */
const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 5_000_000];

describe.each([
  { way: 'plain', deflate: false },
  { way: 'compressed (RFC 7692)', deflate: true },
])('Messages of a WebSocket, $way', ({ deflate }) => {
  test('of every size arrive whole, text as text and binary as binary, there and back', async () => {
    const { client, peer } = await join({ deflate });
    expect(client.extensions).toBe(deflate ? 'permessage-deflate' : '');
    expect(peer.extensions).toBe(client.extensions);
    for (const size of sizes) {
      const bytes = randomBytes(size);
      const text = 'é'.repeat(size / 2);
      const received: [Buffer, boolean][] = [];
      client.on('message', (data: Buffer, binary) => void received.push([data, binary]));
      client.send(bytes);
      client.send(text);
      await until(() => received.length === 2);
      client.removeAllListeners('message');
      expect(received.map(([data]) => data.length)).toEqual([bytes.length, Buffer.byteLength(text)]);
      expect(received[0]![0].equals(bytes)).toBe(true);
      expect(received[1]![0].toString() === text).toBe(true);
      expect(received.map(([, binary]) => binary)).toEqual([true, false]);
    }
    client.close();
  });

  test('in fragments, with pings between them, are one message each', async () => {
    const { client, peer } = await join({ deflate });
    const heard: string[] = [];
    peer.on('message', (data: Buffer) => heard.push(`message ${data.length}`));
    peer.on('ping', (data: Buffer) => heard.push(`ping ${String(data)}`));
    for (let part = 0; part < 9; part++) {
      client.send('x'.repeat(10_000), { fin: false });
      client.ping(String(part));
    }
    client.send('', { fin: true });
    client.send('next');
    await until(() => heard.includes('message 4'));
    expect(heard.filter((what) => what.startsWith('ping'))).toEqual(Array.from({ length: 9 }, (_, n) => `ping ${n}`));
    expect(heard.filter((what) => what.startsWith('message'))).toEqual(['message 90000', 'message 4']);
    client.close();
  });
});

describe('What is agreed between client and upstream', () => {
  test('an extension is compressed by one end and read by the other: the gateway is not between them', async () => {
    const { client, wire } = await join({ deflate: true });
    const text = 'the same again '.repeat(100_000);
    const before = wire.bytesRead;
    const answered = once(client, 'message') as Promise<[Buffer]>;
    client.send(text);
    expect(String((await answered)[0]) === text).toBe(true);
    expect(wire.bytesRead - before).toBeLessThan(text.length / 10);
    client.close();
  });

  test('one that only the client knows is not agreed on', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head(
      'GET /ws HTTP/1.1',
      'Host: x',
      'Connection: keep-alive, Upgrade',
      'Upgrade: WebSocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Extensions: x-unheard-of; level=9',
    );
    expect(await client.until('\r\n\r\n')).not.toMatch(/extensions/i);
    client.socket.destroy();
  });

  test.each([
    [['v1', 'v2'], 'v1'],
    [['other', 'v2'], 'v2'],
  ])('of the subprotocols %j the upstream chooses %s', async (protocols, chosen) => {
    const { client, peer } = await join({ protocols });
    expect([client.protocol, peer.protocol]).toEqual([chosen, chosen]);
    client.close();
  });

  test('a version that the upstream does not speak is for it to refuse (RFC 6455 §4.4)', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head(
      'GET /ws HTTP/1.1',
      'Host: x',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 99',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    );
    expect(await client.end()).toMatch(/^HTTP\/1\.1 400 [^]*sec-websocket-version: 13/i);
  });
});

describe('Pings', () => {
  test('of either side are answered by the other, and by nobody in between', async () => {
    const { client, peer } = await join();
    for (const [from, to] of [
      [client, peer],
      [peer, client],
    ] as const) {
      const pinged = once(to, 'ping') as Promise<[Buffer]>;
      const ponged = once(from, 'pong') as Promise<[Buffer]>;
      from.ping('are you there?');
      expect([String((await pinged)[0]), String((await ponged)[0])]).toEqual(['are you there?', 'are you there?']);
    }
    // A pong that nobody asked for is a sign of life in one direction (RFC 6455 §5.5.3).
    const heard = once(peer, 'pong') as Promise<[Buffer]>;
    client.pong('I am');
    expect(String((await heard)[0])).toBe('I am');
    client.close();
  });
});

describe('Close codes', () => {
  test.each([
    [1000, ''],
    [1001, 'off'],
    [1011, 'é'.repeat(61)],
    [3000, 'registered'],
    [4999, 'our own'],
  ])('%i goes from client to upstream, and from upstream to client, with its reason', async (code, reason) => {
    for (const leaving of ['client', 'peer'] as const) {
      const ends = await join();
      const staying = leaving === 'client' ? ends.peer : ends.client;
      const heard = once(staying, 'close') as Promise<[number, Buffer]>;
      const echoed = once(ends[leaving], 'close') as Promise<[number, Buffer]>;
      ends[leaving].close(code, reason);
      expect((await heard).map(String)).toEqual([String(code), reason]);
      expect((await echoed).map(String)).toEqual([String(code), reason]);
    }
  });

  test('none is none', async () => {
    const { client, peer } = await join();
    const heard = once(peer, 'close') as Promise<[number]>;
    client.close();
    expect((await heard)[0]).toBe(1005);
  });
});

describe('Bytes as they come', () => {
  test('one by one are the same as all at once, both ways', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head(
      'GET /ws HTTP/1.1',
      'Host: x',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    );
    await client.until('\r\n\r\n');
    for (const byte of frame(1, 'drip', true)) {
      client.write(Buffer.from([byte]));
      await settle(2);
    }
    expect(await client.until(frame(1, 'drip').toString('latin1'))).toMatch(/^HTTP\/1\.1 101 /);
    client.socket.destroy();
  });

  test('in one packet with the 101 they belong to the WebSocket', async () => {
    const raw = await startRawWebSocketUpstream((socket, head) =>
      socket.write(Buffer.concat([Buffer.from(head), frame(1, 'early')])),
    );
    const own = await startGateway({
      upstreams: { raw: { endpoints: [raw.url] } },
      routes: [{ path: '/ws', upstream: 'raw' }],
    });
    const client = new WebSocket(`${own.url.replace('http', 'ws')}/ws`);
    const [data] = (await once(client, 'message')) as [Buffer];
    expect(String(data)).toBe('early');
    client.terminate();
    await untilIdle(own);
    await own.stop();
    await raw.close();
  });
});

/** More than sockets hold on the way, so that bytes that pile up are bytes in memory. */
const total = 96;
const block = Buffer.alloc(1024 * 1024, 'x');

describe.each([
  ['client', 'upstream'],
  ['upstream', 'client'],
])('A %s that reads slowly', (slow) => {
  test('holds the other end back, and gets it all', async () => {
    echoes = false;
    const ends = await join();
    const [reader, writer] = slow === 'client' ? [ends.client, ends.peer] : [ends.peer, ends.client];
    let received = 0;
    reader.on('message', (data: Buffer) => (received += data.length));
    reader.pause();
    for (let sent = 0; sent < total; sent++) writer.send(block);
    let waiting = -1;
    // As long as it falls, something still takes it in.
    while (waiting !== writer.bufferedAmount) {
      waiting = writer.bufferedAmount;
      await settle(150);
    }
    expect(waiting).toBeGreaterThan((total - 32) * block.length);
    reader.resume();
    await until(() => received === total * block.length);
    writer.terminate();
  });

  test('and then not at all is given up after idleTimeout, at both ends', async () => {
    echoes = false;
    const ends = await join({ path: '/hasty' });
    const [reader, writer] = slow === 'client' ? [ends.client, ends.peer] : [ends.peer, ends.client];
    const gone = once(writer, 'close') as Promise<[number]>;
    reader.pause();
    for (let sent = 0; sent < total; sent++) writer.send(block);
    expect((await gone)[0]).toBe(1001);
    // The other one does not read its end either; that the gateway has let go of it is seen at the gateway.
    await until(async () => (await connectionsOf(gateway)) === 0);
    reader.terminate();
  });
});

describe('A peer that vanishes without a word', () => {
  test.each(['client', 'peer'] as const)('is missed after idleTimeout, by the other too: %s', async (vanishing) => {
    const ends = await join({ path: '/hasty' });
    // From here on its kernel may acknowledge, but nobody is at home.
    ends[vanishing].pause();
    const staying = ends[vanishing === 'client' ? 'peer' : 'client'];
    expect(((await once(staying, 'close')) as [number])[0]).toBe(1001);
    await until(async () => (await connectionsOf(gateway)) === 0);
    ends[vanishing].terminate();
  });
});

/** Connections that clients have to the gateway, by its own count. */
async function connectionsOf({ adminUrl }: TestGateway): Promise<number> {
  const { text } = await send(`${adminUrl}/metrics`);
  return Number(/^weir_server_connections\S* (\S+)$/m.exec(text)?.[1]);
}
