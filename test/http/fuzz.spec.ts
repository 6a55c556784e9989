import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readAnswers } from '../support/answers.ts';
import { RawClient, send, until } from '../support/raw-client.ts';
import { valuesOf, type StrictRequest } from '../support/strict-requests.ts';
import { startStage, type Stage } from './hostile.ts';

/**
 * Hostile bytes over real sockets, to a real gateway before a service that reads strictly. What fails is printed with its seed
 * and path; WEIR_FUZZ_SEED repeats it, and WEIR_FUZZ_MS looks for longer.
 */
const { WEIR_FUZZ_SEED: seed, WEIR_FUZZ_MS: limitMs = '4000' } = process.env;

const settingsFor = (timeMs: number) => ({
  numRuns: 1_000_000,
  ...(seed !== undefined && { seed: Number(seed) }),
  plugins: [fc.interruptAfterTimeLimit(timeMs)],
});

let stage: Stage;

beforeAll(async () => {
  stage = await startStage({ maxHeaderBytes: '4KiB', maxBodyBytes: '32KiB', headersTimeout: '1s', bodyTimeout: '1s' });
});

afterAll(() => stage.stop());

const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const often = <T>(usual: T, ...others: readonly T[]) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: pick(...others) });

const hostileCharacters = Array.from('\0\t\n\v\f\r "#%&\'()*+,-./:;<=>?@[\\]^_`{|}~\x7f\x80\xa0\xe9\xffaAzZ019');
const hostile = (maxLength: number) =>
  fc.array(pick(...hostileCharacters), { maxLength }).map((characters) => characters.join(''));

/** Words between blanks; what is a blank itself is named beside them. */
const words = (text: string, ...blanks: readonly string[]) => pick(...text.trim().split(/\s+/), ...blanks);

const pathPieces = words(
  `/ // .. . %2e %2E %252e %2f %2F %5c \\ ; %00 %0d%0a % %zz %61 p p/ admin graphql ? # @ : %C0%AE \u00e9 * | " < {`,
  ' ',
  '\t',
);
const path = fc.array(pathPieces, { maxLength: 6 }).map((pieces) => pieces.join(''));
const target = fc.oneof(
  { weight: 4, arbitrary: path.map((rest) => `/p/${rest}`) },
  { weight: 2, arbitrary: path.map((rest) => `/p${rest}`) },
  { weight: 1, arbitrary: path },
  { weight: 1, arbitrary: hostile(12) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(pick('http://', 'https://', 'HTTP://', 'ftp://', '//'), hostile(4), path)
      .map((all) => all.join('')),
  },
);

const names = words(`
  Host host Content-Length Transfer-Encoding Connection Upgrade Expect TE Trailer Keep-Alive Proxy-Connection
  Proxy-Authorization X-Weir-Consumer x-weir-tier x_weir_tier X-Forwarded-For Forwarded X-Forwarded-Host x_forwarded_for Via
  Authorization Cookie traceparent tracestate b3 x-b3-flags X-Request-Id x-weir-deadline-ms Max-Forwards Accept Content-Type
  __proto__ constructor X-Any HTTP2-Settings`);
const values = fc.oneof(
  words(
    `0 1 5 05 +5 5,5 0x5 -1 99999999999999999999 x a,b evil.example u@h [::1] chunked gzip,chunked chunked,chunked identity
    CHUNKED close keep-alive upgrade websocket h2c host content-length,transfer-encoding x-any,x-request-id 100-continue tea
    trailers gold root 6.6.6.6 for=6.6.6.6 00-12345678901234567890123456789012-1234567890123456-01 d application/json`,
    '',
    '5, 5',
    'gzip, chunked',
  ),
  hostile(10),
);
const spelling = fc.record({
  colon: often(': ', ':', ' : ', ':\t', '', ' '),
  eol: often('\r\n', '\n', '\r', '\r\r\n', '\r\n ', '\r\n\t'),
});
const fieldLine = fc
  .tuple(fc.oneof({ weight: 8, arbitrary: names }, { weight: 1, arbitrary: hostile(6) }), values, spelling)
  .map(([name, value, { colon, eol }]) => name + colon + value + eol);

const content = fc.oneof(
  fc.constant(''),
  fc.constant('hello'),
  fc.constant('GET /p/inner HTTP/1.1\r\nHost: x\r\n\r\n'),
  fc.constant('x'.repeat(40_000)),
  hostile(20),
);
const chunks = fc
  .array(
    fc.record({
      text: content,
      prefix: often('', '0', '+', '0x', ' '),
      extension: often('', ';a', ';a=b', ';', ' ;a', ';a="'),
      eol: often('\r\n', '\n', '\r', ''),
    }),
    { maxLength: 3 },
  )
  .map((all) =>
    all
      .filter(({ text }) => text !== '')
      .map(({ text, prefix, extension, eol }) => `${prefix}${text.length.toString(16)}${extension}\r\n${text}${eol}`)
      .join(''),
  );
