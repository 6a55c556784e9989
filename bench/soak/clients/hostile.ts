/** Clients that leave, dawdle, or do not speak HTTP. Their names begin with the word, so that they may be refused. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Activity, Scene } from '../activity.ts';
import { ask, bytes } from './exchange.ts';

const host = 'Host: soak\r\n';

/** What is no request, could be read in two ways, or asks for what nobody has. */
const garbage: readonly string[] = [
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'GET / HTTP/9.9\r\n\r\n',
  'GET /v1/users HTTP/1.1\r\n\r\n',
  `GET /v1/users HTTP/1.1\r\n${host}Host: another\r\n\r\n`,
  `GET /v1/%2e%2e/_fault HTTP/1.1\r\n${host}\r\n`,
  `GET /v1/users HTTP/1.1\r\n${host}X: \x00\r\n\r\n`,
  `GET /v1/users HTTP/1.1\r\n${host} folded: yes\r\n\r\n`,
  `POST /v1/orders HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `POST /v1/orders HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345`,
  `POST /v1/upload HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\nZZ\r\n`,
  `POST /graphql HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n}{`,
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`,
  `GET /v1/users HTTP/1.1\r\n${host}${'X-Many: y\r\n'.repeat(2_000)}\r\n`,
  `GET /nowhere HTTP/1.1\r\n${host}\r\n`,
  `TRACE /v1/users HTTP/1.1\r\n${host}\r\n`,
  `CONNECT example.com:443 HTTP/1.1\r\n${host}\r\n`,
  `GET /v1/orders/live HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n\r\n`,
  // Pipelined, the last one cut off.
  `GET /v1/users/1 HTTP/1.1\r\n${host}\r\n`.repeat(5) + 'GET /v1/us',
];

interface Raw {
  readonly socket: Socket;
  /** The beginning of it. */
  readonly received: () => string;
  /** How long nothing has come. */
  readonly silentMs: () => number;
  readonly closed: Promise<unknown>;
}

async function dial({ port }: Scene): Promise<Raw> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  let heardMs = performance.now();
  socket.setEncoding('latin1').on('data', (part: string) => {
    text = (text + part).slice(0, 1_000);
    heardMs = performance.now();
  });
  // Being hung up on is what such a client is there for.
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  await Promise.race([once(socket, 'connect').catch(() => undefined), closed]);
  return { socket, received: () => text, silentMs: () => performance.now() - heardMs, closed };
}

/** Whoever is not hung up on in this time leaves; the gateway's own bounds are below it. */
const patienceMs = 20_000;

/** Nothing need have ended where something still comes: a service that drips would take days for what was asked. */
const drippingMs = 2_000;

async function untilClosed({ name, tally }: Scene, { socket, received, silentMs, closed }: Raw): Promise<void> {
  const over = await Promise.race([closed.then(() => true), sleep(patienceMs, false)]);
  if (!over && silentMs() > drippingMs)
    tally.complain('a connection that nobody closed', `${name}: ${received().slice(0, 200)}`);
  tally.outcome(name, /^HTTP\/1\.1 (\d+)/.exec(received())?.[1] ?? 'closed');
  socket.destroy();
}

async function speakGarbage(scene: Scene): Promise<void> {
  const { draw, tally, name } = scene;
  const raw = await dial(scene);
  const text = draw.pick(garbage);
  // As it is, or with one byte changed.
  const bent = Buffer.from(text, 'latin1');
  if (draw.next() < 0.3) bent[draw.int(0, bent.length - 1)] = draw.int(0, 255);
  raw.socket.write(bent);
  await Promise.race([raw.closed, sleep(draw.int(0, 500))]);
  tally.outcome(name, /^HTTP\/1\.1 (\d+)/.exec(raw.received())?.[1] ?? 'nothing');
  // What is no handshake to the gateway may be one to a service, and that may fail just then.
  if (/ 500 |"INTERNAL"/.test(raw.received()) && !raw.received().includes('fault switch'))
    tally.complain('garbage that was a defect', JSON.stringify(text.slice(0, 200)));
  raw.socket.destroy();
}

