import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { normalTarget, otherReading, pathProblem } from '#policies/guard/path.ts';
import { readAnswers } from '../support/answers.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { RawClient, raw, settle, until } from '../support/raw-client.ts';
import { startRecorder, type Recorder } from '../support/recorder.ts';
import { valuesOf } from '../support/strict-requests.ts';
import { bytesOf, codeOf, exchange, expectRefused, startStage, type Stage } from './hostile.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await startStage({ headersTimeout: '300ms' });
});

afterAll(() => stage.stop());

const expectRefusal = (lines: readonly string[]) => expectRefused(stage, bytesOf(lines));
const expectTargetRefused = (target: string) => expectRefusal([`GET ${target} HTTP/1.1`, 'Host: x']);

/** The target under which a request arrives that passes. */
async function arrivesAs(target: string, host = 'x'): Promise<string> {
  const before = stage.service.requests.length;
  const answers = await exchange(stage, bytesOf([`GET ${target} HTTP/1.1`, `Host: ${host}`, 'Connection: close']));
  expect(answers.map(({ status }) => status)).toEqual([200]);
  expect(stage.service.requests.length).toBe(before + 1);
  return stage.service.requests.at(-1)!.target;
}

describe('A path that could be read in two ways is refused', () => {
  test.each([
    '/p/../b',
    '/..',
    '/p/..',
    '/p/./a',
    '/p/.',
    '/p/%2e%2e/b',
    '/p/%2E./b',
    '/p/.%2e',
    '/p/%2e',
    '/p/..%2fb',
    '/p%2f..%2fb',
    '/p/%2e%2e%2fb',
    '/p/..%2Fb',
    '/p/a%2F..',
    '/p/..?x=1',
  ])('dot segments: %s (RFC 3986 §5.2.4)', (target) => expectTargetRefused(target));

  test.each([
    '/p/%252e%252e/b',
    '/p/..%252fb',
    '/p/%252e/b',
    '/p/%25252e%25252e/b',
    '/p/a%252f..%252fb',
    '/p/%2e%252e/b',
  ])('dot segments to whoever decodes twice: %s', (target) => expectTargetRefused(target));

  test.each(['/p/..;/b', '/p/..;a=1/b', '/p/.;x/b', '/p/..%3b/b', '/p/%2e%2e;/b', '/p/..%3Bx'])(
    'dot segments to whoever cuts parameters off: %s (RFC 3986 §3.3)',
    (target) => expectTargetRefused(target),
  );

  test.each(['/p\\b', '/p/..\\b', '/p/%5cb', '/p/%5C..%5Cb', '\\p', '/p/..%255cb'])('backslashes: %s', (target) =>
    expectTargetRefused(target),
  );

  test.each(['/p/%00b', '/p/%0ab', '/p/%0d%0aX:1', '/p/%7fb', '/p/%1f', '/p/%C2%85'])(
    'encoded control characters: %s',
    (target) => expectTargetRefused(target),
  );

  test.each([
    '/p/%',
    '/p/%zz',
    '/p/%2',
    '/p/%C3%28',
    '/p/%ff',
    '/p/%c0%ae%c0%ae/',
    '/p/%ed%a0%80',
    '/p/%u002e',
    '/p/%2%35',
  ])('broken encodings: %s (RFC 3986 §2.1)', (target) => expectTargetRefused(target));

  test.each(['/p\x01b', '/p\x7fb', '/p/caf\xe9', '/p/a\tb', '/p/a b', '/p?\xe9', '/p?\x01', '/p?a\tb'])(
    'characters that no target has: %j (RFC 9112 §3.2)',
    (target) => expectTargetRefused(target),
  );

  test.each(['//p', '//evil.example/p', '///p', '//p/../..', '//u@evil.example/p', '//[::1#'])(
    'what begins as a host does: %s (RFC 3986 §4.2)',
    (target) => expectTargetRefused(target),
  );

  test('dots that are no segments pass', async () => {
    for (const target of [
      '/p/a..b',
      '/p/.well-known/x',
      '/p/...',
      '/p/a/.b',
      '/p/v1.2/x.y',
      '/p/a?../..',
      '/p/..a',
      '/p/a;b/..c',
    ])
      expect(await arrivesAs(target)).toBe(target);
  });

  test('what is encoded and need not be is decoded, for the route table and the service alike (RFC 3986 §6.2.2.2)', async () => {
    expect(await arrivesAs('/%70/%7euser/%41%2d%5f%30')).toBe('/p/~user/A-_0');
    expect(await arrivesAs('/p/%2Fa%20%C3%A9%3A%2a')).toBe('/p/%2Fa%20%C3%A9%3A%2a');
    expect(await arrivesAs('/p?%70=%2e%2e%2f')).toBe('/p?%70=%2e%2e%2f');
    const answers = await exchange(
      stage,
      bytesOf(
        [
          'POST /gr%61phql HTTP/1.1',
          'Host: x',
          'Connection: close',
          'Content-Type: application/json',
          'Content-Length: 22',
        ],
        '{"query":"{ prompt }"}',
      ),
    );
    expect(answers[0]!.body).toContain('at once');
  });

  test('a query is passed on as it came', async () => {
    for (const query of ['?a=%zz', '?a\\b', '?<>"{}|^`', '?a=%00%0d%0a', '??', '?a=//x/../y'])
      expect(await arrivesAs(`/p${query}`)).toBe(`/p${query}`);
  });
});

