import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RawClient, settle, until } from '../support/raw-client.ts';
import { valuesOf } from '../support/strict-requests.ts';
import { bytesOf, exchange, expectRefused, startStage, type Stage } from './hostile.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await startStage();
});

afterAll(() => stage.stop());

/** By either door; what a body's framing says decides the form of the exchange. */
const doors = [
  ['REST', ['POST /p HTTP/1.1', 'Host: x']],
  ['GraphQL', ['POST /graphql HTTP/1.1', 'Host: x', 'Content-Type: application/json']],
] as const;

const query = '{"query":"{ prompt }"}';
const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

describe.each(doors)('A request whose end could be read in two ways is refused, %s', (_, head) => {
  test.each([
    ['two lengths that differ (RFC 9112 §6.3)', ['Content-Length: 22', 'Content-Length: 23'], query],
    ['one length twice (RFC 9110 §8.6)', ['Content-Length: 22', 'Content-Length: 22'], query],
    ['a list of lengths (RFC 9110 §8.6)', ['Content-Length: 22, 22'], query],
    ['a list of lengths without a space', ['Content-Length: 22,22'], query],
    ['a length with a plus (RFC 9110 §8.6)', ['Content-Length: +22'], query],
    ['a length with a minus', ['Content-Length: -22'], query],
    ['a length in hexadecimal', ['Content-Length: 0x16'], query],
    ['a length that begins with a zero, which is octal to some', ['Content-Length: 022'], query],
    ['a length with an exponent', ['Content-Length: 2.2e1'], query],
    ['a length with a space in it', ['Content-Length: 2 2'], query],
    ['an empty length', ['Content-Length:'], query],
    ['a length of blanks', ['Content-Length:   '], query],
    ['a length beyond 64 bits', ['Content-Length: 18446744073709551638'], query],
    ['a length of letters', ['Content-Length: many'], query],
    ['a length and a coding (RFC 9112 §6.3)', ['Content-Length: 22', 'Transfer-Encoding: chunked'], chunked(query)],
    ['a coding and a length', ['Transfer-Encoding: chunked', 'Content-Length: 22'], chunked(query)],
    ['a coding and no length', ['Transfer-Encoding: chunked', 'Content-Length: 0'], chunked(query)],
    ['chunked before another coding (RFC 9112 §6.3)', ['Transfer-Encoding: chunked, gzip'], chunked(query)],
    ['another coding before chunked (RFC 9112 §6.1)', ['Transfer-Encoding: gzip, chunked'], chunked(query)],
    ['chunked twice (RFC 9112 §6.1)', ['Transfer-Encoding: chunked, chunked'], chunked(query)],
    ['chunked twice, in two lines', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked(query)],
    ['two lines of codings', ['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'], chunked(query)],
    ['the identity, which is no coding any more', ['Transfer-Encoding: identity'], query],
    ['a coding that nobody knows', ['Transfer-Encoding: xchunked'], chunked(query)],
    ['chunked in quotes', ['Transfer-Encoding: "chunked"'], chunked(query)],
    ['chunked with a parameter', ['Transfer-Encoding: chunked;q=1'], chunked(query)],
    ['chunked after a comma', ['Transfer-Encoding: ,chunked'], chunked(query)],
    ['chunked before a comma', ['Transfer-Encoding: chunked,'], chunked(query)],
    ['chunked behind a vertical tab', ['Transfer-Encoding: \x0bchunked'], chunked(query)],
    ['a coding without a name', ['Transfer-Encoding:'], chunked(query)],
    ['a coding whose name ends in a space (RFC 9112 §5.1)', ['Transfer-Encoding : chunked'], chunked(query)],
    ['a coding in a folded line (RFC 9112 §5.2)', ['Transfer-Encoding:', ' chunked'], chunked(query)],
  ])('%s', async (__, lines, body) => {
    await expectRefused(stage, bytesOf([...head, ...lines], body));
  });

  test.each([
    ['HTTP/1.0', 'Connection: close'],
    ['HTTP/1.0', 'Connection: keep-alive'],
  ])('a coding in %s, %s (RFC 9112 §6.1)', async (version, connection) => {
    const [line, ...lines] = head;
    await expectRefused(
      stage,
      bytesOf([line.replace('HTTP/1.1', version), ...lines, connection, 'Transfer-Encoding: chunked'], chunked(query)),
    );
  });
});

