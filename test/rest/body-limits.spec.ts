import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { begin, RawClient, raw, send, until } from '../support/raw-client.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

let service: TestServer;
let gateway: TestGateway;
/** Body bytes that the upstream has seen, and how many requests. */
let bytes = 0;
let requests = 0;

beforeAll(async () => {
  service = await startServer((request, response) => {
    requests++;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('error', () => {});
    request.on('end', () => response.end('ok'));
  });
  gateway = await startGateway({
    listen: { maxBodyBytes: '100KiB' },
    upstreams: { service: { endpoints: [service.url] } },
    routes: [
      { path: '/usual', upstream: 'service' },
      { path: '/small', upstream: 'service', maxBodyBytes: '10B' },
      { path: '/large', upstream: 'service', maxBodyBytes: '50MiB' },
    ],
  });
});

afterAll(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

const problem = { status: 413, code: 'BODY_TOO_LARGE' };

describe('A body larger than the route takes', () => {
  test.each([
    ['/usual', 100 * 1024 + 1],
    ['/small', 11],
    ['/large', 50 * 1024 * 1024 + 1],
  ])('%s is refused by its length of %i, before the upstream sees anything', async (path, length) => {
    const seen = requests;
    const answer = await raw(
      gateway.url,
      `POST ${path} HTTP/1.1`,
      'Host: x',
      'Connection: close',
      `Content-Length: ${length}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 [^]*"code":"BODY_TOO_LARGE"/);
    expect(requests).toBe(seen);
  });

  test.each(['/usual', '/small'])('%s is cut off while it comes in chunks, and the client hears why', async (path) => {
    bytes = 0;
    const answer = await send(`${gateway.url}${path}`, {
      method: 'POST',
      body: Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(64 * 1024))),
    });
    expect(answer.json()).toMatchObject(problem);
    expect(bytes).toBeLessThan(1024 * 1024);
    await untilIdle(gateway);
  });

  test('is not held against the upstream', async () => {
    const { breaker } = gateway.gateway.assembly.upstreams.get('service')!;
    for (let round = 0; round < 6; round++)
      await send(`${gateway.url}/small`, { method: 'POST', body: Readable.from(['x'.repeat(100)]) });
    expect(breaker.state).toBe('closed');
  });

  test('leaves the connection in step for what follows', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('POST /small HTTP/1.1', 'Host: x', 'Content-Length: 20').write('x'.repeat(20));
    await client.until('BODY_TOO_LARGE');
    client
      .head('POST /small HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked')
      .write('14\r\n01234567890123456789\r\n0\r\n\r\n');
    await until(() => client.received.split('BODY_TOO_LARGE').length === 3);
    client.head('GET /usual HTTP/1.1', 'Host: x', 'Connection: close');
    expect(await client.end()).toMatch(/HTTP\/1\.1 200 OK[^]*ok\r\n0\r\n\r\n$|HTTP\/1\.1 200 OK[^]*\r\n\r\nok$/);
  });
});

describe('A body that fits', () => {
  test.each([
    ['/usual', 100 * 1024, false],
    ['/usual', 100 * 1024, true],
    ['/small', 10, false],
    ['/small', 10, true],
    ['/large', 5_000_000, true],
  ])('%s takes %i bytes (in chunks: %s)', async (path, length, chunked) => {
    bytes = 0;
    const body = Buffer.alloc(length);
    const answer = await send(`${gateway.url}${path}`, { method: 'PUT', body: chunked ? Readable.from([body]) : body });
    expect([answer.status, bytes]).toEqual([200, length]);
    expect((await gateway.accessOf(String(answer.headers['x-request-id']))).requestBytes).toBe(length);
  });

  test.each([5, 200_000])('may be announced with Expect: 100-continue (RFC 9110 §10.1.1), %i bytes', async (length) => {
    const request = begin(`${gateway.url}/large`, {
      method: 'POST',
      headers: { expect: '100-continue', 'content-length': length },
    });
    request.flushHeaders();
    await once(request, 'continue');
    request.end(Buffer.alloc(length));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  test('but not with other expectations: 417', async () => {
    const answer = await raw(
      gateway.url,
      'POST /usual HTTP/1.1',
      'Host: x',
      'Connection: close',
      'Expect: tea',
      'Content-Length: 0',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 417 [^]*"code":"EXPECTATION_FAILED"/);
  });

  test('is not asked for when it will be refused', async () => {
    const answer = await raw(
      gateway.url,
      'POST /usual HTTP/1.1',
      'Host: x',
      'Connection: close',
      'Expect: 100-continue',
      'Content-Length: 1000000',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });
});