describe('The normal form of a target', () => {
  test.each([
    ['/a', '/a'],
    ['/%61', '/a'],
    ['/%41%5A%61%7a%30%39%2D%2E%5F%7E', '/AZaz09-._~'],
    ['/%2e%2E', '/..'],
    ['/%2f%3F%23%25%5B', '/%2f%3F%23%25%5B'],
    ['/a?%61', '/a?%61'],
    ['/%61?%61', '/a?%61'],
    // Half of it would make an encoding of what was none.
    ['/%2%35%61', '/%2%35%61'],
    ['/%61%', '/%61%'],
    ['/%6?1', '/%6?1'],
    ['*', '*'],
  ])('%s is %s', (target, normal) => {
    expect(normalTarget(target)).toBe(normal);
    expect(normalTarget(normal)).toBe(normal);
  });

  test.each([
    ['/a', undefined],
    ['/a%2Fb', '/a/b'],
    ['/a%2fb%2F', '/a/b/'],
    ['/a//b', '/a/b'],
    ['/a/%2F/b', '/a/b'],
    ['/a;x=1/b;y', '/a/b'],
    ['/%C3%A9', undefined],
  ])('%s may be read as %s', (path, other) => {
    expect(otherReading(path)).toBe(other);
    expect(pathProblem(path)).toBeUndefined();
  });
});