describe.each(doors)('A body in chunks that are none is refused, %s', (_, head) => {
  test.each([
    ['a size with a plus (RFC 9112 §7.1)', '+5\r\nhello\r\n0\r\n\r\n'],
    ['a size with a minus', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a size with a prefix', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a size with an underscore', '5_0\r\nhello\r\n0\r\n\r\n'],
    ['a size of more than 64 bits', 'fffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
    ['a size before which there is a space', ' 5\r\nhello\r\n0\r\n\r\n'],
    ['a size after which there is a space', '5 \r\nhello\r\n0\r\n\r\n'],
    ['a size after which there is a tab', '5\t\r\nhello\r\n0\r\n\r\n'],
    ['no size', '\r\nhello\r\n0\r\n\r\n'],
    ['a size that is no number', 'zz\r\nhello\r\n0\r\n\r\n'],
    ['a size that ends in a bare LF (RFC 9112 §2.2)', '5\nhello\r\n0\r\n\r\n'],
    ['a size that ends in a bare CR', '5\rhello\r\n0\r\n\r\n'],
    ['a chunk that ends in a bare LF', '5\r\nhello\n0\r\n\r\n'],
    ['a chunk that ends in nothing', '5\r\nhello0\r\n\r\n'],
    ['a chunk that is longer than its size', '5\r\nhello!\r\n0\r\n\r\n'],
    ['a last chunk that ends in a bare LF', '5\r\nhello\r\n0\n\r\n'],
    ['an end in a bare LF', '5\r\nhello\r\n0\r\n\n'],
    ['an end in two CRs', '5\r\nhello\r\n0\r\r\n'],
    ['an extension without a name (RFC 9112 §7.1.1)', '5;\r\nhello\r\n0\r\n\r\n'],
    ['an extension that ends in a bare LF', '5;a=b\nhello\r\n0\r\n\r\n'],
    ['an extension with a bare CR', '5;a=b\rc\r\nhello\r\n0\r\n\r\n'],
    ['an extension with a NUL', '5;a=\x00\r\nhello\r\n0\r\n\r\n'],
    ['an extension behind a space', '5 ;a=b\r\nhello\r\n0\r\n\r\n'],
    ['an extension whose quotes are left open', '5;a="b\r\nhello\r\n0\r\n\r\n'],
    ['an extension of 20 KB', `5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`],
    ['a length among the trailers (RFC 9110 §6.5.1)', '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n'],
    ['a coding among the trailers', '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a trailer whose name ends in a space', '5\r\nhello\r\n0\r\nX : 1\r\n\r\n'],
    ['a trailer that is folded', '5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n'],
    ['a trailer that ends in a bare LF', '5\r\nhello\r\n0\r\nX: 1\nY: 2\r\n\r\n'],
    ['a trailer with a NUL', '5\r\nhello\r\n0\r\nX: \x00\r\n\r\n'],
    ['a trailer without a colon', '5\r\nhello\r\n0\r\nX\r\n\r\n'],
  ])('%s', async (__, body) => {
    await expectRefused(stage, bytesOf([...head, 'Transfer-Encoding: chunked'], body));
  });

  test('trailers of 20 KB are a 431 (RFC 6585 §5)', async () => {
    const before = stage.service.bytes;
    const trailers = `5\r\nhello\r\n0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`;
    const answers = await exchange(stage, bytesOf([...head, 'Transfer-Encoding: chunked'], trailers));
    expect(answers.map(({ status, headers }) => [status, headers.connection])).toEqual([[431, 'close']]);
    expect(stage.service.bytes).toBe(before);
  });
});

describe('What follows a body that is refused', () => {
  const smuggled = bytesOf(['GET /p/smuggled HTTP/1.1', 'Host: x']);

  test.each(doors)('is never taken for a request, %s', async (_, head) => {
    await expectRefused(stage, bytesOf([...head, 'Transfer-Encoding: chunked'], `zz\r\n${smuggled}`));
    await expectRefused(stage, bytesOf([...head, 'Content-Length: 022'], query + smuggled));
    await expectRefused(stage, bytesOf([...head, 'Transfer-Encoding: gzip, chunked'], chunked(query) + smuggled));
  });

  test('nor when it comes later', async () => {
    const client = await RawClient.connect(stage.gateway.url);
    const before = stage.service.bytes;
    client.head('POST /p HTTP/1.1', 'Host: x', 'Transfer-Encoding: gzip, chunked');
    await client.until('BAD_REQUEST');
    client.write(smuggled);
    await until(() => client.closed);
    await settle();
    expect(stage.service.bytes).toBe(before);
    expect(client.received.match(/^HTTP\/1\.1/gm)).toHaveLength(1);
  });

  test('a chunk that turns out to be none once the service has the first ends both requests, neither of them whole', async () => {
    const client = await RawClient.connect(stage.gateway.url);
    const { requests, bytes } = stage.service;
    const whole = requests.length;
    client.head('POST /p HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked').write('5\r\nhello\r\n');
    await until(() => stage.service.bytes > bytes);
    client.write(`zz\r\n${smuggled}`);
    expect(await client.end()).toMatch(/^HTTP\/1\.1 400 [^]*"code":"BAD_REQUEST"/);
    await settle();
    expect(requests.length).toBe(whole);
  });
});

describe('A body that is well framed', () => {
  async function passed(lines: readonly string[], body: string) {
    const before = stage.service.requests.length;
    const answers = await exchange(
      stage,
      bytesOf(['POST /p HTTP/1.1', 'Host: x', 'Connection: close', ...lines], body),
    );
    expect(answers.map(({ status }) => status)).toEqual([200]);
    expect(stage.service.requests.length).toBe(before + 1);
    return stage.service.requests.at(-1)!;
  }

  test.each([
    ['sizes with zeros before them (RFC 9112 §7.1)', '000000000005\r\nhello\r\n000\r\n\r\n'],
    ['capital digits', `A\r\nhelloworld\r\n0\r\n\r\n`],
    ['an extension (RFC 9112 §7.1.1)', '5;a\r\nhello\r\n0\r\n\r\n'],
    ['an extension with a value', '5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n'],
  ])('passes, framed anew, with %s', async (_, body) => {
    const request = await passed(['Transfer-Encoding: chunked'], body);
    expect(request.body).toMatch(/^hello/);
    expect(valuesOf(request, 'transfer-encoding')).toEqual(['chunked']);
    expect(valuesOf(request, 'content-length')).toEqual([]);
  });

  test.each(['Chunked', 'CHUNKED', '  chunked  '])('passes with %j (RFC 9112 §7)', async (coding) => {
    expect((await passed([`Transfer-Encoding: ${coding}`], chunked('hello'))).body).toBe('hello');
  });

  test('passes with blanks around its length (RFC 9112 §5.1)', async () => {
    const request = await passed(['Content-Length: \t5 \t'], 'hello');
    expect(request.body).toBe('hello');
    expect(valuesOf(request, 'content-length')).toEqual(['5']);
  });

  test('is passed on without its trailers, which never become headers (RFC 9110 §6.5.1)', async () => {
    const trailers = ['Host: evil', 'Authorization: Basic eDp5', 'X-Weir-Tier: gold', 'X-Sum: 1', 'Connection: x-sum'];
    const body = `5\r\nhello\r\n0\r\n${trailers.join('\r\n')}\r\n\r\n`;
    const request = await passed(['Transfer-Encoding: chunked', 'Trailer: X-Sum'], body);
    expect(request.body).toBe('hello');
    expect(valuesOf(request, 'host')).toEqual([new URL(stage.service.url).host]);
    expect(JSON.stringify(request.fields)).not.toMatch(/evil|Basic|gold|x-sum/i);
  });

  test('loses its length to Connection, and is still framed (RFC 9110 §7.6.1)', async () => {
    for (const length of [5, 100_000]) {
      const request = await passed(
        ['Connection: content-length, transfer-encoding, host', `Content-Length: ${length}`],
        'x'.repeat(length),
      );
      expect(request.body).toHaveLength(length);
      expect(valuesOf(request, 'host')).toHaveLength(1);
    }
  });

  test('of a length beyond what is taken is a 413, and nothing is read as a request while it comes', async () => {
    const before = stage.service.bytes;
    const client = await RawClient.connect(stage.gateway.url);
    client.head('POST /p HTTP/1.1', 'Host: x', 'Content-Length: 9007199254740993');
    await client.until('BODY_TOO_LARGE');
    client.write(bytesOf(['GET /p/smuggled HTTP/1.1', 'Host: x']));
    await settle();
    expect(client.received.match(/^HTTP\/1\.1/gm)).toHaveLength(1);
    expect(stage.service.bytes).toBe(before);
    client.socket.destroy();
  });
});
