import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readAnswers } from '../support/answers.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, settle, until } from '../support/raw-client.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

let service: TestServer;
let gateway: TestGateway;

interface Arrived {
  readonly method: string;
  readonly url: string;
  /** How many were being served when it came, itself included. */
  readonly atOnce: number;
}

const arrived: Arrived[] = [];
/** Answers that wait for the test, by path. */
const held = new Map<string, () => void>();
let serving = 0;

function serve(request: IncomingMessage, response: ServerResponse): void {
  serving++;
  response.once('close', () => serving--);
  const { method, url } = request as { method: string; url: string };
  arrived.push({ method, url, atOnce: serving });
  const chunks: Buffer[] = [];
  request.on('error', () => {});
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const answer = () => void response.end(`${url}:${Buffer.concat(chunks).toString()}`);
    if (url.startsWith('/p/held')) held.set(url, answer);
    else if (url.startsWith('/p/slow')) setTimeout(answer, 50);
    else answer();
  });
}

beforeAll(async () => {
  service = await startServer(serve);
  gateway = await startGateway({
    // However slow the machine is, nothing is refused for it.
    listen: { headersTimeout: '300ms', maxEventLoopLag: '60s' },
    upstreams: { service: { endpoints: [service.url] } },
    routes: [
      { path: '/p{/*rest}', upstream: 'service' },
      { path: '/small', upstream: 'service', maxBodyBytes: '10B' },
    ],
  });
});

afterEach(async () => {
  for (const answer of held.values()) answer();
  held.clear();
  await untilIdle(gateway);
  await until(() => serving === 0);
  arrived.length = 0;
});

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

const get = (path: string, ...lines: string[]) => [`GET ${path} HTTP/1.1`, 'Host: x', ...lines, '', ''].join('\r\n');
const post = (path: string, body: string, ...lines: string[]) =>
  [`POST ${path} HTTP/1.1`, 'Host: x', `Content-Length: ${body.length}`, ...lines, '', body].join('\r\n');

async function connected(bytes: string): Promise<RawClient> {
  const client = await RawClient.connect(gateway.url);
  return client.write(bytes);
}

/** Status and body, in the order they came, once the gateway has shut the connection. */
async function answersOf(client: RawClient): Promise<(readonly [number, string])[]> {
  return readAnswers(await client.end()).map(({ status, body }) => [status, body.startsWith('{') ? '' : body]);
}

const seen = () => arrived.map(({ url }) => url);

describe('Requests that do not wait for answers (RFC 9112 §9.3.2)', () => {
  test('are answered in the order they came, whichever is ready first', async () => {
    const client = await connected(get('/p/held') + get('/p/fast') + get('/p/last', 'Connection: close'));
    await until(() => arrived.length === 3);
    await settle(20);
    expect(client.received).toBe('');
    held.get('/p/held')!();
    expect(await answersOf(client)).toEqual([
      [200, '/p/held:'],
      [200, '/p/fast:'],
      [200, '/p/last:'],
    ]);
  });

  test('are answered however many come in one packet', async () => {
    const all = Array.from({ length: 500 }, (_, i) => get(`/p/${i}`));
    const client = await connected(all.join('') + get('/p/end', 'Connection: close'));
    const answers = await answersOf(client);
    expect(answers.map(([status]) => status)).toEqual(Array.from({ length: 501 }, () => 200));
    expect(answers.slice(0, 500).map(([, body]) => body)).toEqual(all.map((_, i) => `/p/${i}:`));
  });

  test('are answered when they come in pieces', async () => {
    const bytes = get('/p/1') + post('/p/2', 'hello') + get('/p/3', 'Connection: close');
    const client = await RawClient.connect(gateway.url);
    for (const byte of bytes) {
      client.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await answersOf(client)).toEqual([
      [200, '/p/1:'],
      [200, '/p/2:hello'],
      [200, '/p/3:'],
    ]);
  });

  test('run at once where they are safe, one after the other where they are not', async () => {
    const client = await connected(
      get('/p/slow/1') +
        get('/p/slow/2') +
        post('/p/slow/3', 'a') +
        post('/p/slow/4', 'b') +
        get('/p/slow/5', 'Connection: close'),
    );
    expect((await answersOf(client)).map(([, body]) => body)).toEqual([
      '/p/slow/1:',
      '/p/slow/2:',
      '/p/slow/3:a',
      '/p/slow/4:b',
      '/p/slow/5:',
    ]);
    expect(arrived.map(({ atOnce }) => atOnce)).toEqual([1, 2, 1, 1, 1]);
  });

  test('are read no further while many wait, and are all answered in the end', async () => {
    // More than sockets hold on the way.
    const bytes = Array.from({ length: 3000 }, (_, i) => get(`/p/${i}`, `X-Pad: ${'x'.repeat(8000)}`));
    const client = await connected(post('/p/held', 'x'));
    await until(() => held.size === 1);
    let taken = 0;
    for (const request of bytes) client.socket.write(request, () => taken++);
    client.write(get('/p/end', 'Connection: close'));
    await settle(300);
    expect(taken).toBeLessThan(bytes.length);
    held.get('/p/held')!();
    const answers = await answersOf(client);
    expect(answers.map(([, body]) => body)).toEqual(['/p/held:x', ...bytes.map((_, i) => `/p/${i}:`), '/p/end:']);
    expect(Math.max(...arrived.map(({ atOnce }) => atOnce))).toBeLessThanOrEqual(32);
  });
});