describe('A request that could be led in two ways is refused', () => {
  test.each([
    ['no Host (RFC 9112 §3.2)', ['GET /p HTTP/1.1']],
    ['two Hosts (RFC 9112 §3.2)', ['GET /p HTTP/1.1', 'Host: a', 'Host: b']],
    ['the same Host twice', ['GET /p HTTP/1.1', 'Host: a', 'host: a']],
    ['two Hosts in HTTP/1.0', ['GET /p HTTP/1.0', 'Host: a', 'Host: b']],
    ['two Hosts in one line', ['GET /p HTTP/1.1', 'Host: a, b']],
    ['an empty Host (RFC 9110 §4.2.1)', ['GET /p HTTP/1.1', 'Host:']],
    ['a Host of blanks', ['GET /p HTTP/1.1', 'Host:  \t ']],
    ['a Host with a path (RFC 9110 §7.2)', ['GET /p HTTP/1.1', 'Host: a/b']],
    ['a Host with a query', ['GET /p HTTP/1.1', 'Host: a?b']],
    ['a Host with a fragment', ['GET /p HTTP/1.1', 'Host: a#b']],
    ['a Host with a backslash', ['GET /p HTTP/1.1', 'Host: a\\b']],
    ['a Host with a user', ['GET /p HTTP/1.1', 'Host: u@a']],
    ['a Host with a scheme', ['GET /p HTTP/1.1', 'Host: http://a']],
    ['a Host with a space', ['GET /p HTTP/1.1', 'Host: a b']],
    ['a Host with quotes', ['GET /p HTTP/1.1', 'Host: "a"']],
    ['a Host in markup', ['GET /p HTTP/1.1', 'Host: <script>']],
    ['a Host with a percent sign', ['GET /p HTTP/1.1', 'Host: a%20b']],
    ['a Host beyond ASCII', ['GET /p HTTP/1.1', 'Host: caf\xe9']],
    ['a Host with two ports', ['GET /p HTTP/1.1', 'Host: a:80:81']],
    ['a Host with a port that is none', ['GET /p HTTP/1.1', 'Host: a:b']],
    ['a Host with a negative port', ['GET /p HTTP/1.1', 'Host: a:-1']],
    ['a Host with a port that is too large', ['GET /p HTTP/1.1', 'Host: a:65536']],
    ['a Host that is a port', ['GET /p HTTP/1.1', 'Host: :80']],
    ['an IPv6 Host without brackets (RFC 3986 §3.2.2)', ['GET /p HTTP/1.1', 'Host: ::1']],
    ['an IPv6 Host with half of them', ['GET /p HTTP/1.1', 'Host: [::1']],
    ['brackets around a name', ['GET /p HTTP/1.1', 'Host: [a]']],
    ['an IPv6 Host with a zone', ['GET /p HTTP/1.1', 'Host: [fe80::1%eth0]']],
    ['a Host of 5 KB', ['GET /p HTTP/1.1', `Host: ${'a'.repeat(5000)}`]],
    ['a folded Host (RFC 9112 §5.2)', ['GET /p HTTP/1.1', 'Host: a', ' b']],
    ['a Host whose name ends in a space (RFC 9112 §5.1)', ['GET /p HTTP/1.1', 'Host : a']],
    ['a target that is no path (RFC 9112 §3.2)', ['GET p HTTP/1.1', 'Host: x']],
    ['no target', ['GET  HTTP/1.1', 'Host: x']],
    ['a target of a fragment', ['GET #p HTTP/1.1', 'Host: x']],
    ['a path with a fragment (RFC 9112 §3.2)', ['GET /p#b HTTP/1.1', 'Host: x']],
    ['a query with a fragment', ['GET /p?b#c HTTP/1.1', 'Host: x']],
    ['authority form but for CONNECT (RFC 9112 §3.2.3)', ['GET x:80 HTTP/1.1', 'Host: x']],
    ['asterisk form but for OPTIONS (RFC 9112 §3.2.4)', ['GET * HTTP/1.1', 'Host: x']],
    ['an absolute target with a user (RFC 9110 §4.2.4)', ['GET http://u:p@h/p HTTP/1.1', 'Host: h']],
    ['an absolute target with an empty user', ['GET http://@h/p HTTP/1.1', 'Host: h']],
    ['an absolute target of another scheme', ['GET ftp://h/p HTTP/1.1', 'Host: h']],
    ['an absolute https target without TLS (RFC 9110 §7.4)', ['GET https://h/p HTTP/1.1', 'Host: h']],
    ['an absolute target without a host (RFC 9110 §4.2.1)', ['GET http:///p HTTP/1.1', 'Host: h']],
    ['an absolute target with one slash', ['GET http:/p HTTP/1.1', 'Host: h']],
    ['an absolute target with a fragment', ['GET http://h/p#a HTTP/1.1', 'Host: h']],
    ['an absolute target with half an address', ['GET http://[::1/p HTTP/1.1', 'Host: h']],
    ['an absolute target with a port that is none', ['GET http://h:99999/p HTTP/1.1', 'Host: h']],
    ['an absolute target with an encoded host', ['GET http://%68/p HTTP/1.1', 'Host: h']],
    ['an absolute target that climbs', ['GET http://h/p/../a HTTP/1.1', 'Host: h']],
    ['an absolute target whose path begins as a host does', ['GET http://h//evil.example/p HTTP/1.1', 'Host: h']],
    ['an absolute target and no Host (RFC 9112 §3.2)', ['GET http://h/p HTTP/1.1']],
    ['an absolute target and two Hosts (RFC 9112 §3.2)', ['GET http://h/p HTTP/1.1', 'Host: h', 'Host: h']],
    ['an absolute target and a Host that is none (RFC 9112 §3.2)', ['GET http://h/p HTTP/1.1', 'Host: a/b']],
    ['a GET with a length (RFC 9110 §9.3.1)', ['GET /p HTTP/1.1', 'Host: x', 'Content-Length: 2']],
    ['a GET with chunks', ['GET /p HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked']],
    [
      'a WebSocket handshake with content',
      ['GET /p HTTP/1.1', 'Host: x', 'Connection: upgrade', 'Upgrade: websocket', 'Content-Length: 2'],
    ],
    ['a Max-Forwards that is no number (RFC 9110 §7.6.2)', ['OPTIONS /p HTTP/1.1', 'Host: x', 'Max-Forwards: -1']],
  ])('%s', async (_, lines) => {
    await expectRefusal(lines);
  });

  test.each([
    ['a header line that is folded (RFC 9112 §5.2)', 'X-A: 1\r\n 2'],
    ['a header line that is folded with a tab', 'X-A: 1\r\n\t2'],
    ['a first line that is folded', ' X-A: 1'],
    ['a header line that ends in a bare LF (RFC 9112 §2.2)', 'X-A: 1\nX-B: 2'],
    ['a bare CR in a value (RFC 9110 §5.5)', 'X-A: 1\r2'],
    ['a bare CR before a name', '\rX-A: 1'],
    ['a value that ends in two CRs', 'X-A: 1\r'],
    ['a NUL in a value (RFC 9110 §5.5)', 'X-A: 1\x002'],
    ['a NUL in a name', 'X\x00A: 1'],
    ['a control character in a value', 'X-A: 1\x012'],
    ['a DEL in a value', 'X-A: 1\x7f2'],
    ['a vertical tab in a value', 'X-A: 1\x0b2'],
    ['a space before the colon (RFC 9112 §5.1)', 'X-A : 1'],
    ['a tab before the colon', 'X-A\t: 1'],
    ['a space in a name (RFC 9110 §5.1)', 'X A: 1'],
    ['an empty name', ': 1'],
    ['a line without a colon', 'X-A'],
    ['a name in brackets', '[X-A]: 1'],
    ['a name with an at sign', 'X@A: 1'],
    ['a name with a slash', 'X/A: 1'],
    ['a name with a semicolon', 'X;A: 1'],
    ['a name in quotes', '"X-A": 1'],
    ['a name beyond ASCII', 'X-\xe9: 1'],
  ])('%s', async (_, line) => {
    await expectRefusal(['GET /p HTTP/1.1', 'Host: x', line]);
  });

  test.each([
    ['what is not HTTP', 'hello\r\n\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['the preface of HTTP/2 (RFC 9113 §3.4)', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/2.0 in text (RFC 9110 §2.5)', 'GET /p HTTP/2.0\r\nHost: x\r\n\r\n'],
    ['HTTP/3.0', 'GET /p HTTP/3.0\r\nHost: x\r\n\r\n'],
    ['HTTP/0.9 by name', 'GET /p HTTP/0.9\r\nHost: x\r\n\r\n'],
    ['HTTP/0.9 (RFC 9112, appendix A)', 'GET /p\r\n\r\n'],
    ['a version of two digits', 'GET /p HTTP/1.10\r\nHost: x\r\n\r\n'],
    ['a version of one', 'GET /p HTTP/1\r\nHost: x\r\n\r\n'],
    ['a version in small letters', 'GET /p http/1.1\r\nHost: x\r\n\r\n'],
    ['a version of another protocol', 'GET /p HTTPS/1.1\r\nHost: x\r\n\r\n'],
    ['a method in small letters (RFC 9110 §9.1)', 'get /p HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a method that nobody knows', 'FETCH /p HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a method of 20 KB', `${'G'.repeat(20_000)} /p HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['a method with a NUL', 'G\x00ET /p HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a space before the method', ' GET /p HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a tab after the method (RFC 9112 §3)', 'GET\t/p HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a space after the version', 'GET /p HTTP/1.1 \r\nHost: x\r\n\r\n'],
    ['a request line that ends in a bare LF (RFC 9112 §2.2)', 'GET /p HTTP/1.1\nHost: x\r\n\r\n'],
    ['a request line that ends in a bare CR', 'GET /p HTTP/1.1\rHost: x\r\n\r\n'],
    ['lines that end in bare LFs', 'GET /p HTTP/1.1\nHost: x\n\n'],
    ['a head that ends in a bare LF', 'GET /p HTTP/1.1\r\nHost: x\r\n\n'],
    ['a head that ends in two CRs', 'GET /p HTTP/1.1\r\nHost: x\r\n\r\r\n'],
  ])('%s', async (_, bytes) => {
    await expectRefused(stage, bytes);
  });

  test('a HEAD with a length, whose refusal has no body', async () => {
    const before = stage.service.bytes;
    const client = await RawClient.connect(stage.gateway.url);
    client.head('HEAD /p HTTP/1.1', 'Host: x', 'Content-Length: 2');
    expect(await client.end()).toMatch(/^HTTP\/1\.1 400 [^]*\r\n\r\n$/);
    expect(stage.service.bytes).toBe(before);
  });
});

describe('A path that leads to one route as it stands, and to a narrower one once it is decoded', () => {
  let service: Recorder;
  let gateway: TestGateway;

  beforeAll(async () => {
    service = await startRecorder();
    const route = (path: string, rest: object = {}) => ({ path, upstream: 'service', ...rest });
    gateway = await startGateway({
      upstreams: { service: { endpoints: [service.url] } },
      routes: [
        route('/v1{/*rest}'),
        route('/v1/admin{/*rest}'),
        route('/files/:id'),
        route('/things/:id/parts'),
        route('/things{/*rest}'),
        route('/caf%C3%A9/%7Euser'),
      ],
    });
  });

  afterAll(async () => {
    await gateway.stop();
    await service.close();
  });

  const ask = async (path: string) => {
    const [answer] = readAnswers(await raw(gateway.url, `GET ${path} HTTP/1.1`, 'Host: x', 'Connection: close'));
    return answer!.status;
  };

  test.each(['/v1/admin%2Fkeys', '/v1//admin/keys', '/v1/%2Fadmin', '/v1/admin;x/keys', '/v1/;/admin', '/v1/admin%2f'])(
    'is refused: %s',
    async (path) => {
      const before = service.bytes;
      expect(await ask(path)).toBe(400);
      expect(service.bytes).toBe(before);
    },
  );

  test.each([
    '/v1/a%2Fb',
    '/v1/a//b',
    '/v1/a;x=1/b',
    '/v1/administrators',
    '/v1/admin/a%2Fb//c;d',
    '/files/a%2Fb',
    '/things/a;b/parts',
    '/things/a%2Fb/parts',
  ])('else passes as it was sent: %s', async (path) => {
    expect(await ask(path)).toBe(200);
    expect(service.requests.at(-1)!.target).toBe(path);
  });

  test('spelt with more encoding than it needs is the same path, in the configuration too', async () => {
    expect(await ask('/v1/%61dmin/keys')).toBe(200);
    expect(service.requests.at(-1)!.target).toBe('/v1/admin/keys');
    for (const path of ['/caf%C3%A9/~user', '/caf%C3%A9/%7Euser', '/c%61f%C3%A9/~user'])
      expect(await ask(path)).toBe(200);
  });
});

describe('An absolute target (RFC 9112 §3.2.2)', () => {
  const shown = () => valuesOf(stage.service.requests.at(-1)!, 'x-forwarded-host');

  test('is served by its own authority, whatever Host says', async () => {
    expect(await arrivesAs('http://shop.example/p/a?b', 'other')).toBe('/p/a?b');
    expect(shown()).toEqual(['shop.example']);
    expect(await arrivesAs('HTTP://Shop.Example:8080/p', 'other')).toBe('/p');
    expect(shown()).toEqual(['shop.example:8080']);
    expect(await arrivesAs('http://[::1]:80/p', 'other')).toBe('/p');
    expect(shown()).toEqual(['[::1]:80']);
  });

  test('without a path is that of the root (RFC 9110 §4.2.3), with its query', async () => {
    for (const target of ['http://h', 'http://h/', 'http://h?x=1']) {
      const [answer] = await exchange(stage, bytesOf([`GET ${target} HTTP/1.1`, 'Host: h', 'Connection: close']));
      expect([answer!.status, codeOf(answer!)]).toEqual([404, 'ROUTE_NOT_FOUND']);
    }
  });

  test("leads to the gateway's own pages too", async () => {
    const [answer] = await exchange(
      stage,
      bytesOf(['GET http://h/docs/errors HTTP/1.1', 'Host: h', 'Connection: close']),
    );
    expect([answer!.status, answer!.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
  });
});

describe('Methods that a gateway must not pass on', () => {
  const answerTo = async (...lines: string[]) => {
    const before = stage.service.bytes;
    const [answer] = await exchange(stage, bytesOf(lines));
    expect(stage.service.bytes).toBe(before);
    return answer!;
  };

  test('TRACE is a 405 that says what is served (RFC 9110 §9.3.8)', async () => {
    const answer = await answerTo('TRACE /p HTTP/1.1', 'Host: x', 'Connection: close', 'Cookie: secret');
    expect([answer.status, codeOf(answer)]).toEqual([405, 'METHOD_NOT_ALLOWED']);
    expect(answer.headers.allow).toBe('GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS');
    expect(answer.body).not.toContain('secret');
  });

  test('CONNECT makes no tunnel: 405, and the connection ends (RFC 9110 §9.3.6)', async () => {
    const answer = await answerTo('CONNECT x:443 HTTP/1.1', 'Host: x:443', '', 'GET /p HTTP/1.1', 'Host: x');
    expect([answer.status, codeOf(answer), answer.headers.connection]).toEqual([405, 'METHOD_NOT_ALLOWED', 'close']);
  });

  test.each([
    ['with content', 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\nContent-Length: 5\r\n\r\nhe'],
    ['with chunks', 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe'],
    ['behind another request', 'GET /p HTTP/1.1\r\nHost: x\r\n\r\nCONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n'],
  ])('CONNECT %s ends the connection', async (_, bytes) => {
    const client = await RawClient.connect(stage.gateway.url);
    client.write(bytes);
    await client.end();
    expect(stage.service.requests.filter(({ method }) => method === 'CONNECT')).toEqual([]);
  });

  test('OPTIONS * is answered for the gateway as a whole (RFC 9110 §9.3.7)', async () => {
    for (const target of ['*', 'http://h']) {
      const answer = await answerTo(`OPTIONS ${target} HTTP/1.1`, 'Host: h', 'Connection: close');
      expect([answer.status, answer.headers.allow]).toEqual([204, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']);
      // RFC 9110 §8.6.
      expect(answer.headers).not.toHaveProperty('content-length');
    }
  });

  test('OPTIONS that must go no further is answered here, others come one nearer (RFC 9110 §7.6.2)', async () => {
    const answer = await answerTo('OPTIONS /p HTTP/1.1', 'Host: x', 'Connection: close', 'Max-Forwards: 0');
    expect(answer.status).toBe(204);
    await exchange(stage, bytesOf(['OPTIONS /p HTTP/1.1', 'Host: x', 'Connection: close', 'Max-Forwards: 7']));
    expect(valuesOf(stage.service.requests.at(-1)!, 'max-forwards')).toEqual(['6']);
  });
});

describe('Sizes and times of a request head', () => {
  test('a target of more than 8 KiB is a 414 (RFC 9110 §4.1, §15.5.15)', async () => {
    const [answer] = await exchange(
      stage,
      bytesOf([`GET /p${'a'.repeat(8192)} HTTP/1.1`, 'Host: x', 'Connection: close']),
    );
    expect([answer!.status, codeOf(answer!)]).toEqual([414, 'URI_TOO_LONG']);
    expect(await arrivesAs(`/p/${'a'.repeat(8000)}`)).toHaveLength(8003);
  });

  test.each([
    ['a header larger than maxHeaderBytes', [`X-Large: ${'a'.repeat(20_000)}`]],
    ['a name larger than maxHeaderBytes', [`${'a'.repeat(20_000)}: 1`]],
    ['many headers, together larger', Array.from({ length: 100 }, (_, i) => `X-${i}: ${'a'.repeat(200)}`)],
    ['more than 128 lines', Array.from({ length: 128 }, (_, i) => `X-${i}: 1`)],
    ['one name more than 128 times', Array.from({ length: 128 }, () => 'X: 1')],
    ['more lines than Node keeps', Array.from({ length: 2500 }, () => 'a:')],
  ])('%s: 431 (RFC 6585 §5)', async (_, lines) => {
    const before = stage.service.bytes;
    const [answer] = await exchange(stage, bytesOf(['GET /p HTTP/1.1', 'Host: x', 'Connection: close', ...lines]));
    expect([answer!.status, codeOf(answer!)]).toEqual([431, 'HEADERS_TOO_LARGE']);
    expect(answer!.headers['x-request-id']).toBe((JSON.parse(answer!.body) as { requestId: string }).requestId);
    expect(stage.service.bytes).toBe(before);
  });

  test('a target larger than maxHeaderBytes: 431', async () => {
    const [answer] = await exchange(stage, bytesOf([`GET /p${'a'.repeat(20_000)} HTTP/1.1`, 'Host: x']));
    expect([answer!.status, codeOf(answer!)]).toEqual([431, 'HEADERS_TOO_LARGE']);
  });

  test('128 lines pass', async () => {
    const lines = Array.from({ length: 126 }, (_, i) => `X-${i}: 1`);
    await exchange(stage, bytesOf(['GET /p HTTP/1.1', 'Host: x', 'Connection: close', ...lines]));
    expect(stage.service.requests.at(-1)!.fields.filter(([name]) => /^x-\d+$/.test(name))).toHaveLength(126);
  });

  test('empty lines before a request are skipped (RFC 9112 §2.2)', async () => {
    const answers = await exchange(stage, `\r\n\r\n${bytesOf(['GET /p HTTP/1.1', 'Host: x', 'Connection: close'])}`);
    expect(answers.map(({ status }) => status)).toEqual([200]);
  });

  test('names that programs have for themselves are fields like others', async () => {
    await exchange(
      stage,
      bytesOf([
        'GET /p HTTP/1.1',
        'Host: x',
        'Connection: close',
        '__proto__: a',
        'constructor: b',
        'constructor: c',
        'toString: d',
      ]),
    );
    const request = stage.service.requests.at(-1)!;
    expect(valuesOf(request, 'constructor')).toEqual(['b, c']);
    expect(valuesOf(request, 'tostring')).toEqual(['d']);
  });

  test('each of these leaves a line in the log, with the client and the code', async () => {
    const answer = await raw(stage.gateway.url, 'GET / HTTP/1.1', 'Host: x', `X-Large: ${'a'.repeat(20_000)}`);
    const [, requestId = ''] = /x-request-id: (\S+)/.exec(answer) ?? [];
    expect(await stage.gateway.accessOf(requestId)).toMatchObject({
      status: 431,
      error: 'HEADERS_TOO_LARGE',
      clientIp: '127.0.0.1',
    });
  });

  test('after all of it the gateway serves as before', async () => {
    const client = await RawClient.connect(stage.gateway.url);
    client.head('GET /p/alive HTTP/1.1', 'Host: x');
    await client.until('\r\n\r\nok');
    expect(stage.service.problems).toEqual([]);
    client.socket.destroy();
    await until(() => client.closed);
    await settle(1);
  });
});
