import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, raw, send, settle, until } from '../support/raw-client.ts';
import { deadUrl, startRawUpstream, startServer, type RawUpstream, type TestServer } from '../support/upstream.ts';

let service: TestServer;
let sockets: WebSocketServer;
let silent: RawUpstream;
let gateway: TestGateway;
const handshakes: IncomingMessage[] = [];
/** More than sockets hold on the way. */
const large = 'x'.repeat(20_000_000);

beforeAll(async () => {
  service = await startServer((request, response) => void response.end(`plain ${request.method}`));
  sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => (offered.has('v2') ? 'v2' : false) });
  sockets.on('headers', (headers: string[]) =>
    headers.push('Server: secret', 'X-Powered-By: secret', 'X-Weir-Tier: pro', 'X-Kept: 1'),
  );
  sockets.on('connection', (socket) => {
    socket.on('message', (data: Buffer, binary) => {
      const text = data.toString();
      if (text.startsWith('close ')) socket.close(Number(text.slice(6)), 'as you wish');
      else if (text === 'vanish') socket.terminate();
      else socket.send(data, { binary });
    });
    socket.on('error', () => {});
  });
  service.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    handshakes.push(request);
    socket.on('error', () => socket.destroy());
    if (request.url === '/refuse')
      socket.end(
        'HTTP/1.1 403 Forbidden\r\nServer: secret\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nnope',
      );
    else if (request.url === '/chunks')
      socket.end('HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n');
    else if (request.url === '/large') socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n${large}`);
    else if (request.url === '/garbage') socket.end('hello\r\n\r\n');
    else if (request.url === '/other')
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n');
    else if (request.url === '/deaf')
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: YWxsIHRoZSBzYW1l\r\n\r\n',
      );
    else if (request.url === '/bare') socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    else if (request.url === '/many') socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000));
    else sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request));
  });
  silent = await startRawUpstream(() => {});
  gateway = await startGateway({
    modules: 'test/fixtures/doorkeeper',
    listen: { bodyTimeout: '300ms' },
    upstreams: {
      service: { endpoints: [service.url], idleTimeout: '400ms', breaker: { failures: 1000 } },
      narrow: { endpoints: [service.url], maxConnections: 1, attemptTimeout: '200ms', breaker: { failures: 1 } },
      dead: { endpoints: [await deadUrl()], breaker: { failures: 2 } },
      silent: { endpoints: [silent.url], attemptTimeout: '200ms' },
      patient: { endpoints: [silent.url], attemptTimeout: '60s', timeout: '60s' },
    },
    routes: [
      ...['', '/refuse', '/chunks', '/large', '/garbage', '/other', '/deaf', '/bare', '/many'].map((path) => ({
        path: `/ws${path}`,
        upstream: 'service',
        rewrite: path || '/',
      })),
      { path: '/narrow', upstream: 'narrow' },
      { path: '/dead', upstream: 'dead' },
      { path: '/silent', upstream: 'silent' },
      { path: '/patient', upstream: 'patient' },
    ],
  });
});

afterEach(async () => {
  for (const socket of sockets.clients) socket.terminate();
  await untilIdle(gateway);
});

afterAll(async () => {
  await gateway.stop();
  await service.close();
  await silent.close();
});

/** A connected WebSocket with what it receives. */
async function join(path = '/ws', protocols: string[] = [], headers: Record<string, string> = {}) {
  const socket = new WebSocket(gateway.url.replace('http', 'ws') + path, protocols, { headers });
  const received: { data: Buffer; binary: boolean }[] = [];
  socket.on('message', (data: Buffer, binary) => received.push({ data, binary }));
  const closed = once(socket, 'close') as Promise<[number, Buffer]>;
  const upgraded = once(socket, 'upgrade') as Promise<[IncomingMessage]>;
  await once(socket, 'open');
  const [response] = await upgraded;
  return { socket, received, closed, response };
}

/** The HTTP answer to a handshake that is refused. */
async function refused(
  path: string,
  headers: Record<string, string> = {},
  url = gateway.url,
): Promise<{ status: number; headers: IncomingMessage['headers']; body: string }> {
  const socket = new WebSocket(url.replace('http', 'ws') + path, { headers });
  socket.on('error', () => {});
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode!, headers: response.headers, body };
}

async function lineOf(id: unknown): Promise<Readonly<Record<string, unknown>>> {
  return gateway.accessOf(String(id));
}

describe('A WebSocket through a route', () => {
  test('carries text and binary, small and large, both ways', async () => {
    const { socket, received, closed } = await join();
    const messages = ['hello', 'é€😀', Buffer.from([0, 255, 10, 13]), Buffer.alloc(2_000_000, 7), 'x'.repeat(300_000)];
    for (const message of messages) socket.send(message);
    await until(() => received.length === messages.length);
    for (const [index, message] of messages.entries()) {
      expect(received[index]!.binary).toBe(Buffer.isBuffer(message));
      expect(received[index]!.data.equals(Buffer.from(message))).toBe(true);
    }
    socket.close();
    await closed;
  });

  test('agrees on a subprotocol with the upstream', async () => {
    const { socket } = await join('/ws', ['v1', 'v2']);
    expect(socket.protocol).toBe('v2');
    socket.terminate();
  });

  test('ends with the close code of either side', async () => {
    const theirs = await join();
    theirs.socket.send('close 4001');
    expect(await theirs.closed).toEqual([4001, Buffer.from('as you wish')]);
    const ours = await join();
    const [peer] = sockets.clients;
    const closed = once(peer!, 'close') as Promise<[number, Buffer]>;
    ours.socket.close(4002, 'bye');
    expect(await closed).toEqual([4002, Buffer.from('bye')]);
    expect(await ours.closed).toEqual([4002, Buffer.from('bye')]);
  });

  test('answers a message that came with the handshake', async () => {
    const client = await RawClient.connect(gateway.url);
    // A masked text frame "hi" (RFC 6455 §5.2), in one packet with the request.
    const frame = Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]).toString('latin1');
    client.write(
      `GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n${frame}`,
    );
    expect(await client.until('\x81\x02hi')).toMatch(
      /^HTTP\/1\.1 101 [^]*sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i,
    );
    client.socket.destroy();
  });

  test("has the headers of any request and answer, less what is nobody else's business", async () => {
    const { socket, response } = await join('/ws', [], {
      cookie: 'a=secret',
      authorization: 'Bearer secret',
      'x-weir-tier': 'gold',
      'x-forwarded-for': '6.6.6.6',
      'x-own': '1',
    });
    const { headers } = handshakes.at(-1)!;
    expect(headers).toMatchObject({
      'x-own': '1',
      'x-weir-tier': 'anonymous',
      'x-forwarded-for': '127.0.0.1',
      via: '1.1 weir',
      upgrade: 'websocket',
    });
    expect(JSON.stringify(headers)).not.toMatch(/secret|gold|6\.6/);
    expect(response.headers).toMatchObject({ 'x-kept': '1', via: '1.1 weir', 'x-request-id': headers['x-request-id'] });
    expect(JSON.stringify(response.headers)).not.toMatch(/secret|x-weir|x-powered/);
    socket.terminate();
  });

  test('leaves one line in the log, at its end, without an error', async () => {
    const { socket, response, closed } = await join();
    const id = response.headers['x-request-id'];
    await settle(20);
    expect(gateway.log.some((line) => line.requestId === id)).toBe(false);
    socket.close();
    await closed;
    const line = await lineOf(id);
    expect(line).toMatchObject({ method: 'GET', path: '/ws', route: '/ws', status: 101, upstreams: { service: 1 } });
    expect(line).not.toHaveProperty('error');
    expect(line.durationMs).toBeGreaterThan(15);
  });
});

describe('When one side vanishes', () => {
  test('the upstream hears of the client', async () => {
    for (const leave of ['destroy', 'resetAndDestroy'] as const) {
      const client = await RawClient.connect(gateway.url);
      client.head(
        'GET /ws HTTP/1.1',
        'Host: x',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      );
      await client.until('101');
      await until(() => sockets.clients.size === 1);
      client.socket[leave]();
      await until(() => sockets.clients.size === 0);
    }
    expect(gateway.gateway.assembly.upstreams.get('service')!.breaker.state).toBe('closed');
  });

  test('the client hears of the upstream', async () => {
    const { socket, closed } = await join();
    socket.send('vanish');
    expect((await closed)[0]).toBe(1006);
  });

  test.each(['destroy', 'resetAndDestroy'] as const)(
    'before the upstream has answered, the call ends: %s',
    async (leave) => {
      const client = await RawClient.connect(gateway.url);
      client.head(
        'GET /patient HTTP/1.1',
        'Host: x',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: x',
      );
      await until(() => silent.connections.size === 1);
      client.socket[leave]();
      await until(() => silent.connections.size === 0);
      await until(() => gateway.log.some((line) => line.path === '/patient'));
      expect(gateway.log.findLast((line) => line.path === '/patient')).toMatchObject({
        error: 'CLIENT_CLOSED_REQUEST',
      });
    },
  );

  test('nothing moves for idleTimeout, both are told so with 1001 and closed', async () => {
    const { closed, socket } = await join();
    const started = performance.now();
    // What moves keeps it open.
    for (let round = 0; round < 4; round++) {
      await settle(150);
      socket.send('still here');
    }
    // RFC 6455 §7.4.1: neither has broken a rule, and nothing has gone wrong.
    expect((await closed)[0]).toBe(1001);
    expect(performance.now() - started).toBeGreaterThan(900);
    await until(() => sockets.clients.size === 0);
  });
});

describe('A handshake that fails is an HTTP answer', () => {
  test.each([
    ['/ws/refuse', 403],
    ['/ws/chunks', 400],
  ])("%s: the upstream's own %i", async (path, status) => {
    const answer = await refused(path);
    expect([answer.status, answer.body]).toEqual([status, 'nope']);
    expect(answer.headers).toMatchObject({ via: '1.1 weir', connection: 'close' });
    expect(answer.headers).not.toHaveProperty('server');
    expect(await lineOf(answer.headers['x-request-id'])).toMatchObject({ status });
  });

  test.each([
    ['/dead', 502, 'UPSTREAM_UNREACHABLE'],
    ['/silent', 504, 'UPSTREAM_TIMEOUT'],
    ['/ws/garbage', 502, 'UPSTREAM_BAD_RESPONSE'],
    ['/ws/other', 502, 'UPSTREAM_BAD_RESPONSE'],
    ['/ws/deaf', 502, 'UPSTREAM_BAD_RESPONSE'],
    ['/ws/bare', 502, 'UPSTREAM_BAD_RESPONSE'],
    ['/ws/many', 502, 'UPSTREAM_BAD_RESPONSE'],
    ['/nothing', 404, 'ROUTE_NOT_FOUND'],
    ['/ws/%5c', 400, 'BAD_REQUEST'],
    ['/docs/errors', 426, 'UPGRADE_REFUSED'],
  ])('%s: %i %s', async (path, status, code) => {
    const answer = await refused(path);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(answer.body)).toMatchObject({ status, code });
    expect(await lineOf(answer.headers['x-request-id'])).toMatchObject({ status, error: code });
  });

  test('however long it is, and whether its client reads it or not', async () => {
    expect((await refused('/ws/large')).body).toBe(large);
    const client = await RawClient.connect(gateway.url);
    client.socket.pause();
    client.head(
      'GET /ws/large HTTP/1.1',
      'Host: x',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: x',
      'X-Request-Id: unread',
    );
    // Cut off after bodyTimeout.
    expect(await lineOf('unread')).toMatchObject({ status: 200, error: 'CLIENT_CLOSED_REQUEST' });
    client.socket.destroy();
  });

  test.each([
    ['a policy of a module', '/ws', { 'x-ticket': 'forged' }, 406, 'NOT_ACCEPTABLE'],
    ['one that takes its time', '/ws', { 'x-ticket': 'doubtful' }, 503, 'OVERLOADED'],
    ['its own deadline', '/patient', { 'x-weir-deadline-ms': '50' }, 504, 'DEADLINE_EXCEEDED'],
  ])('%s refuses it before an upstream hears of it, or waits in vain', async (_, path, headers, status, code) => {
    const before = handshakes.length;
    const answer = await refused(path, headers);
    expect([answer.status, JSON.parse(answer.body)]).toEqual([status, expect.objectContaining({ code })]);
    expect(answer.headers['retry-after']).toBe(code === 'OVERLOADED' ? '7' : undefined);
    expect(handshakes.length).toBe(before);
    await until(() => silent.connections.size === 0);
  });

  test('a gateway that is full refuses it like any other request', async () => {
    const own = await startGateway({
      listen: { maxInFlight: 1 },
      upstreams: { silent: { endpoints: [silent.url] } },
      routes: [{ path: '/held', upstream: 'silent' }],
    });
    const holding = await RawClient.connect(own.url);
    holding.head('GET /held HTTP/1.1', 'Host: x');
    await until(() => silent.connections.size === 1);
    const answer = await refused('/held', {}, own.url);
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, expect.any(String)]);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'OVERLOADED' });
    holding.reset();
    await untilIdle(own);
    await own.stop();
  });

  test('and is one more failure to the breaker', async () => {
    await refused('/dead');
    await refused('/dead');
    expect((await refused('/dead')).status).toBe(503);
    expect((await send(`${gateway.url}/dead`)).json()).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  });
});

describe('What merely looks like a WebSocket', () => {
  test.each([
    ['another protocol', 'GET', 'h2c'],
    ['another method (RFC 6455 §4.1)', 'POST', 'websocket'],
  ])('%s is served as plain HTTP, as RFC 9110 §7.8 allows', async (_, method, protocol) => {
    const answer = await raw(
      gateway.url,
      `${method} /ws HTTP/1.1`,
      'Host: x',
      `Connection: Upgrade, close`,
      `Upgrade: ${protocol}`,
      'Content-Length: 0'.repeat(method === 'POST' ? 1 : 0) || 'X-A: 1',
    );
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 200 [^]*plain ${method}`));
  });
});

describe('The connection budget', () => {
  test('counts WebSockets: who finds no connection in time is told so, and it is not held against the upstream', async () => {
    const { socket, closed } = await join('/narrow');
    const answer = await send(`${gateway.url}/narrow`);
    expect([answer.status, answer.json().code, answer.headers['retry-after']]).toEqual([
      503,
      'UPSTREAM_OVERLOADED',
      '1',
    ]);
    expect((await refused('/narrow')).status).toBe(503);
    expect(gateway.gateway.assembly.upstreams.get('narrow')!.breaker.state).toBe('closed');
    socket.close();
    await closed;
    expect((await send(`${gateway.url}/narrow`)).text).toBe('plain GET');
  });
});