describe('A request among others that is refused', () => {
  test.each([
    ['by the guard', get('/p/../x')],
    ['by the parser', get('/p', 'X-A : 1')],
    ['for its Host', 'GET /p HTTP/1.1\r\n\r\n'],
    ['for its content', get('/p', `Content-Length: ${get('/p/hidden').length}`)],
    ['for its coding', post('/p', '0\r\n\r\n', 'Transfer-Encoding: chunked')],
    ['for its chunks', `POST /p/broken HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`],
    ['as no HTTP', 'garbage\r\n\r\n'],
  ])('%s, ends the connection: those before it are answered, those after it never served', async (_, bytes) => {
    const client = await connected(get('/p/1') + bytes + get('/p/2') + post('/p/3', 'x'));
    expect(await answersOf(client)).toEqual([
      [200, '/p/1:'],
      [400, ''],
    ]);
    await settle(20);
    expect(seen()).toEqual(['/p/1']);
  });

  test('is answered in its turn, after one that takes longer', async () => {
    for (const bytes of [get('/p/../x'), get('/p', 'X-A : 1'), post('/p', 'x', 'Content-Length: 2')]) {
      const client = await connected(get('/p/slow') + bytes + get('/p/2'));
      expect((await answersOf(client)).map(([status]) => status)).toEqual([200, 400]);
    }
    expect(seen()).toEqual(['/p/slow', '/p/slow', '/p/slow']);
  });

  test('behind one that is not safe, and before others, is answered in its turn too', async () => {
    const client = await connected(
      post('/p/slow', 'x') + get('/p/1') + post('/p', 'x', 'Content-Length: 2') + get('/p/2'),
    );
    expect((await answersOf(client)).map(([status]) => status)).toEqual([200, 200, 400]);
    expect(seen()).toEqual(['/p/slow', '/p/1']);
  });

  test('for its chunks while it waits its turn, is never begun', async () => {
    const client = await connected(
      `${post('/p/slow', 'x')}POST /p/waiting HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${get('/p/2')}`,
    );
    expect((await answersOf(client)).map(([status]) => status)).toEqual([200, 400]);
    expect(seen()).toEqual(['/p/slow']);
  });

  test('with less than 400 leaves the others alone', async () => {
    const client = await connected(
      get('/none') + post('/small', 'more than ten bytes') + get('/p/1') + get('/p/2', 'Connection: close'),
    );
    expect((await answersOf(client)).map(([status]) => status)).toEqual([404, 413, 200, 200]);
  });

  test('because its head does not come in time is a 408 after the answers before it', async () => {
    const client = await connected(`${get('/p/held')}GET /p/late HTTP/1.1\r\nHost: x\r\n`);
    await until(() => held.size === 1);
    // Node looks for late heads once a second.
    await settle(1600);
    held.get('/p/held')!();
    expect((await answersOf(client)).map(([status]) => status)).toEqual([200, 408]);
  });
});

describe('The end of a connection that was announced (RFC 9112 §9.6)', () => {
  test.each([
    ['by a client', get('/p/slow', 'Connection: close')],
    ['by HTTP/1.0', 'GET /p/slow HTTP/1.0\r\nHost: x\r\n\r\n'],
  ])('%s ends it: what was asked is answered, what follows is not served', async (_, bytes) => {
    const client = await connected(bytes + get('/p/2') + post('/p/3', 'x'));
    expect(await answersOf(client)).toEqual([[200, '/p/slow:']]);
    await settle(20);
    expect(seen()).toEqual(['/p/slow']);
  });

  test('is kept to when more comes only later', async () => {
    const client = await connected(get('/p/held', 'Connection: close'));
    await until(() => held.size === 1);
    client.write(get('/p/2'));
    await settle(20);
    held.get('/p/held')!();
    expect(await answersOf(client)).toEqual([[200, '/p/held:']]);
    expect(seen()).toEqual(['/p/held']);
  });

  test('by a refusal that does not ask for the body (RFC 9110 §10.1.1): what comes is neither body nor request', async () => {
    const refused = [
      'POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n',
      'POST /p HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 100\r\n\r\n',
      'POST /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n',
      'GET /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n',
    ];
    for (const bytes of refused) {
      const client = await connected(bytes + get('/p/x').repeat(20));
      expect((await answersOf(client)).map(([status]) => status)).toEqual([expect.toSatisfy((status) => status > 400)]);
    }
    await settle(20);
    expect(seen()).toEqual([]);
  });
});

