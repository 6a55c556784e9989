import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { begin, RawClient, send, until } from '../support/raw-client.ts';
import { startRawUpstream, startServer, type RawUpstream } from '../support/upstream.ts';

let service: { readonly url: string; close(): Promise<void> };
let gateway: TestGateway;

async function before<T extends typeof service>(upstream: T, settings: object = {}): Promise<T> {
  service = upstream;
  gateway = await startGateway({
    listen: { maxBodyBytes: '64MiB' },
    upstreams: {
      service: { endpoints: [upstream.url], retry: { attempts: 0 }, breaker: { failures: 1000 }, ...settings },
    },
    routes: [{ path: '/upload', upstream: 'service' }],
  });
  return upstream;
}

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

/** Answers as soon as it has read anything of a request. */
function hasty(answer: string, then: (socket: Socket) => void): Promise<RawUpstream> {
  return startRawUpstream((socket) => socket.once('data', () => socket.write(answer, 'latin1', () => then(socket))));
}

const refusal = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno';
const closing = refusal.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
const upload = Buffer.alloc(8 * 1024 * 1024, 'x');

describe('A final answer to a request that is still being sent', () => {
  test.each([
    ['goes on reading', refusal, (socket: Socket) => void socket.resume()],
    ['reads no more, and keeps the connection', refusal, (socket: Socket) => void socket.pause()],
    ['closes its side, and reads on (RFC 9112 §9.6)', closing, (socket: Socket) => void socket.end()],
  ])('reaches the client whole, where the upstream %s', async (_, answer, then) => {
    await before(await hasty(answer, then));
    for (let round = 0; round < 3; round++) {
      const received = await send(`${gateway.url}/upload`, { method: 'POST', body: upload });
      expect([received.status, received.text]).toEqual([413, 'no']);
    }
  });

  test.each([
    ['closes at once', (socket: Socket) => void socket.destroy()],
    ['resets at once', (socket: Socket) => void socket.resetAndDestroy()],
  ])('is passed on or is a 502, and never half of one, where the upstream %s', async (_, then) => {
    await before(await hasty(closing, then));
    for (let round = 0; round < 5; round++) {
      const received = await send(`${gateway.url}/upload`, { method: 'POST', body: upload });
      // What it said may be lost with the connection; then that is what the client is told.
      expect([received.status, received.text]).toEqual(
        received.status === 413 ? [413, 'no'] : [502, expect.stringContaining('"code":"UPSTREAM_')],
      );
    }
  });

  test('that breaks off is broken for the client too', async () => {
    const half = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf';
    await before(await hasty(half, (socket) => void socket.end()));
    await expect(send(`${gateway.url}/upload`, { method: 'POST', body: upload })).rejects.toThrow(
      /aborted|hang up|not complete|ECONNRESET|EPIPE/,
    );
  });

  test('may go on as long as the request does: both at the same time', async () => {
    await before(
      await startServer((request, response) => {
        response.writeHead(200);
        request.pipe(response);
      }),
    );
    const request = begin(`${gateway.url}/upload`, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
    request.write('first');
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    let received = '';
    response.on('data', (chunk) => (received += String(chunk)));
    for (const part of ['first', 'second', 'third']) {
      if (part !== 'first') request.write(part);
      await until(() => received.endsWith(part));
    }
    request.end();
    await once(response, 'end');
    expect([received, response.complete]).toEqual(['firstsecondthird', true]);
  });

  test('may be long over before it: what is still sent is read, and goes nowhere', async () => {
    let taken = 0;
    const upstream = await before(await hasty('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', () => {}));
    const client = await RawClient.connect(gateway.url);
    client.head('POST /upload HTTP/1.1', 'Host: x', `Content-Length: ${upload.length}`).write(upload.subarray(0, 1000));
    await client.until('\r\n\r\nok');
    await until(() => upstream.connections.size === 0);
    client.socket.write(upload.subarray(1000), () => (taken = upload.length));
    await until(() => taken === upload.length);
    // The connection is in step: the next request on it is the next request.
    client.head('GET /nowhere HTTP/1.1', 'Host: x');
    expect(await client.until('ROUTE_NOT_FOUND')).toMatch(/ok[^]*HTTP\/1\.1 404 /);
    client.socket.destroy();
  });
});
