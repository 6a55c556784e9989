import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { RawClient, send, until, type Answer } from '../support/raw-client.ts';
import { answering, dripping, startScriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.ts';

let service: ScriptedUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  service = await startScriptedUpstream();
  gateway = await startGateway({
    upstreams: {
      service: {
        endpoints: [service.url],
        retry: { attempts: 0 },
        breaker: { failures: 10_000 },
        attemptTimeout: '1s',
        idleTimeout: '1s',
      },
    },
    routes: [{ path: '{/*rest}', upstream: 'service' }],
  });
});

afterEach(() => untilIdle(gateway));

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

/** What makes the gateway choose either form of the exchange: undici for what is held whole, http-proxy-middleware else. */
const forms = {
  'held, without a body': () => ({}),
  'held, with a body': () => ({ method: 'POST', body: 'small' }),
  streamed: () => ({ method: 'POST', body: Readable.from(['of unknown length']) }),
};

type Form = keyof typeof forms;

const names = Object.keys(forms) as Form[];

let count = 0;

/** Asks for what these bytes answer, and then whether that has left anything behind for the next one to read. */
async function ask(form: Form, bytes: string, after?: 'keep' | 'end' | 'reset'): Promise<Answer> {
  const path = `/${++count}`;
  service.scripts.set(path, answering(bytes, after));
  const answer = await send(gateway.url + path, forms[form]());
  for (let next = 0; next < 2; next++) {
    const following = await send(`${gateway.url}/plain`, forms[form]());
    expect([following.status, following.text]).toEqual([200, 'plain']);
  }
  return answer;
}

/** The same where the answer is no answer. */
async function codeOf(form: Form, bytes: string, after?: 'keep' | 'end' | 'reset'): Promise<string> {
  const answer = await ask(form, bytes, after);
  return `${answer.status} ${String(answer.json().code)}`;
}

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n';
const hi = `${head}Content-Length: 2\r\n\r\nhi`;
const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
const hint = (to: string) => ({ status: 103, headers: { link: `<${to}>; rel=preload` } });
const link = (to: string) => `HTTP/1.1 103 Early Hints\r\nLink: <${to}>; rel=preload\r\n\r\n`;

describe.each(names)('1xx answers (RFC 9110 §15.2), %s', (form) => {
  test.each([
    ['a 100 that nobody asked for', 'HTTP/1.1 100 Continue\r\n\r\n', []],
    ['several of them, with fields', 'HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\n'.repeat(3), []],
    ['a 102', 'HTTP/1.1 102 Processing\r\n\r\n', [{ status: 102, headers: {} }]],
    [
      'one that is not known',
      'HTTP/1.1 199 Wonder\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 1\r\nX-Weir-Tier: pro\r\n\r\n',
      [{ status: 199, headers: { 'x-a': '1' } }],
    ],
    [
      'one with a length, which it cannot have',
      'HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n',
      [{ status: 102, headers: {} }],
    ],
    ['several 103', link('/a') + link('/b'), [hint('/a'), hint('/b')]],
    [
      'all kinds',
      `${link('/a')}HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\n${link('/b')}`,
      [hint('/a'), { status: 102, headers: {} }, hint('/b')],
    ],
  ])('%s: the answer is the one after it, and all but 100 are passed on', async (_, bytes, informed) => {
    const answer = await ask(form, bytes + hi);
    expect([answer.status, answer.text]).toEqual([200, 'hi']);
    expect(answer.informed).toEqual(informed);
  });

  test('cut at any byte, they are the same', async () => {
    const bytes = `HTTP/1.1 100 Continue\r\n\r\n${link('/a')}${hi}`;
    for (const size of [1, 5, 24, 26]) {
      const path = `/dripped/${size}`;
      service.scripts.set(path, dripping(bytes, 1, size));
      const answer = await send(gateway.url + path, forms[form]());
      expect([answer.status, answer.text, answer.informed.length]).toEqual([200, 'hi', 1]);
    }
  });

  test('without end are no answer: 502, long before the time is over', async () => {
    const path = `/endless/${form.length}`;
    let sent = 0;
    service.scripts.set(path, (socket) => {
      const pour = () => {
        while (!socket.destroyed && socket.write(link('/again'))) sent++;
        sent++;
      };
      socket.on('drain', pour);
      pour();
    });
    const answer = await send(gateway.url + path, forms[form]());
    expect([answer.status, answer.json().code]).toEqual([502, 'UPSTREAM_BAD_RESPONSE']);
    expect(sent).toBeGreaterThan(100);
    expect(answer.informed.length).toBeLessThan(100);
  });

  test('a 101 that nobody asked for is no answer', async () => {
    const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
    expect(await codeOf(form, upgrade)).toBe('502 UPSTREAM_BAD_RESPONSE');
    expect(await codeOf(form, `HTTP/1.1 101 Switching Protocols\r\n\r\n${hi}`)).toBe('502 UPSTREAM_BAD_RESPONSE');
  });

  test('a head without end is no answer', async () => {
    expect(await codeOf(form, `HTTP/1.1 100 Continue\r\nX-A: ${'a'.repeat(50_000)}`)).toBe('502 UPSTREAM_BAD_RESPONSE');
  });
});

