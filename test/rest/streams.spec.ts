import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { begin, RawClient, send, settle, until } from '../support/raw-client.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

const forms = ['buffered', 'streamed'] as const;
type Form = (typeof forms)[number];

/** More than sockets hold on the way, so that bytes that pile up are bytes in memory. */
const total = 96 * 1024 * 1024;
const bound = 32 * 1024 * 1024;
const block = randomBytes(64 * 1024);

let service: TestServer;
let gateway: TestGateway;

async function before(
  listener: (request: IncomingMessage, response: ServerResponse) => void,
  settings: object = {},
  listen: object = {},
): Promise<void> {
  service = await startServer(listener);
  gateway = await startGateway({
    listen: { maxBodyBytes: '1GiB', ...listen },
    upstreams: { service: { endpoints: [service.url], retry: { attempts: 0 }, breaker: { failures: 1 }, ...settings } },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  });
}

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

const state = () => gateway.gateway.assembly.upstreams.get('service')!.breaker.state;

/** The access line of the only request. */
async function line(): Promise<Readonly<Record<string, unknown>>> {
  await until(() => gateway.log.some((entry) => entry.msg === 'request'));
  return gateway.log.find((entry) => entry.msg === 'request')!;
}

/** Asks so that the given form carries the request; the streamed one needs a body. */
async function asking(form: Form): Promise<RawClient> {
  const client = await RawClient.connect(gateway.url);
  if (form === 'buffered') client.head('GET /x HTTP/1.1', 'Host: x');
  else client.head('POST /x HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked').write('1\r\nx\r\n0\r\n\r\n');
  return client;
}

/** Writes `total` bytes as fast as they are taken. */
async function pour(to: Writable, sent: (bytes: number) => void): Promise<void> {
  function* blocks(): Generator<Buffer> {
    for (let bytes = block.length; bytes <= total; bytes += block.length) {
      sent(bytes);
      yield block;
    }
  }
  // That it is cut short is what many of these tests are about.
  await pipeline(Readable.from(blocks()), to).catch(() => {});
}

async function untilSteady(count: () => number): Promise<void> {
  let last = -1;
  while (count() !== last || last === 0) {
    last = count();
    await settle(100);
  }
}

describe.each(forms)('A client that reads slowly, %s', (form) => {
  test("holds the upstream back, not the gateway's memory, and gets it all", async () => {
    let sent = 0;
    await before((request, response) => {
      request.resume();
      void pour(response, (bytes) => (sent = bytes));
    });
    const request = begin(
      `${gateway.url}/x`,
      form === 'buffered' ? {} : { method: 'POST', headers: { 'transfer-encoding': 'chunked' } },
    );
    request.end(form === 'buffered' ? undefined : 'x');
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await untilSteady(() => sent);
    expect(sent).toBeLessThan(bound);
    const hash = createHash('sha256');
    let received = 0;
    for await (const chunk of response) {
      received += (chunk as Buffer).length;
      hash.update(chunk as Buffer);
    }
    const expected = createHash('sha256');
    for (let bytes = 0; bytes < total; bytes += block.length) expected.update(block);
    expect(received).toBe(total);
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
    expect((await line()).responseBytes).toBe(total);
  });

  test('is cut off when it stops for longer than bodyTimeout, and the upstream with it', async () => {
    await before(
      (request, response) => {
        request.resume();
        void pour(response, () => {});
      },
      {},
      { bodyTimeout: '300ms' },
    );
    const client = await asking(form);
    client.socket.pause();
    await until(() => gateway.log.some((entry) => entry.msg === 'request'));
    expect(await line()).toMatchObject({ status: 200, error: 'CLIENT_CLOSED_REQUEST' });
    await until(() => service.connections.size === 0);
    expect(state()).toBe('closed');
    client.socket.destroy();
  });

  test('is not cut off while it reads at all', async () => {
    await before(
      (request, response) => {
        request.resume();
        void pour(response, () => {});
      },
      { idleTimeout: '300ms' },
      { bodyTimeout: '300ms' },
    );
    const client = await asking(form);
    let unread = 0;
    client.socket.removeAllListeners('data').on('data', (text: string) => {
      unread -= text.length;
      if (unread <= 0) client.socket.pause();
    });
    for (let pause = 0; pause < 5; pause++) {
      // More than the buffers on the way hold, so that something moves upstream too.
      unread = 10_000_000;
      client.socket.resume();
      await until(() => unread <= 0);
      await settle(150);
    }
    expect(gateway.log.filter((entry) => entry.msg === 'request')).toEqual([]);
    client.socket.destroy();
  });
});

