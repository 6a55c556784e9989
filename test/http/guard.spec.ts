import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { RawClient, raw, settle, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((request, response) => void response.end(request.url));
  gateway = await startGateway({
    listen: { headersTimeout: '300ms', maxHeaderBytes: '16KiB' },
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

/** The status and the problem's code, after making sure that the upstream saw nothing. */
async function refusal(...lines: readonly string[]): Promise<string> {
  const seen = upstream.requests.length;
  const answer = await raw(gateway.url, ...lines, 'Connection: close');
  expect(upstream.requests.length).toBe(seen);
  expect(answer).toMatch(/\r\ncontent-type: application\/problem\+json\r\n/i);
  const { code, requestId } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as Record<string, string>;
  expect(answer).toMatch(new RegExp(`\\r\\nx-request-id: ${requestId}\\r\\n`, 'i'));
  return `${answer.slice(9, 12)} ${code}`;
}

const get = (target: string) => refusal(`GET ${target} HTTP/1.1`, 'Host: x');

describe('A path that could be read in two ways is refused', () => {
  test.each([
    '/a/../b',
    '/..',
    '/a/..',
    '/./a',
    '/a/.',
    '/a/%2e%2e/b',
    '/a/%2E./b',
    '/a/.%2e',
    '/%2e',
    '/a/..%2fb',
    '/a%2f..%2fb',
    '/a/%2e%2e%2fb',
  ])('dot segments: %s (RFC 3986 §5.2.4)', async (target) => {
    expect(await get(target)).toBe('400 BAD_REQUEST');
  });

  test.each(['/a\\b', '/..\\b', '/a%5cb', '/a%5C..%5Cb'])('backslashes: %s', async (target) => {
    expect(await get(target)).toBe('400 BAD_REQUEST');
  });

  test.each(['/a%00b', '/a%0ab', '/a%0d%0aX:1', '/a%7fb', '/a%1f'])(
    'encoded control characters: %s',
    async (target) => {
      expect(await get(target)).toBe('400 BAD_REQUEST');
    },
  );

  test.each(['/a%', '/a%zz', '/a%2', '/%C3%28', '/%ff', '/%c0%ae%c0%ae/', '/%ed%a0%80'])(
    'broken encodings: %s',
    async (target) => {
      expect(await get(target)).toBe('400 BAD_REQUEST');
    },
  );

  test.each(['/a\x01b', '/a\x7fb', '/caf\xe9', '/a#b', '/a?b#c', '/a\tb'])(
    'characters that no target has: %j',
    async (target) => {
      expect(await get(target)).toBe('400 BAD_REQUEST');
    },
  );

  test('dots that are no segments pass', async () => {
    for (const target of ['/a..b', '/.well-known/x', '/...', '/a/.b', '/v1.2/x.y', '/a?../..']) {
      const answer = await raw(gateway.url, `GET ${target} HTTP/1.1`, 'Host: x', 'Connection: close');
      expect(answer).toContain(`\r\n${target}`);
    }
  });
});

describe('A request that could be framed or led in two ways is refused', () => {
  test.each([
    ['no Host (RFC 9112 §3.2)', ['GET / HTTP/1.1']],
    ['two Hosts', ['GET / HTTP/1.1', 'Host: a', 'Host: b']],
    ['the same Host twice', ['GET / HTTP/1.1', 'Host: a', 'host: a']],
    ['a Host with a path', ['GET / HTTP/1.1', 'Host: a/b']],
    ['a Host with a user', ['GET / HTTP/1.1', 'Host: u@a']],
    ['a Host with a space', ['GET / HTTP/1.1', 'Host: a b']],
    ['a target that is no path', ['GET a HTTP/1.1', 'Host: x']],
    ['an absolute target with a user (RFC 9110 §4.2.4)', ['GET http://u:p@h/ HTTP/1.1', 'Host: x']],
    ['an absolute target of another scheme', ['GET ftp://h/ HTTP/1.1', 'Host: x']],
    ['a GET with a length (RFC 9110 §9.3.1)', ['GET / HTTP/1.1', 'Host: x', 'Content-Length: 2']],
    ['a GET with chunks', ['GET / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked']],
    ['a HEAD with a length', ['HEAD / HTTP/1.1', 'Host: x', 'Content-Length: 2']],
    ['two lengths (RFC 9112 §6.3)', ['POST / HTTP/1.1', 'Host: x', 'Content-Length: 2', 'Content-Length: 3']],
    ['a length and chunks', ['POST / HTTP/1.1', 'Host: x', 'Content-Length: 2', 'Transfer-Encoding: chunked']],
    ['a length that is none', ['POST / HTTP/1.1', 'Host: x', 'Content-Length: +2']],
    ['a coding besides chunked', ['POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked, gzip']],
    ['a header line that is folded (RFC 9112 §5.2)', ['GET / HTTP/1.1', 'Host: x', 'X-A: 1', ' 2']],
    ['a space before the colon', ['GET / HTTP/1.1', 'Host: x', 'X-A : 1']],
    ['what is not HTTP', ['hello']],
    ['a version that is not spoken', ['GET / HTTP/3.0', 'Host: x']],
  ])('%s', async (what, lines) => {
    // A HEAD's refusal has no body to read the code from.
    if (what.startsWith('a HEAD'))
      expect(await raw(gateway.url, ...lines, 'Connection: close')).toMatch(/^HTTP\/1\.1 400 /);
    else expect(await refusal(...lines)).toBe('400 BAD_REQUEST');
  });

  test('an absolute target is served by its own authority (RFC 9112 §3.2.2)', async () => {
    const answer = await raw(gateway.url, 'GET http://shop.example/a?b HTTP/1.1', 'Host: other', 'Connection: close');
    expect(answer).toContain('\r\n/a?b');
    expect(upstream.requests.at(-1)?.headers['x-forwarded-host']).toBe('shop.example');
  });
});

describe('Methods that a gateway must not pass on', () => {
  test('TRACE is a 405 (RFC 9110 §9.3.8)', async () => {
    expect(await refusal('TRACE / HTTP/1.1', 'Host: x')).toBe('405 METHOD_NOT_ALLOWED');
  });

  test('CONNECT makes no tunnel', async () => {
    const seen = upstream.requests.length;
    const answer = await raw(gateway.url, 'CONNECT x:443 HTTP/1.1', 'Host: x:443');
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/);
    expect(upstream.requests.length).toBe(seen);
  });
});

describe('Sizes and times of a request head', () => {
  test('a target of more than 8 KiB is a 414', async () => {
    expect(await get(`/${'a'.repeat(8192)}`)).toBe('414 URI_TOO_LONG');
    const answer = await raw(gateway.url, `GET /${'a'.repeat(8000)} HTTP/1.1`, 'Host: x', 'Connection: close');
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('a head larger than maxHeaderBytes is a 431 problem (RFC 6585 §5)', async () => {
    expect(await refusal('GET / HTTP/1.1', 'Host: x', `X-Large: ${'a'.repeat(20_000)}`)).toBe('431 HEADERS_TOO_LARGE');
  });

  test('a head that does not come in time is a 408, and the connection ends', async () => {
    const client = await RawClient.connect(gateway.url);
    client.write('GET / HTTP/1.1\r\nHost: x\r\n');
    expect(await client.end()).toMatch(/^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/);
  });

  test('a chunk that is none ends the request, not the gateway', async () => {
    const client = await RawClient.connect(gateway.url);
    client.head('POST / HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked').write('5\r\nhello\r\nzz\r\n');
    await until(() => client.closed);
    expect(client.received).not.toMatch(/^HTTP\/1\.1 2/);
    await settle();
    expect(await raw(gateway.url, 'GET /alive HTTP/1.1', 'Host: x', 'Connection: close')).toContain('/alive');
  });

  test('each of these leaves a line in the log, with the client and the code', async () => {
    const answer = await raw(gateway.url, 'GET / HTTP/1.1', 'Host: x', `X-Large: ${'a'.repeat(20_000)}`);
    const [, requestId = ''] = /x-request-id: (\S+)/.exec(answer) ?? [];
    expect(await gateway.accessOf(requestId)).toMatchObject({
      status: 431,
      error: 'HEADERS_TOO_LARGE',
      clientIp: '127.0.0.1',
    });
  });
});