const ending = often(
  '0\r\n\r\n',
  '0\r\nX-Sum: 1\r\n\r\n',
  '0\r\nHost: evil\r\nContent-Length: 5\r\n\r\n',
  '0\n\n',
  '00\r\n\r\n',
  '',
);

/** Framing that fits its body, or does not. */
const framed = fc.oneof(
  fc.constant({ lines: '', body: '' }),
  content.map((text) => ({ lines: `Content-Length: ${text.length}\r\n`, body: text })),
  fc
    .tuple(content, fc.integer({ min: -3, max: 3 }))
    .map(([text, off]) => ({ lines: `Content-Length: ${text.length + off}\r\n`, body: text })),
  fc.tuple(chunks, ending).map(([text, end]) => ({ lines: 'Transfer-Encoding: chunked\r\n', body: text + end })),
  fc.tuple(chunks, ending).map(([text, end]) => ({
    lines: `Transfer-Encoding: chunked\r\nContent-Length: ${text.length}\r\n`,
    body: text + end,
  })),
);

const request = fc
  .record({
    method: fc.oneof(
      { weight: 12, arbitrary: pick('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH') },
      { weight: 1, arbitrary: pick('TRACE', 'CONNECT', 'get', 'QUERY', 'PRI', 'G\0T', '') },
    ),
    target,
    version: often('HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', '', 'HTTP/1.1 '),
    host: often('Host: x\r\n', '', 'Host: a\r\nHost: b\r\n', 'Host: u@a\r\n', 'Host:\r\n'),
    lines: fc.array(fieldLine, { maxLength: 4 }),
    framing: framed,
    end: often('\r\n', '\n', '\r\r\n', ''),
  })
  .map(
    ({ method, target: url, version, host, lines, framing, end }) =>
      `${method} ${url} ${version}\r\n${host}${lines.join('')}${framing.lines}${end}${framing.body}`,
  );

const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: pick('replace', 'insert', 'delete', 'repeat'),
  character: pick(...hostileCharacters),
  length: fc.integer({ min: 1, max: 20 }),
});

function mutate(
  bytes: string,
  changes: readonly { at: number; kind: string; character: string; length: number }[],
): string {
  let mutated = bytes;
  for (const { at, kind, character, length } of changes) {
    const index = Math.floor(at * mutated.length);
    const before = mutated.slice(0, index);
    const piece = mutated.slice(index, index + length);
    if (kind === 'replace') mutated = before + character + mutated.slice(index + 1);
    else if (kind === 'insert') mutated = before + character + mutated.slice(index);
    else if (kind === 'delete') mutated = before + mutated.slice(index + length);
    else mutated = before + piece + mutated.slice(index);
  }
  return mutated;
}

/** What one client sends over one connection: requests, well-formed or not, and in how many pieces. */
const script = fc
  .record({
    requests: fc.array(request, { minLength: 1, maxLength: 3 }),
    changes: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(mutation, { maxLength: 3 }) },
    ),
    pieces: fc.oneof(
      { weight: 3, arbitrary: fc.constant(1) },
      { weight: 1, arbitrary: fc.integer({ min: 2, max: 5 }) },
    ),
  })
  .map(({ requests, changes, pieces }) => ({ bytes: mutate(requests.join(''), changes), pieces }));