describe('A request for another protocol that is not served', () => {
  const h2c = ['Connection: upgrade, http2-settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
  const webSocket = [
    'Connection: upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];

  test.each([
    ['h2c', get('/p/1', ...h2c)],
    ['h2c with content', post('/p/1', 'x', ...h2c)],
    ['WebSocket by POST', post('/p/1', 'x', ...webSocket)],
  ])('is answered over HTTP/1.1, and is the last of its connection (RFC 9110 §7.8), %s', async (_, bytes) => {
    // Half of what follows would be lost with the packet that it began in.
    const follows = post('/p/2', get('/p/smuggled'));
    const client = await connected(bytes + follows.slice(0, 40));
    client.write(follows.slice(40));
    expect((await answersOf(client)).map(([status, body]) => [status, body.slice(0, 4)])).toEqual([[200, '/p/1']]);
    await settle(20);
    expect(seen()).toEqual(['/p/1']);
  });

  test('is no protocol switch behind a request that is not answered yet', async () => {
    const client = await connected(get('/p/held') + get('/p/socket', ...webSocket) + get('/p/3'));
    await until(() => held.size === 1);
    held.get('/p/held')!();
    expect(await answersOf(client)).toEqual([
      [200, '/p/held:'],
      [200, '/p/socket:'],
    ]);
    await settle(20);
    expect(seen()).toEqual(['/p/held', '/p/socket']);
  });
});

describe('A client that shuts its side of the connection', () => {
  test('after its request still gets the answer', async () => {
    for (const bytes of [get('/p/1'), post('/p/1', 'x'), 'GET /p/1 HTTP/1.0\r\n\r\n']) {
      const client = await connected(bytes);
      client.socket.end();
      expect((await answersOf(client)).map(([status]) => status)).toEqual([200]);
    }
  });

  test('gets all answers that it asked for', async () => {
    const client = await connected(get('/p/slow') + post('/p/2', 'x') + get('/p/3'));
    client.socket.end();
    expect((await answersOf(client)).map(([, body]) => body)).toEqual(['/p/slow:', '/p/2:x', '/p/3:']);
  });

  test('gets an answer that takes longer, after a 102 that shows whether it is there (RFC 9110 §15.2)', async () => {
    const client = await connected(get('/p/held'));
    client.socket.end();
    expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 102 /);
    held.get('/p/held')!();
    expect(await answersOf(client)).toEqual([[200, '/p/held:']]);
  });

  test('in HTTP/1.0 gets no 1xx (RFC 9110 §15.2)', async () => {
    const client = await connected('GET /p/held HTTP/1.0\r\n\r\n');
    client.socket.end();
    await until(() => held.size === 1);
    await settle(700);
    expect(client.received).toBe('');
    held.get('/p/held')!();
    expect(await answersOf(client)).toEqual([[200, '/p/held:']]);
  });

  test('and has gone, takes its call with it', async () => {
    const client = await connected(get('/p/held'));
    await until(() => held.size === 1);
    client.socket.destroy();
    await until(() => serving === 0);
    await untilIdle(gateway);
    expect(held.size).toBe(1);
  });

  test.each([
    ['in the middle of a head', 'GET /p/1 HTTP/1.1\r\nHost:', /^(HTTP\/1\.1 400 |$)/],
    ['in the middle of a length', 'POST /p/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello', /^$/],
    ['in the middle of a chunk', 'POST /p/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe', /^$/],
  ])('%s has sent no request (RFC 9112 §8)', async (_, bytes, answer) => {
    const client = await connected(bytes);
    await settle(20);
    client.socket.end();
    expect(await client.end()).toMatch(answer);
    await until(() => serving === 0);
  });

  test('without having asked for anything is left alone', async () => {
    const client = await connected('');
    client.socket.end();
    expect(await client.end()).toBe('');
  });
});

describe('An expectation (RFC 9110 §10.1.1)', () => {
  test('is met in its turn: the 100 comes after the answers before it', async () => {
    const client = await connected(
      `${get('/p/slow')}POST /p/2 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
    );
    await client.until('HTTP/1.1 100 Continue\r\n\r\n');
    expect(client.received.indexOf('/p/slow:')).toBeLessThan(client.received.indexOf('HTTP/1.1 100'));
    expect(client.received).toContain('/p/slow:');
    client.write(`hello${get('/p/3', 'Connection: close')}`);
    expect((await answersOf(client)).map(([, body]) => body)).toEqual(['/p/slow:', '/p/2:hello', '/p/3:']);
  });

  test('is not passed on, and not waited for, by either form', async () => {
    for (const body of ['hello', 'x'.repeat(100_000)]) {
      const client = await connected(post('/p/1', body, 'Expect: 100-continue', 'Connection: close'));
      expect((await answersOf(client)).map(([status]) => status)).toEqual([200]);
    }
  });
});