/** A head a byte at a time, without an end. */
async function slowHead(scene: Scene): Promise<void> {
  const raw = await dial(scene);
  raw.socket.write(`GET /v1/users HTTP/1.1\r\n${host}X-Slow: `);
  const timer = setInterval(() => raw.socket.write('x'), 200);
  await untilClosed(scene, raw);
  clearInterval(timer);
}

/** A body of which nothing more comes. */
async function slowBody(scene: Scene): Promise<void> {
  const raw = await dial(scene);
  const path = scene.draw.pick(['/v1/upload', '/v1/orders', '/graphql']);
  raw.socket.write(
    `POST ${path} HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"query": `,
  );
  await untilClosed(scene, raw);
}

/** Asks for much and reads nothing of it. */
async function deafReader(scene: Scene): Promise<void> {
  const raw = await dial(scene);
  raw.socket.pause();
  raw.socket.write(`GET /v1/catalog/export?bytes=20000000 HTTP/1.1\r\n${host}\r\n`);
  await sleep(scene.draw.int(1_000, 8_000));
  raw.socket.resume();
  await untilClosed(scene, raw);
}

export const hostile: readonly Activity[] = [
  { name: 'hostile: garbage', clients: 2, pauseMs: 50, run: speakGarbage },
  { name: 'hostile: heads that drip', clients: 2, pauseMs: 500, run: slowHead },
  { name: 'hostile: bodies that stop', clients: 2, pauseMs: 500, run: slowBody },
  { name: 'hostile: readers that stop', clients: 2, pauseMs: 500, run: deafReader },
  {
    name: 'hostile: readers that dawdle',
    clients: 2,
    pauseMs: 500,
    run: async (scene) => {
      const path = '/v1/catalog/export?bytes=20000000';
      await ask(scene, { path, leaveAfterMs: scene.draw.int(1_000, 10_000), onPart: () => sleep(20) });
    },
  },
  {
    name: 'hostile: clients that leave',
    clients: 4,
    pauseMs: 30,
    run: async (scene) => {
      const { draw } = scene;
      const leaveAfterMs = draw.int(0, 60);
      const query =
        '{ users(first: 10) { orders(first: 5) { items { product { name reviews(first: 3) { body } } } } } }';
      const json = { 'content-type': 'application/json', accept: 'application/json' };
      await draw.pick([
        () => ask(scene, { path: '/v1/users?first=100', leaveAfterMs }),
        () => ask(scene, { path: '/v1/catalog/export?bytes=5000000', leaveAfterMs }),
        () => ask(scene, { method: 'POST', path: '/v1/upload', body: bytes(5_000_000, 5), leaveAfterMs }),
        () =>
          ask(scene, {
            method: 'POST',
            path: '/graphql',
            headers: json,
            body: JSON.stringify({ query }),
            leaveAfterMs,
          }),
        () => ask(scene, { path: '/v1/orders/events', leaveAfterMs }),
      ])();
    },
  },
  {
    name: 'hostile: operations that are none',
    clients: 1,
    pauseMs: 100,
    run: async (scene) => {
      const query = scene.draw.pick([
        '{ nothing }',
        '{ users(first: "many") { id } }',
        '{'.repeat(5_000),
        `{ ${Array.from({ length: 200 }, (_, index) => `a${index}: users(first: 1) { id }`).join(' ')} }`,
        'query { users(first: 1) { ...F } } fragment F on User { orders(first: 1) { user { ...F } } }',
      ]);
      const headers = { 'content-type': 'application/json', accept: 'application/json' };
      await ask(scene, { method: 'POST', path: '/graphql', headers, body: JSON.stringify({ query }) });
    },
  },
  {
    name: 'hostile: unknown paths',
    clients: 1,
    pauseMs: 100,
    run: async (scene) => {
      const path = scene.draw.pick(['/', '/v2/users', '/admin/upstreams', '/metrics', `/v1/${'x'.repeat(200)}`]);
      await ask(scene, { path, method: scene.draw.pick(['GET', 'DELETE', 'PUT']) });
    },
  },
];