/** Sends all of it, shuts its side, and reads until the gateway shuts its own. */
async function converse(bytes: string, pieces: number): Promise<string> {
  const client = await RawClient.connect(stage.gateway.url);
  const size = Math.ceil(bytes.length / pieces) || 1;
  for (let at = 0; at < bytes.length; at += size) {
    client.write(bytes.slice(at, at + size));
    if (pieces > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  client.socket.end();
  return client.end();
}

/** All but `connection`, of which each hop has one of its own. */
const hopByHop = /^(keep-alive|proxy-connection|proxy-authorization|te|trailer|upgrade|expect)$/;

/** What must hold of every request that a service gets, whoever asked. */
function expectSound(received: StrictRequest): void {
  const { target: url, fields } = received;
  expect(url).toMatch(/^\/p(?:[/?]|$)/);
  const question = url.indexOf('?');
  const decoded = decodeURIComponent(question < 0 ? url : url.slice(0, question));
  expect(decoded.split(/[/\\]/).filter((segment) => /^\.{1,2}(?:;|$)/.test(segment))).toEqual([]);
  expect(valuesOf(received, 'host')).toEqual([new URL(stage.service.url).host]);
  const present = fields.map(([name]) => name);
  expect(present.filter((name) => hopByHop.test(name))).toEqual([]);
  expect(valuesOf(received, 'connection').filter((value) => !/^(keep-alive|close)$/i.test(value))).toEqual([]);
  expect(present.filter((name) => /^(authorization|cookie|x_.*)$/.test(name))).toEqual([]);
  expect(valuesOf(received, 'x-weir-consumer')).toEqual(['anonymous']);
  expect(valuesOf(received, 'x-weir-tier')).toEqual(['anonymous']);
  expect(valuesOf(received, 'x-forwarded-for')).toEqual(['127.0.0.1']);
  expect(valuesOf(received, 'forwarded').join('')).not.toContain('6.6.6.6');
  // RFC 9110 §7.6.3: the version in which it was received.
  expect(valuesOf(received, 'via').every((via) => /1\.[01] weir$/.test(via))).toBe(true);
  for (const once of ['x-request-id', 'traceparent', 'x-b3-traceid', 'via', 'forwarded'])
    expect(valuesOf(received, once)).toHaveLength(1);
  // HTTP/1.0 may have none.
  expect(valuesOf(received, 'x-forwarded-host').length).toBeLessThanOrEqual(1);
}

describe('Whatever bytes a client sends', () => {
  test(
    'get whole answers or none, and what of them reaches a service is sound, single and no more than was sent',
    { timeout: Number(limitMs) + 30_000 },
    async () => {
      const met = new Set<number>();
      await fc.assert(
        fc.asyncProperty(script, async ({ bytes, pieces }) => {
          const { requests, problems } = stage.service;
          const before = requests.length;
          const text = await converse(bytes, pieces);
          // An answer is whole, or the last, broken off by the end of the connection.
          const answers = readAnswers(text);
          for (const { status } of answers) met.add(status);
          const reached = requests.slice(before);
          for (const each of reached) expectSound(each);
          expect(problems).toEqual([]);
          // Every request has a line of its own; what a body holds is none.
          const lines = bytes.match(/(?:HTTP|RTSP)\/\d\.\d/g)?.length ?? 0;
          expect(reached.length).toBeLessThanOrEqual(lines);
          expect(answers.length).toBeLessThanOrEqual(lines + 1);
        }),
        settingsFor(Number(limitMs)),
      );
      // It was about something.
      expect([...met]).toEqual(expect.arrayContaining([200, 400, 404]));
    },
  );

  test(
    'a body stays a body: nothing in it is ever taken for a request',
    { timeout: Number(limitMs) + 30_000 },
    async () => {
      const decoy = 'GET /p/decoy HTTP/1.1\r\nHost: x\r\n\r\n';
      const filling = fc
        .array(fc.oneof(fc.constant(decoy), hostile(8), fc.constant('0\r\n\r\n')), { maxLength: 5 })
        .map((all) => all.join(''));
      const sized = filling.map((text) => ({ text, bytes: `Content-Length: ${text.length}\r\n\r\n${text}` }));
      const inChunks = fc.array(filling, { maxLength: 3 }).map((parts) => ({
        text: parts.join(''),
        bytes: `Transfer-Encoding: chunked\r\n\r\n${parts
          .filter((part) => part !== '')
          .map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
          .join('')}0\r\n\r\n`,
      }));
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ framing: fc.oneof(sized, inChunks), to: pick('/p/real', '/none', '/p/../x') }), {
            minLength: 1,
            maxLength: 4,
          }),
          fc.integer({ min: 1, max: 6 }),
          async (all, pieces) => {
            const { requests } = stage.service;
            const before = requests.length;
            const bytes = all.map(({ framing, to }) => `POST ${to} HTTP/1.1\r\nHost: x\r\n${framing.bytes}`).join('');
            const answers = readAnswers(await converse(bytes, pieces));
            const refused = all.findIndex(({ to }) => to === '/p/../x');
            const served = refused < 0 ? all : all.slice(0, refused);
            expect(answers.map(({ status }) => status)).toEqual([
              ...served.map(({ to }) => (to === '/none' ? 404 : 200)),
              ...(refused < 0 ? [] : [400]),
            ]);
            expect(requests.slice(before).map(({ target: url, body }) => [url, body])).toEqual(
              served.filter(({ to }) => to === '/p/real').map(({ framing: { text } }) => ['/p/real', text]),
            );
          },
        ),
        settingsFor(Number(limitMs) / 2),
      );
    },
  );

  test('leaves a gateway that serves as before, with nothing in flight', async () => {
    expect((await send(`${stage.gateway.url}/p/alive`)).text).toBe('ok');
    await until(async () => {
      const { text } = await send(`${stage.gateway.adminUrl}/metrics`);
      const counts = [
        ...text.matchAll(
          /^(?:http_server_active_requests|weir_server_connections|weir_upstream_active_calls)\S* (\S+)$/gm,
        ),
      ];
      return counts.length > 0 && counts.every(([, count]) => count === '0');
    });
    expect(stage.gateway.log.filter(({ level, error }) => level === 'error' || error === 'INTERNAL')).toEqual([]);
  });
});
