/** Clients that listen: subscriptions over server-sent events and WebSocket, feeds and sockets that pass through. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { Activity, Scene } from '../activity.ts';
import { ask } from './exchange.ts';

const subscription = 'subscription S { orderEvents { type order { id user { name } items { product { name } } } } }';

/** Those who listen leave after a while, most of them without a word. */
const longestMs = 12_000;

/** A handshake that does not end in time is as good as an answer that does not. */
const handshakeMs = 15_000;

interface Opened {
  readonly socket: WebSocket;
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
}

/** @returns nothing where the handshake was refused, which is counted */
async function open(scene: Scene, path: string, protocol: string): Promise<Opened | undefined> {
  const socket = new WebSocket(`ws://127.0.0.1:${scene.port}${path}`, protocol, { perMessageDeflate: false });
  const opened = Promise.withResolvers<boolean>();
  const closed = Promise.withResolvers<number>();
  const late = setTimeout(() => {
    scene.tally.complain('no byte for a quarter of a minute', `${scene.name}: the handshake of ${path}`);
    socket.terminate();
  }, handshakeMs);
  socket.once('open', () => opened.resolve(true));
  socket.once('unexpected-response', (request, response) => {
    scene.tally.outcome(scene.name, String(response.statusCode));
    response.resume();
    request.destroy();
    opened.resolve(false);
  });
  socket.on('error', () => opened.resolve(false));
  socket.once('close', (code) => closed.resolve(code));
  const good = await opened.promise;
  clearTimeout(late);
  return good ? { socket, closed: closed.promise } : undefined;
}

/** Says goodbye, or does not. */
async function leave({ draw }: Scene, { socket, closed }: Opened): Promise<void> {
  if (draw.next() < 0.5) socket.terminate();
  else socket.close(1000);
  await closed;
}

async function echo(scene: Scene): Promise<void> {
  const { draw, tally, name } = scene;
  const opened = await open(scene, '/v1/orders/echo', 'orders.v1');
  if (!opened) return;
  const { socket, closed } = opened;
  const endMs = performance.now() + draw.int(100, 4_000);
  while (performance.now() < endMs && socket.readyState === WebSocket.OPEN) {
    const message = Buffer.alloc(
      draw.next() < 0.1 ? draw.int(1, 1024 ** 2) : draw.int(0, 2_000),
      String(draw.int(0, 9)),
    );
    const answer = once(socket, 'message');
    socket.send(message);
    const returned = (await Promise.race([answer, closed])) as [Buffer] | number;
    // The service was killed, or is the one that is to be well again soon.
    if (typeof returned === 'number') break;
    if (!returned[0].equals(message)) tally.complain('a WebSocket message that changed', `${message.length} bytes`);
    tally.outcome(name, 'messages');
    await sleep(draw.int(0, 20));
  }
  await leave(scene, opened);
}

async function live(scene: Scene): Promise<void> {
  const { draw, tally, name } = scene;
  const opened = await open(scene, '/v1/orders/live', 'orders.v1');
  if (!opened) return;
  opened.socket.on('message', () => tally.outcome(name, 'messages'));
  await Promise.race([opened.closed, sleep(draw.int(100, longestMs))]);
  await leave(scene, opened);
}

/** Several operations on one WebSocket, by the graphql-transport-ws protocol. */
async function operations(scene: Scene): Promise<void> {
  const { draw, tally, name } = scene;
  const opened = await open(scene, '/graphql', 'graphql-transport-ws');
  if (!opened) return;
  const { socket, closed } = opened;
  const say = (message: object): void => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  socket.on('message', (data: Buffer) => {
    const { type } = JSON.parse(data.toString()) as { readonly type: string };
    tally.outcome(name, type);
    if (type === 'ping') say({ type: 'pong' });
  });
  say({ type: 'connection_init' });
  await Promise.race([once(socket, 'message'), closed]);
  const count = draw.int(1, 5);
  for (let id = 0; id < count; id++) {
    const query = draw.next() < 0.6 ? subscription : '{ users(first: 3) { name orders(first: 2) { id } } }';
    say({ id: String(id), type: 'subscribe', payload: { query } });
  }
  await Promise.race([closed, sleep(draw.int(100, longestMs))]);
  for (let id = 0; id < count; id++) if (draw.next() < 0.5) say({ id: String(id), type: 'complete' });
  await leave(scene, opened);
}

export const streams: readonly Activity[] = [
  {
    name: 'subscriptions over SSE',
    clients: 4,
    pauseMs: 200,
    run: async (scene) => {
      const search = new URLSearchParams({ query: subscription });
      const headers = { accept: 'text/event-stream' };
      const leaveAfterMs = scene.draw.int(50, longestMs);
      const { text } = await ask(scene, { path: `/graphql?${search.toString()}`, headers, leaveAfterMs });
      if (text.includes('event: next')) scene.tally.outcome(scene.name, 'with events');
    },
  },
  { name: 'operations over WebSocket', clients: 3, pauseMs: 200, run: operations },
  {
    name: 'SSE that passes through',
    clients: 2,
    pauseMs: 200,
    run: async (scene) => {
      const leaveAfterMs = scene.draw.int(50, longestMs);
      await ask(scene, { path: '/v1/orders/events', headers: { accept: 'text/event-stream' }, leaveAfterMs });
    },
  },
  { name: 'WebSocket echoes', clients: 3, pauseMs: 200, run: echo },
  { name: 'WebSocket feeds', clients: 2, pauseMs: 200, run: live },
];