describe.each(names)('Answers without content, %s', (form) => {
  test.each([
    ['204 with bytes after its length (RFC 9110 §15.3.5)', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello'],
    ['204 with a chunked body', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
    ['204 with an answer behind it', `HTTP/1.1 204 No Content\r\n\r\n${poison}`],
    ['205 with content (§15.3.6)', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello'],
    ['205 in chunks', 'HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
    ['304 with bytes (§15.4.5)', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\nhello'],
    ['304 with an answer behind it', `HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n${poison}`],
  ])('%s have none, and what stood there is nobody else’s either', async (_, bytes) => {
    const answer = await ask(form, bytes);
    expect([answer.status, answer.text]).toEqual([Number(bytes.slice(9, 12)), '']);
    expect(answer.headers['transfer-encoding']).toBeUndefined();
  });

  test('a 204 has no length, a 205 that of nothing, a 304 that of what it stands for (RFC 9110 §8.6)', async () => {
    const lengthOf = async (line: string) =>
      (await ask(form, `HTTP/1.1 ${line}\r\nContent-Length: 1234\r\nConnection: close\r\n\r\n`, 'end')).headers[
        'content-length'
      ];
    expect(await lengthOf('204 No Content')).toBeUndefined();
    expect(await lengthOf('304 Not Modified')).toBe('1234');
    expect((await ask(form, 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n')).headers['content-length']).toBe(
      '0',
    );
  });
});

describe('Answers to HEAD', () => {
  test.each([
    ['with a length', `${head}Content-Length: 12345\r\n\r\n`, '12345'],
    ['with the content itself, which must not be there', `${head}Content-Length: 5\r\n\r\nhello`, '5'],
    ['with an answer behind it', `${head}Content-Length: 5\r\n\r\n${poison}`, '5'],
    ['in chunks', `${head}Transfer-Encoding: chunked\r\n\r\n`, undefined],
    ['that end with the connection', `${head}\r\n`, undefined],
  ])('%s are over with their head', async (_, bytes, length) => {
    const path = `/${++count}`;
    service.scripts.set(path, answering(bytes));
    const answer = await send(gateway.url + path, { method: 'HEAD' });
    expect([answer.status, answer.text, answer.headers['content-length']]).toEqual([200, '', length]);
    const next = await send(`${gateway.url}/plain`);
    expect([next.status, next.text]).toEqual([200, 'plain']);
  });
});

describe.each(names)('Framing that lies or contradicts itself (RFC 9112 §6), %s', (form) => {
  test.each([
    ['two lengths that differ', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!'],
    ['the same length twice', 'Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi'],
    ['a list of lengths', 'Content-Length: 2, 2\r\n\r\nhi'],
    ['a length with a sign', 'Content-Length: +2\r\n\r\nhi'],
    ['a negative length', 'Content-Length: -2\r\n\r\nhi'],
    ['a hexadecimal length', 'Content-Length: 0x2\r\n\r\nhi'],
    ['a length beyond 64 bits', 'Content-Length: 18446744073709551618\r\n\r\nhi'],
    ['an empty length', 'Content-Length:\r\n\r\nhi'],
    ['a length and chunks', 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['a coding that is not taken off', 'Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['the same in two fields', 'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['chunked twice', 'Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['chunked, but not last', 'Transfer-Encoding: chunked, gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['a coding that is none', 'Transfer-Encoding: xchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'],
    ['the coding that was abolished', 'Transfer-Encoding: identity\r\nConnection: close\r\n\r\nhi'],
  ])('%s: 502', async (_, bytes) => {
    expect(await codeOf(form, head + bytes, 'end')).toBe('502 UPSTREAM_BAD_RESPONSE');
  });

  test('chunks in HTTP/1.0 (§6.1): 502', async () => {
    const chunks = 'Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n';
    expect(await codeOf(form, `HTTP/1.0 200 OK\r\n${chunks}`, 'end')).toBe('502 UPSTREAM_BAD_RESPONSE');
  });

  test('bytes beyond the length belong to nobody', async () => {
    const answer = await ask(form, `${hi}${poison}`);
    expect([answer.status, answer.text]).toEqual([200, 'hi']);
  });

  test('extensions of chunks are dropped with the chunks (§7.1.1)', async () => {
    const answer = await ask(form, `${head}Transfer-Encoding: CHUNKED\r\n\r\n2;a=b\r\nhi\r\n0;c="d"\r\n\r\n`);
    expect([answer.status, answer.text]).toEqual([200, 'hi']);
  });

  test.each([
    ['that end their lines with LF alone', '2\nhi\n0\n\n'],
    ['of more than any number of bytes', 'fffffffffffffffff\r\nhi'],
    ['of a negative number of bytes', '-2\r\nhi\r\n0\r\n\r\n'],
    ['that are longer than they say', '2\r\nhi!\r\n0\r\n\r\n'],
    ['whose trailers have a length', '2\r\nhi\r\n0\r\nContent-Length: 2\r\n\r\n'],
    ['whose trailers are no fields', '2\r\nhi\r\n0\r\nX Y: 1\r\n\r\n'],
    ['whose trailers have no end', `2\r\nhi\r\n0\r\nX-A: ${'a'.repeat(100_000)}`],
  ])('chunks %s are a broken answer, never a complete one', async (_, chunks) => {
    await expect(ask(form, `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}`)).rejects.toThrow(
      /aborted|hang up|not complete|ECONNRESET/,
    );
  });
});

describe.each(names)('What is not HTTP/1.1, %s', (form) => {
  test.each([
    ['HTTP/0.9', 'hello there'],
    ['a version before 1.0', 'HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
    ['a version after 1.1', 'HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
    ['HTTP/2.0 in words', 'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
    ['HTTP/2 in frames', '\x00\x00\x00\x04\x00\x00\x00\x00\x00'],
    ['RTSP', 'RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi'],
    ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['TLS', '\x15\x03\x01\x00\x02\x02\x16'],
    ['a head of LF alone', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nhi'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi'],
    ['a 1xx of HTTP/1.0, which knows none', `HTTP/1.0 102 Processing\r\n\r\n${hi}`],
    ['two spaces', 'HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi'],
    ['a CR within a field', `${head}X-A: a\rb\r\nContent-Length: 2\r\n\r\nhi`],
    ['a NUL within a field', `${head}X-A: a\x00b\r\nContent-Length: 2\r\n\r\nhi`],
    ['a field that goes on in the next line (§5.2)', `${head}X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nhi`],
    ['a space before the colon (§5.1)', `${head}X-A : a\r\nContent-Length: 2\r\n\r\nhi`],
    ['a name that is no token', `${head}X(A): a\r\nContent-Length: 2\r\n\r\nhi`],
    ['a field without end', `${head}X-A: ${'a'.repeat(100_000)}`],
    ['fields without end', head + Array.from({ length: 20_000 }, (_, n) => `X-${n}: 1\r\n`).join('')],
    ['more fields than anybody reads', `${head}${'a:\r\n'.repeat(2_500)}Content-Length: 2\r\n\r\nhi`],
  ])('%s: 502 UPSTREAM_BAD_RESPONSE', async (what, bytes) => {
    // A client that reads fewer fields must not go by those it has read; one that reads them all may.
    if (what.startsWith('more fields') && form !== 'streamed') expect((await ask(form, bytes)).status).toBe(200);
    else expect(await codeOf(form, bytes)).toBe('502 UPSTREAM_BAD_RESPONSE');
  });

  test('HTTP/1.0 is, and so is a line without a reason, and an empty line before it', async () => {
    for (const bytes of [
      'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi',
      'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi',
      '\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    ]) {
      const answer = await ask(form, bytes);
      expect([answer.status, answer.text]).toEqual([200, 'hi']);
    }
  });
});

describe.each(names)('An upstream that drips, %s', (form) => {
  test('a head that takes longer than attemptTimeout is none: 504', async () => {
    service.scripts.set('/slow-head', dripping(`${head}X-A: ${'a'.repeat(500)}\r\n\r\n`, 20));
    const answer = await send(`${gateway.url}/slow-head`, forms[form]());
    expect([answer.status, answer.json().code]).toEqual([504, 'UPSTREAM_TIMEOUT']);
  });

  test('a head that comes byte by byte, but in time, is one, and so is a body', async () => {
    service.scripts.set(
      '/bytes',
      dripping(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n`, 1),
    );
    const answer = await send(`${gateway.url}/bytes`, forms[form]());
    expect([answer.status, answer.text, answer.trailers]).toEqual([200, 'hi', { 'x-sum': '1' }]);
  });

  test('a body may take as long as it likes, as long as it comes', async () => {
    service.scripts.set('/slow-body', (socket) => {
      socket.write(`${head}Content-Length: 8\r\n\r\n`);
      dripping('take it!', 100)(socket);
    });
    expect((await send(`${gateway.url}/slow-body`, forms[form]())).text).toBe('take it!');
  });
});

describe.each(names)('Trailers (RFC 9110 §6.5), %s', (form) => {
  const trailing = (fields: string, announced = '') =>
    ask(form, `${head}${announced}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n${fields}\r\n`);

  test('are passed on, and so is what announces them (§6.6.2)', async () => {
    const answer = await trailing('X-Sum: 42\r\nETag: "q"\r\nX-Two: 1\r\nX-Two: 2\r\n', 'Trailer: X-Sum, ETag\r\n');
    expect([answer.text, answer.trailers, answer.headers.trailer]).toEqual([
      'hi',
      { 'x-sum': '42', etag: '"q"', 'x-two': '1, 2' },
      'X-Sum, ETag',
    ]);
  });

  test('do not speak of routing, authentication, framing, caching or of the response as a whole (§6.5.1)', async () => {
    const fields = [
      'Host: evil.example',
      'Authorization: Basic x',
      'Set-Cookie: a=1',
      'Content-Encoding: gzip',
      'Content-Type: text/html',
      'Cache-Control: max-age=99',
      'Vary: *',
      'Location: /elsewhere',
      'Retry-After: 1',
      'WWW-Authenticate: Basic',
      'Access-Control-Allow-Origin: *',
      'Connection: X-Named',
      'X-Named: 1',
      'Keep-Alive: timeout=1',
      'Via: 1.1 inner',
      'X-Weir-Tier: gold',
      'X-Request-Id: forged',
      'Traceparent: forged',
      'X-Kept: 1',
    ];
    const answer = await trailing(fields.map((field) => `${field}\r\n`).join(''), 'Trailer: Set-Cookie\r\n');
    expect([answer.trailers, answer.headers.trailer]).toEqual([{ 'x-kept': '1' }, undefined]);
  });

  test('that were announced are not, where there can be none: HTTP/1.0, and answers with a length', async () => {
    const path = `/${++count}`;
    const chunks = `${head}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n`;
    service.scripts.set(path, answering(chunks));
    const client = await RawClient.connect(gateway.url);
    if (form === 'held, without a body') client.head(`GET ${path} HTTP/1.0`, 'Host: x');
    else client.head(`POST ${path} HTTP/1.0`, 'Host: x', `Content-Length: ${form === 'streamed' ? 70_000 : 1}`);
    if (form !== 'held, without a body') client.write('x'.repeat(form === 'streamed' ? 70_000 : 1));
    const received = await client.end();
    expect(received).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nhi$/);
    expect(received).not.toMatch(/trailer|x-sum/i);
    const sized = await ask(form, `${head}Trailer: X-Sum\r\nContent-Length: 2\r\n\r\nhi`);
    expect([sized.text, sized.headers.trailer]).toEqual(['hi', undefined]);
  });
});

describe('Whatever has come here', () => {
  test('none of it was taken for a defect of the gateway', async () => {
    await until(() => gateway.log.length > 0);
    expect(gateway.log.filter(({ level, error }) => level === 'error' || error === 'INTERNAL')).toEqual([]);
  });
});
