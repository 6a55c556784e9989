import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, settle, until } from '../support/raw-client.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

/** Nothing that a client does slowly lasts; none of these waits for more than a few seconds, or it runs into its timeout. */
const block = Buffer.alloc(64 * 1024, 'x');
const total = 64 * 1024 * 1024;

let service: TestServer;
let gateway: TestGateway;
let demanding: TestGateway;

/** Reads what it is sent; `/p/large` has more to say than sockets hold. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  request.on('error', () => {}).resume();
  if (request.url !== '/p/large') {
    request.on('end', () => response.end('ok'));
    return;
  }
  response.writeHead(200, { 'content-length': total });
  let left = total;
  const pour = () => {
    while (left > 0 && !response.destroyed) {
      left -= block.length;
      if (response.write(block)) continue;
      response.once('drain', pour);
      return;
    }
    response.end();
  };
  pour();
}

beforeAll(async () => {
  service = await startServer(serve);
  const start = (listen: object) =>
    startGateway({
      modules: 'test/fixtures/graphql',
      listen: { headersTimeout: '300ms', bodyTimeout: '300ms', keepAliveTimeout: '300ms', ...listen },
      upstreams: { service: { endpoints: [service.url], retry: { attempts: 0 }, breaker: { failures: 1 } } },
      routes: [{ path: '/p{/*rest}', upstream: 'service' }],
    });
  gateway = await start({});
  demanding = await start({ minBytesPerSecond: '100MiB' });
});

afterEach(async () => {
  // Nothing is left behind by any of them, and the service has not been blamed.
  for (const each of [gateway, demanding]) {
    await untilIdle(each);
    await untilNoConnection(each);
    expect(each.gateway.assembly.upstreams.get('service')!.breaker.state).toBe('closed');
  }
});

afterAll(async () => {
  await gateway.stop();
  await demanding.stop();
  await service.close();
});

/** Until the gateway itself counts no request under way and no client's connection. */
async function untilNoConnection({ adminUrl }: TestGateway): Promise<void> {
  await until(async () => {
    const { text } = await send(`${adminUrl}/metrics`);
    const counts = [...text.matchAll(/^(?:http_server_active_requests|weir_server_connections)\S* (\S+)$/gm)];
    return counts.length > 0 && counts.every(([, count]) => count === '0');
  });
}

/** Sends a piece again and again until the gateway has had enough. */
async function drip(client: RawClient, piece: string, everyMs = 50): Promise<string> {
  while (!client.closed && !client.socket.readableEnded) {
    client.write(piece);
    await settle(everyMs);
  }
  return client.end();
}

const status408 = /HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/;

describe('A head that comes slowly ends in time (listen.headersTimeout)', () => {
  test('in single bytes: 408', async () => {
    const client = await RawClient.connect(gateway.url);
    const head = `GET /p HTTP/1.1\r\nHost: x\r\nX-A: ${'a'.repeat(1000)}`;
    let sent = 0;
    while (!client.closed && !client.socket.readableEnded) {
      client.write(head[sent++]!);
      await settle(20);
    }
    expect(await client.end()).toMatch(status408);
  });

  test('in endless lines: 408', async () => {
    const client = await RawClient.connect(gateway.url);
    client.write('GET /p HTTP/1.1\r\nHost: x\r\n');
    expect(await drip(client, 'X-A: 1\r\n')).toMatch(status408);
  });

  test('on a connection that has been used: 408', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('GET /p HTTP/1.1', 'Host: x');
    await client.until('\r\n\r\nok');
    client.write('GET /p HTTP/1.1\r\n');
    expect(await drip(client, 'X-A: 1\r\n')).toMatch(status408);
  });

  test('after nothing but silence: 408', async () => {
    expect(await (await RawClient.connect(gateway.url)).end()).toMatch(status408);
  });

  test('after empty lines, which are no request (RFC 9112 §2.2): 408', async () => {
    expect(await drip(await RawClient.connect(gateway.url), '\r\n')).toMatch(status408);
  });
});

describe('A connection that is kept without being used ends in time (listen.keepAliveTimeout)', () => {
  test('in silence', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('GET /p HTTP/1.1', 'Host: x');
    expect(await client.end()).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nok$/);
  });

  test('with empty lines', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('GET /p HTTP/1.1', 'Host: x');
    expect(await drip(client, '\r\n')).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nok$/);
  });
});