describe('An upstream that reads slowly', () => {
  test("holds the client back, not the gateway's memory, and gets it all", async () => {
    let letGo = () => {};
    const hash = createHash('sha256');
    let received = 0;
    await before((request, response) => {
      letGo = () => {
        request.on('data', (chunk: Buffer) => {
          received += chunk.length;
          hash.update(chunk);
        });
        request.on('end', () => response.end('done'));
      };
    });
    const request = begin(`${gateway.url}/x`, { method: 'POST', headers: { 'content-length': total } });
    let sent = 0;
    void pour(request, (bytes) => (sent = bytes));
    await untilSteady(() => sent);
    expect(sent).toBeLessThan(bound);
    letGo();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    for await (const chunk of response) expect(String(chunk)).toBe('done');
    const expected = createHash('sha256');
    for (let bytes = 0; bytes < total; bytes += block.length) expected.update(block);
    expect(received).toBe(total);
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
    expect((await line()).requestBytes).toBe(total);
  });

  test('is given up when it stops for longer than idleTimeout: 504, and it counts', async () => {
    await before(() => {}, { idleTimeout: '300ms' });
    const request = begin(`${gateway.url}/x`, { method: 'POST', headers: { 'content-length': total } });
    request.on('error', () => {});
    void pour(request, () => {});
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(504);
    request.destroy();
    expect(await line()).toMatchObject({ status: 504, error: 'UPSTREAM_TIMEOUT' });
    expect(state()).toBe('open');
  });
});

describe('A client that sends slowly', () => {
  test('gets a 408 when nothing comes for idleTimeout, which is not held against the upstream', async () => {
    await before((request) => void request.resume(), { idleTimeout: '300ms' });
    const client = await RawClient.connect(gateway.url);
    client.head('POST /x HTTP/1.1', 'Host: x', 'Content-Length: 1000000').write('some');
    expect(await client.end()).toMatch(/^HTTP\/1\.1 408 [^]*"code":"REQUEST_TIMEOUT"/);
    await until(() => service.connections.size === 0);
    expect(state()).toBe('closed');
  });

  test('gets a 408 after bodyTimeout where the body is held, before the upstream sees a byte', async () => {
    let seen = 0;
    await before(() => void seen++, {}, { bodyTimeout: '200ms' });
    const client = await RawClient.connect(gateway.url);
    client.head('POST /x HTTP/1.1', 'Host: x', 'Content-Length: 100').write('some');
    expect(await client.end()).toMatch(/^HTTP\/1\.1 408 [^]*"code":"REQUEST_TIMEOUT"/);
    expect(seen).toBe(0);
  });

  test('may take as long as it likes, as long as it sends', async () => {
    await before(
      (request, response) => {
        let bytes = 0;
        request.on('data', (chunk: Buffer) => (bytes += chunk.length));
        request.on('end', () => response.end(String(bytes)));
      },
      { idleTimeout: '200ms', timeout: '300ms', attemptTimeout: '300ms' },
      { bodyTimeout: '200ms' },
    );
    const request = begin(`${gateway.url}/x`, { method: 'POST', headers: { 'content-length': 8 * 20_000 } });
    const responding = once(request, 'response');
    for (let part = 0; part < 8; part++) {
      request.write('x'.repeat(20_000));
      await settle(80);
    }
    request.end();
    const [response] = (await responding) as [IncomingMessage];
    for await (const chunk of response) expect(String(chunk)).toBe('160000');
    expect(response.statusCode).toBe(200);
  });
});

