import { Readable } from 'node:stream';
import { afterAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until, type Answer } from '../support/raw-client.ts';
import { deadUrl, startRawUpstream, startScript, startServer, type RawUpstream } from '../support/upstream.ts';

const forms = ['buffered', 'streamed'] as const;
type Form = (typeof forms)[number];

const opened: { close(): Promise<void> }[] = [];
let gateway: TestGateway | undefined;

/** A gateway before an upstream that answers with these bytes. */
async function before(
  service: RawUpstream | { url: string; close(): Promise<void> },
  settings: object = {},
): Promise<TestGateway> {
  opened.push(service);
  gateway = await startGateway({
    upstreams: {
      sick: {
        endpoints: [service.url],
        retry: { attempts: 0 },
        attemptTimeout: '400ms',
        idleTimeout: '400ms',
        ...settings,
      },
    },
    routes: [{ path: '{/*rest}', upstream: 'sick' }],
  });
  return gateway;
}

function ask(form: Form, { url }: { url: string }): Promise<Answer> {
  return send(url, form === 'streamed' ? { method: 'POST', body: Readable.from(['x']) } : {});
}

async function close(): Promise<void> {
  if (!gateway) return;
  await untilIdle(gateway);
  await gateway.stop();
  gateway = undefined;
  for (const service of opened.splice(0)) await service.close();
}

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n';