const uploads = [
  ['held', ['POST /p HTTP/1.1', 'Host: x', 'Content-Length: 1000']],
  ['streamed for its length', ['POST /p HTTP/1.1', 'Host: x', 'Content-Length: 100000']],
  ['streamed in chunks', ['POST /p HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked']],
  ['for GraphQL', ['POST /graphql HTTP/1.1', 'Host: x', 'Content-Type: application/json', 'Content-Length: 1000']],
] as const;

describe.each(uploads)('A body that comes slowly ends in time (listen.bodyTimeout), %s', (form, head) => {
  const piece = form === 'streamed in chunks' ? '1\r\n{\r\n' : '{';

  test('when it stops: 408', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head(...head).write(piece);
    expect(await client.end()).toMatch(status408);
    await until(() => service.connections.size === 0 || form === 'held' || form === 'for GraphQL');
  });

  test('when it never begins: 408', async () => {
    const client = await RawClient.connect(gateway.url);
    expect(await client.head(...head).end()).toMatch(status408);
  });

  test('when it comes in single bytes: 408 (listen.minBytesPerSecond)', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head(...head);
    expect(await drip(client, piece)).toMatch(status408);
  });
});

describe('A body that comes at the least rate', () => {
  test.each(['Content-Length: 2000', 'Transfer-Encoding: chunked'])('may take its time, %s', async (framing) => {
    const client = await RawClient.connect(gateway.url);
    client.head('POST /p HTTP/1.1', 'Host: x', 'Connection: close', framing);
    const part = 'x'.repeat(200);
    for (let sent = 0; sent < 10; sent++) {
      client.write(framing.startsWith('C') ? part : `c8\r\n${part}\r\n`);
      await settle(100);
    }
    if (framing.startsWith('T')) client.write('0\r\n\r\n');
    expect(await client.end()).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('has no data in an endless size of a chunk: 408', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('POST /p HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked');
    expect(await drip(client, '0'.repeat(1000))).toMatch(status408);
  });

  test('has none in endless extensions either: 400', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('POST /p HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked').write('1;');
    expect(await drip(client, 'a'.repeat(1000), 10)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test('nor in trailers: 408 or 431', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('POST /p HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked').write('1\r\nx\r\n0\r\n');
    expect(await drip(client, 'X-A: 1\r\n')).toMatch(/^HTTP\/1\.1 (408|431) /);
  });
});

const downloads = [
  ['held', 'GET /p/large HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['streamed', 'POST /p/large HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n'],
  ['server-sent events', events('{"query":"subscription { flood }"}')],
  ['a single large event', events('{"query":"subscription { flood(bytes: 33554432) }"}')],
  ['many answers', 'GET /docs/errors HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20_000)],
] as const;

function events(body: string): string {
  const lines = [
    'Host: x',
    'Content-Type: application/json',
    'Accept: text/event-stream',
    `Content-Length: ${body.length}`,
  ];
  return `POST /graphql HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

describe('A client that does not read ends in time (listen.bodyTimeout)', () => {
  test.each(downloads)('what it asked for, and what that took of services: %s', async (_, bytes) => {
    const client = await RawClient.connect(gateway.url);
    client.socket.pause();
    client.write(bytes);
    await until(async () => (await send(`${gateway.adminUrl}/metrics`)).text.includes('weir_server_connections 1'));
    await untilNoConnection(gateway);
    client.socket.destroy();
    const { producedFlood, openSilent } = await counters();
    await settle(100);
    expect((await counters()).producedFlood).toBe(producedFlood);
    expect(openSilent).toBe(0);
  });

  test('though it takes a little now and then (listen.minBytesPerSecond)', async () => {
    const client = await RawClient.connect(demanding.url);
    client.socket.removeAllListeners('data').on('data', () => client.socket.pause());
    client.write(events('{"query":"subscription { flood(bytes: 33554432) }"}'));
    while (!client.closed) {
      client.socket.resume();
      await settle(5);
    }
    expect(client.socket.bytesRead).toBeLessThan(33_554_432);
  });
});

async function counters(): Promise<{ producedFlood: number; openSilent: number }> {
  const body = '{"query":"{ producedFlood openSilent }"}';
  const answer = await send(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  });
  return answer.json().data as { producedFlood: number; openSilent: number };
}
