import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { begin, send, until } from '../support/raw-client.ts';
import { startRawUpstream, type RawUpstream } from '../support/upstream.ts';

/** What goes wrong here does so at random, as it does in life; what must hold holds for every order of events. */
const one = <T>(...of: readonly T[]): T => of[randomInt(of.length)]!;
const body = 'x'.repeat(400_000);
const framed = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`;

/** Ways of an upstream to answer. */
const answers: readonly ((socket: Socket) => void)[] = [
  (socket) => void socket.write(framed + body),
  (socket) => void socket.write(framed + body),
  (socket) =>
    void socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n`),
  (socket) => void socket.write('HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno'),
  (socket) => void socket.end(framed + body.slice(1)),
  (socket) => void socket.write(framed + body.slice(1), () => setTimeout(() => socket.resetAndDestroy(), 5)),
  (socket) => void socket.write(framed),
  (socket) =>
    void socket.write('HTTP/1.0 200 OK\r\n\r\nhi', () =>
      setTimeout(
        () =>
          one(
            () => socket.end(),
            () => socket.destroy(),
          )(),
        5,
      ),
    ),
  (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'),
  (socket) =>
    void socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'),
  (socket) => void socket.write('garbage\r\n\r\n'),
  (socket) => void socket.end(),
  (socket) => void socket.resetAndDestroy(),
  () => {},
];

let services: RawUpstream[];
let gateway: TestGateway;

beforeAll(async () => {
  const start = () =>
    startRawUpstream((socket) => {
      let received = '';
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        const whole =
          /^(GET|HEAD)[^]*\r\n\r\n$/.test(received) || received.endsWith('0\r\n\r\n') || received.length > 100_000;
        // At times before it has read the request.
        if (!whole && randomInt(20) > 0) return;
        received = '';
        one(...answers)(socket);
      });
    });
  services = [await start(), await start()];
  const upstream = {
    endpoints: services.map(({ url }) => url),
    timeout: '600ms',
    attemptTimeout: '150ms',
    idleTimeout: '200ms',
    retry: { attempts: 2, backoff: '5ms' },
  };
  gateway = await startGateway({
    listen: { maxBodyBytes: '150KiB', bodyTimeout: '300ms' },
    upstreams: {
      roomy: { ...upstream, breaker: { failures: 30, openFor: '50ms' } },
      narrow: { ...upstream, maxConnections: 3, maxInFlight: 10, breaker: { failures: 4, openFor: '20ms' } },
    },
    routes: [
      { path: '/roomy{/*rest}', upstream: 'roomy' },
      { path: '/narrow{/*rest}', upstream: 'narrow' },
    ],
  });
});

afterAll(async () => {
  await gateway.stop();
  for (const service of services) await service.close();
});

const target = () => `/${one('roomy', 'narrow')}/${randomInt(5)}`;

/** Asks, and reads the answer, stops reading it, or leaves. */
function ask(): Promise<void> {
  const method = one('GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE');
  const content = method === 'GET' || method === 'HEAD' ? undefined : body.slice(0, one(10, 70_000, 100_000));
  const framing = one<Record<string, string | number>>(
    { 'transfer-encoding': 'chunked' },
    { 'content-length': content?.length ?? 0 },
  );
  const headers = { ...(content && framing), ...(randomInt(5) === 0 && { 'x-weir-deadline-ms': randomInt(200) }) };
  const request = begin(gateway.url + target(), { method, headers });
  request.on('error', () => {});
  request.on('response', (response) => {
    response.on('error', () => {});
    if (randomInt(8) > 0) response.resume();
    else setTimeout(() => request.destroy(), randomInt(500));
  });
  if (randomInt(6) === 0) setTimeout(() => request.destroy(), randomInt(200));
  request.end(content);
  return new Promise((resolve) => void request.on('close', resolve));
}

/** Begins something over TCP that it does not end. */
function breakOff(): Promise<void> {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname).on('error', () => {});
  const upgrade =
    'Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n';
  const upload = `Content-Length: 120000\r\n\r\n${body.slice(0, randomInt(120_000))}`;
  socket.write(
    one(`GET ${target()} HTTP/1.1\r\nHost: x\r\n${upgrade}`, `POST ${target()} HTTP/1.1\r\nHost: x\r\n${upload}`),
  );
  if (randomInt(2) === 0) socket.resume();
  setTimeout(
    () =>
      one(
        () => socket.destroy(),
        () => socket.resetAndDestroy(),
      )(),
    randomInt(400),
  );
  return new Promise((resolve) => void socket.once('close', resolve));
}

describe('Whatever upstreams and clients do to each other', () => {
  test('leaves no call, no connection, no request behind, and no defect in the log', async () => {
    const over = performance.now() + 2500;
    const client = async () => {
      while (performance.now() < over) await one(ask, ask, ask, breakOff)();
    };
    await Promise.all(Array.from({ length: 40 }, client));
    await untilIdle(gateway);
    await untilQuiet();
    expect(gateway.log.filter(({ level, error }) => level === 'error' || error === 'INTERNAL')).toEqual([]);
    // It was about something, and the gateway is as well as before.
    expect(new Set(gateway.log.map(({ error }) => error)).size).toBeGreaterThan(5);
    expect((await send(`${gateway.url}/nothing`)).status).toBe(404);
  });
});

/** Until the gateway's own count of requests under way, connections of clients and calls is nought. */
async function untilQuiet(): Promise<void> {
  await until(async () => {
    const { text } = await send(`${gateway.adminUrl}/metrics`);
    const counts = [
      ...text.matchAll(
        /^(?:http_server_active_requests|weir_server_connections|weir_upstream_active_calls)\S* (\S+)$/gm,
      ),
    ];
    return counts.length > 0 && counts.every(([, count]) => count === '0');
  });
}
