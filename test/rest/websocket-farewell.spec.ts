import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, settle, until } from '../support/raw-client.ts';
import { startServer } from '../support/upstream.ts';
import { frame, startRawWebSocketUpstream } from '../support/websocket-upstream.ts';

let gateway: TestGateway;
const opened: { close(): Promise<void> }[] = [];

async function over<T extends { readonly url: string; close(): Promise<void> }>(service: T): Promise<T> {
  opened.push(service);
  gateway = await startGateway({
    upstreams: { service: { endpoints: [service.url] } },
    routes: [{ path: '/ws', upstream: 'service' }],
  });
  return service;
}

afterEach(async () => {
  await untilIdle(gateway);
  for (const service of opened.splice(0)) await service.close();
});

/** A service of real WebSockets. */
async function overSockets(): Promise<WebSocketServer> {
  const service = await over(await startServer(() => {}));
  const sockets = new WebSocketServer({ server: service.server });
  sockets.on('connection', (socket) => socket.on('error', () => {}));
  return sockets;
}

const handshake = [
  'GET /ws HTTP/1.1',
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

async function rawClient(): Promise<RawClient> {
  const client = await RawClient.connect(gateway.url);
  client.head(...handshake);
  await client.until('\r\n\r\n');
  return client;
}

/** What came after the head of the answer. */
const framesOf = (client: RawClient) =>
  Buffer.from(client.received.split('\r\n\r\n').slice(1).join('\r\n\r\n'), 'latin1');

/** RFC 6455 §5.5.1, §7.4.1: 1001 in two bytes. */
const goingAway = Buffer.from([0x03, 0xe9]);
const toClient = frame(8, goingAway);
const toUpstream = frame(8, goingAway, true);

describe('When the gateway stops, a WebSocket that passes through it', () => {
  test('is closed with 1001 at both ends (RFC 6455 §7.4.1)', async () => {
    const sockets = await overSockets();
    const accepted = once(sockets, 'connection') as Promise<[WebSocket]>;
    const client = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`);
    await once(client, 'open');
    const [peer] = await accepted;
    const closes = [once(client, 'close'), once(peer, 'close')] as Promise<[number]>[];
    const stopped = gateway.stop();
    expect((await Promise.all(closes)).map(([code]) => code)).toEqual([1001, 1001]);
    await stopped;
  });

  test('is closed between two messages of a stream that has no pauses, either way', async () => {
    const sockets = await overSockets();
    const accepted = once(sockets, 'connection') as Promise<[WebSocket]>;
    const client = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`);
    await once(client, 'open');
    const [peer] = await accepted;
    const message = Buffer.alloc(70_001, 'x');
    const errors: Error[] = [];
    const lengths = new Set<number>();
    for (const [from, to] of [
      [client, peer],
      [peer, client],
    ] as const) {
      to.on('error', (error) => errors.push(error));
      to.on('message', (data: Buffer) => lengths.add(data.length));
      const pour = () => {
        if (from.readyState === WebSocket.OPEN) from.send(message, () => setImmediate(pour));
      };
      pour();
    }
    await until(() => lengths.size === 1);
    const closes = [once(client, 'close'), once(peer, 'close')] as Promise<[number]>[];
    await settle(50);
    const stopped = gateway.stop();
    expect((await Promise.all(closes)).map(([code]) => code)).toEqual([1001, 1001]);
    expect([errors, [...lengths]]).toEqual([[], [message.length]]);
    await stopped;
  });

  test('gets the rest of the frame that is under way, then the close frame, and nothing else', async () => {
    let peer: Socket | undefined;
    await over(
      await startRawWebSocketUpstream((socket, head) => {
        peer = socket;
        socket.write(head);
        socket.write(frame(1, 'whole'));
        socket.write(frame(1, 'in the middle').subarray(0, 6));
      }),
    );
    const client = await rawClient();
    await until(() => framesOf(client).length === 13);
    const stopped = gateway.stop();
    await settle(50);
    expect(framesOf(client).length).toBe(13);
    peer!.write(Buffer.concat([frame(1, 'in the middle').subarray(6), frame(1, 'too late')]));
    await until(() => framesOf(client).length > 13 + 9);
    expect(framesOf(client)).toEqual(Buffer.concat([frame(1, 'whole'), frame(1, 'in the middle'), toClient]));
    // The client says goodbye too, and the gateway, which is its server, closes (§7.1.1).
    client.write(frame(8, goingAway, true));
    await client.end();
    await stopped;
  });

  test('has the same done for its upstream', async () => {
    const service = await over(await startRawWebSocketUpstream((socket, head) => void socket.write(head)));
    const client = await rawClient();
    client.write(frame(2, 'in the middle', true).subarray(0, 9));
    await until(() => service.received().length === 9);
    const stopped = gateway.stop();
    await settle(50);
    client.write(Buffer.concat([frame(2, 'in the middle', true).subarray(9), frame(2, 'too late', true)]));
    await until(() => service.received().length > 19);
    expect(service.received()).toEqual(Buffer.concat([frame(2, 'in the middle', true), toUpstream]));
    await stopped;
    client.socket.destroy();
  });

  test('is cut off a second later where a frame never ends, or nobody answers', async () => {
    await over(
      await startRawWebSocketUpstream((socket, head) => {
        socket.write(head);
        socket.write(frame(1, 'never whole').subarray(0, 5));
      }),
    );
    const client = await rawClient();
    await until(() => framesOf(client).length === 5);
    await gateway.stop();
    await until(() => client.closed);
    expect(framesOf(client).length).toBe(5);
  });

  test('is not told twice where one end has said goodbye already', async () => {
    const service = await over(await startRawWebSocketUpstream((socket, head) => void socket.write(head)));
    const client = await rawClient();
    const goodbye = frame(8, Buffer.from([0x0f, 0xa0]), true);
    client.write(goodbye);
    await until(() => service.received().length === goodbye.length);
    await gateway.stop();
    await until(() => client.closed);
    // The upstream has not answered it; the gateway has.
    expect(framesOf(client)).toEqual(toClient);
    expect(service.received()).toEqual(goodbye);
  });

  test('that is still being opened is opened, and told then', async () => {
    let answer = () => {};
    const service = await over(
      await startRawWebSocketUpstream((socket, head) => (answer = () => void socket.write(head))),
    );
    const client = await RawClient.connect(gateway.url);
    client.head(...handshake);
    await until(() => service.connections.size === 1);
    const stopped = gateway.stop();
    await settle(100);
    expect(client.closed).toBe(false);
    answer();
    await until(() => framesOf(client).length === toClient.length);
    expect(client.received).toMatch(/^HTTP\/1\.1 101 /);
    expect(framesOf(client)).toEqual(toClient);
    await stopped;
  });
});