/** How a client may go. */
const leaving = [
  ['closes', (client: RawClient) => void client.socket.destroy()],
  ['resets', (client: RawClient) => client.reset()],
] as const;

describe.each(leaving)('When a client %s its connection, the upstream loses its own', (_, leave) => {
  /** @returns the access line, and the state of a breaker that one failure would have opened */
  async function afterLeaving(client: RawClient): Promise<Readonly<Record<string, unknown>>> {
    leave(client);
    await until(() => service.connections.size === 0);
    await untilIdle(gateway);
    return { ...(await line()), breaker: state() };
  }

  const left = { error: 'CLIENT_CLOSED_REQUEST', route: '{/*rest}', calls: 1, breaker: 'closed' };

  test.each(forms)('while the head is awaited, %s', async (form) => {
    let arrived = false;
    await before((request) => {
      request.resume();
      arrived = true;
    });
    const client = await asking(form);
    await until(() => arrived);
    expect(await afterLeaving(client)).toMatchObject(left);
  });

  test.each(forms)('in the middle of the answer, %s', async (form) => {
    await before((request, response) => {
      request.resume();
      response.write('begun');
    });
    const client = await asking(form);
    await client.until('begun');
    expect(await afterLeaving(client)).toMatchObject({ ...left, status: 200, responseBytes: 5 });
  });

  test('while it uploads', async () => {
    let received = 0;
    await before(
      (request) => void request.on('data', (chunk: Buffer) => (received += chunk.length)).on('error', () => {}),
    );
    const client = await RawClient.connect(gateway.url);
    client.head('POST /x HTTP/1.1', 'Host: x', 'Content-Length: 10000000').write(block);
    await until(() => received >= block.length);
    expect(await afterLeaving(client)).toMatchObject(left);
  });
});

describe('A client that leaves before its request has gone out', () => {
  test('while its body is read, calls nobody', async () => {
    let seen = 0;
    await before(() => void seen++);
    const client = await RawClient.connect(gateway.url);
    client.head('POST /x HTTP/1.1', 'Host: x', 'Content-Length: 100').write('some');
    await settle(20);
    client.reset();
    expect(await line()).toMatchObject({ error: 'CLIENT_CLOSED_REQUEST', calls: 0 });
    expect(seen).toBe(0);
  });

  test('while it waits for a connection, leaves the queue', async () => {
    const arrived: string[] = [];
    await before(
      (request, response) => {
        arrived.push(request.url!);
        setTimeout(() => response.end('late'), 200);
      },
      { maxConnections: 1 },
    );
    const first = send(`${gateway.url}/first`);
    await until(() => arrived.length === 1);
    const client = await RawClient.connect(gateway.url);
    client.head('GET /second HTTP/1.1', 'Host: x');
    const { slots } = gateway.gateway.assembly.upstreams.get('service')!;
    await until(() => slots.waiting === 1);
    client.reset();
    await until(() => slots.waiting === 0);
    expect((await first).text).toBe('late');
    expect((await send(`${gateway.url}/third`)).text).toBe('late');
    expect(arrived).toEqual(['/first', '/third']);
  });

  test('while a retry is waited for, is not retried', async () => {
    let seen = 0;
    await before(
      (_request, response) => {
        seen++;
        response.writeHead(503, { 'retry-after': '1' }).end();
      },
      { retry: { attempts: 3 }, breaker: { failures: 100 } },
    );
    const client = await asking('buffered');
    const upstream = gateway.gateway.assembly.upstreams.get('service')!;
    await until(() => upstream.retries === 1);
    client.reset();
    expect(await line()).toMatchObject({ error: 'CLIENT_CLOSED_REQUEST', calls: 1 });
    await untilIdle(gateway);
    await settle(1100);
    expect(seen).toBe(1);
  });
});