describe.each(forms)('Before the head of an answer, %s', (form) => {
  afterAll(close);

  async function problemOf(
    service: RawUpstream | { url: string; close(): Promise<void> },
    settings: object = {},
  ): Promise<Answer> {
    const own = await before(service, settings);
    const answer = await ask(form, own);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    const { port } = new URL(service.url);
    const all = JSON.stringify([answer.rawHeaders, answer.text]);
    expect(all).not.toContain(port);
    expect(all).not.toMatch(/127\.0\.0\.1|ECONN|node:|undici|at \w+ \(/);
    expect(answer.json()).toMatchObject({
      status: answer.status,
      upstream: 'sick',
      requestId: answer.headers['x-request-id'],
    });
    await close();
    return answer;
  }

  async function codeOf(...args: Parameters<typeof problemOf>): Promise<string> {
    const answer = await problemOf(...args);
    return `${answer.status} ${String(answer.json().code)}`;
  }

  test('nobody listens: 502 UPSTREAM_UNREACHABLE', async () => {
    expect(await codeOf({ url: await deadUrl(), close: async () => {} })).toBe('502 UPSTREAM_UNREACHABLE');
  });

  test('a name that does not exist: 502 UPSTREAM_UNREACHABLE', async () => {
    expect(await codeOf({ url: 'http://nothing.invalid:1234', close: async () => {} })).toBe(
      '502 UPSTREAM_UNREACHABLE',
    );
  });

  test.each([
    ['closes at once', (socket: { end(): unknown }) => void socket.end()],
    ['resets at once', (socket: { resetAndDestroy(): unknown }) => void socket.resetAndDestroy()],
  ])('it %s: 502 UPSTREAM_UNREACHABLE', async (_, then) => {
    expect(await codeOf(await startRawUpstream(then))).toBe('502 UPSTREAM_UNREACHABLE');
  });

  test.each(['end', 'reset'] as const)('it breaks off in the middle of the head (%s): 502', async (after) => {
    expect(await codeOf(await startScript('HTTP/1.1 200 OK\r\nContent-Ty', after))).toMatch(
      /^502 UPSTREAM_(UNREACHABLE|BAD_RESPONSE)$/,
    );
  });

  test.each([
    ['is not HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['has a header without a name', `${head}: x\r\n\r\n`],
    ['has a header with a control character', `${head}X-A: a\x00b\r\n\r\n`],
    ['has a length that is none', `${head}Content-Length: x\r\n\r\n`],
    ['has two lengths that differ', `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`],
    [
      'switches to a protocol nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    ],
  ])('its answer %s: 502', async (_, bytes) => {
    expect(await codeOf(await startScript(bytes))).toMatch(/^502 UPSTREAM_(BAD_RESPONSE|UNREACHABLE)$/);
  });

  test('bytes that are no HTTP are named so: UPSTREAM_BAD_RESPONSE', async () => {
    expect(await codeOf(await startScript('hello\r\n\r\n'))).toBe('502 UPSTREAM_BAD_RESPONSE');
  });

  test('its headers are larger than any: 502 UPSTREAM_BAD_RESPONSE', async () => {
    expect(await codeOf(await startScript(`${head}X-Large: ${'x'.repeat(100_000)}\r\nContent-Length: 0\r\n\r\n`))).toBe(
      '502 UPSTREAM_BAD_RESPONSE',
    );
  });

  test('it hangs: 504 UPSTREAM_TIMEOUT after attemptTimeout', async () => {
    expect(await codeOf(await startRawUpstream(() => {}))).toBe('504 UPSTREAM_TIMEOUT');
  });

  test('the error carries Proxy-Status (RFC 9209), and its type opens a page', async () => {
    const own = await before({ url: await deadUrl(), close: async () => {} });
    const answer = await ask(form, own);
    expect(answer.headers).toMatchObject({
      'proxy-status': 'weir; error=destination_unavailable',
      'cache-control': 'no-store',
    });
    const { type, title } = answer.json();
    expect(type).toBe('/docs/errors/UPSTREAM_UNREACHABLE');
    const page = await send(`${own.url}${String(type)}`);
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.text).toContain(String(title));
    await close();
  });
});

describe.each(forms)('An answer that breaks off never looks complete, %s', (form) => {
  const cut: readonly (readonly [string, string, 'end' | 'reset'])[] = [
    ['shorter than its Content-Length', `${head}Content-Length: 100\r\n\r\nhalf`, 'end'],
    ['reset before its Content-Length', `${head}Content-Length: 100\r\n\r\nhalf`, 'reset'],
    ['without its last chunk', `${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`, 'end'],
    ['reset between chunks', `${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`, 'reset'],
    ['in the middle of a chunk', `${head}Transfer-Encoding: chunked\r\n\r\nff\r\nhalf`, 'end'],
    ['without the end of its trailers', `${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX-A: 1\r\n`, 'end'],
    ['with a chunk size that is none', `${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n`, 'end'],
    [
      'by a reset, where only the connection would end it (RFC 9112 §8)',
      `${head}Connection: close\r\n\r\nhalf`,
      'reset',
    ],
  ];

  test.each(cut)('%s', async (_, bytes, after) => {
    const own = await before(await startScript(bytes, after));
    await expect(ask(form, own)).rejects.toThrow(/aborted|hang up|not complete|ECONNRESET/);
    await until(() => own.log.some((line) => line.msg === 'request'));
    expect(own.log.find((line) => line.msg === 'request')).toMatchObject({
      status: 200,
      error: 'UPSTREAM_BAD_RESPONSE',
    });
    await close();
  });

  test('to a client of HTTP/1.0 either, whose body ends with the connection', async () => {
    const own = await before(await startScript(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n`, 'end'));
    const client = await RawClient.connect(own.url);
    let reset = false;
    client.socket.on('error', (error: NodeJS.ErrnoException) => (reset = error.code === 'ECONNRESET'));
    if (form === 'streamed') client.head('POST / HTTP/1.0', 'Content-Length: 70000').write('x'.repeat(70_000));
    else client.head('GET / HTTP/1.0');
    await until(() => client.closed);
    expect(reset).toBe(true);
    await close();
  });

  test('when it stops for longer than idleTimeout', async () => {
    const own = await before(await startScript(`${head}Content-Length: 100\r\n\r\nhalf`, 'keep'));
    await expect(ask(form, own)).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    await until(() => own.log.some((line) => line.msg === 'request'));
    expect(own.log.find((line) => line.msg === 'request')).toMatchObject({ error: 'UPSTREAM_TIMEOUT' });
    await close();
  });
});

describe('A connection that the upstream closes while it is idle', () => {
  test('costs a read nothing: it is sent again on a new one', async () => {
    let served = 0;
    const service = await startServer((_request, response) => {
      served++;
      response.end('ok');
    });
    const own = await before(service, { retry: { attempts: 1, backoff: '1ms' } });
    for (let round = 1; round <= 5; round++) {
      expect((await send(own.url)).text).toBe('ok');
      expect(served).toBe(round);
      // The gateway keeps the connection; the service drops it without a word.
      for (const socket of service.connections) socket.resetAndDestroy();
    }
    await close();
  });
});

describe('An answer for nobody in particular', () => {
  test("that was sent after a whole one does not become the next one's", async () => {
    const service = await startScript(
      `${head}Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`,
    );
    const own = await before(service);
    expect((await send(own.url)).text).toBe('ok');
    const second = await send(`${own.url}/second`);
    expect(second.text).not.toContain('poison');
    await close();
  });
});
