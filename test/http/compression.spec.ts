import { once } from 'node:events';
import { Agent, type IncomingMessage, type ServerResponse } from 'node:http';
import { resolve } from 'node:path';
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { acceptable } from '#policies/compression/accept-encoding.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { begin, raw, send, type Answer, type Sending } from '../support/raw-client.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

const text = JSON.stringify(Array.from({ length: 200 }, (_, id) => ({ id, name: `thing ${id}` })));
const json = { 'content-type': 'application/json' };
const sized = { ...json, 'content-length': String(text.length) };

type Serve = (request: IncomingMessage, response: ServerResponse) => void;
const serve = new Map<string, Serve>();
let asked: IncomingMessage['headers'] = {};
let upstream: TestServer;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startServer((request, response) => {
    asked = request.headers;
    const path = request.url!.split('?', 1)[0]!.replace('/off', '').replace('/own', '');
    (serve.get(path) ?? ((_, answer) => answer.writeHead(200, sized).end(text)))(request, response);
  });
  gateway = await startGateway(
    {
      upstreams: { service: { endpoints: [upstream.url], retry: { attempts: 0 } } },
      routes: [
        { path: '/off{/*rest}', upstream: 'service', compression: 'off' },
        {
          path: '/own{/*rest}',
          upstream: 'service',
          compression: { minBytes: '0B', algorithms: ['gzip'], types: ['image/*'], level: { gzip: 1 } },
        },
        { path: '/{*rest}', upstream: 'service' },
      ],
      graphql: { maxTokens: 200 },
    },
    { modules: resolve(import.meta.dirname, '../fixtures/graphql') },
  );
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const get = (path: string, accept: string | undefined = 'gzip', sending: Sending = {}): Promise<Answer> =>
  send(`${gateway.url}${path}`, {
    ...sending,
    headers: { ...(accept !== '' && { 'accept-encoding': accept }), ...sending.headers },
  });

/** An upstream's answer with these headers, of as many bytes as `text` unless said. */
function answering(path: string, headers: Record<string, string>, body: string | Buffer = text, status = 200): string {
  serve.set(path, (_, response) => response.writeHead(status, headers).end(body));
  return path;
}

const coding = ({ headers }: Answer) => headers['content-encoding'];

describe('An answer is compressed for whoever asks for it (RFC 9110 §12.5.3)', () => {
  test.each([
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
    ['gzip', gunzipSync],
  ] as const)('%s: the bytes are the same once it is taken off again', async (name, decompress) => {
    const answer = await get('/a', name);
    expect([answer.status, coding(answer)]).toEqual([200, name]);
    expect(decompress(answer.body).toString()).toBe(text);
    expect(answer.body.length).toBeLessThan(text.length / 2);
    expect(answer.headers).not.toHaveProperty('content-length');
    expect(answer.headers.vary).toBe('Accept-Encoding');
  });

  test('and nobody else, who is told apart by caches all the same (RFC 9110 §12.5.5)', async () => {
    for (const accept of ['', 'identity', 'deflate', 'gzip;q=0', '*;q=0']) {
      const answer = await get('/a', accept);
      expect([coding(answer), answer.text, answer.headers.vary]).toEqual([undefined, text, 'Accept-Encoding']);
      expect(answer.headers['content-length']).toBe(String(text.length));
    }
  });

  test('upstreams are asked for plain content, whoever asks', async () => {
    await get('/a', 'br');
    expect(asked['accept-encoding']).toBe('identity');
  });

  test.each([
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['gzip, br', 'br'],
    ['gzip;q=1, br;q=0.5', 'gzip'],
    ['br; q=0.8 , gzip ; Q=0.9', 'gzip'],
    ['*', 'br'],
    ['br;q=0, *', 'zstd'],
    ['*;q=0.1, gzip;q=0.5', 'gzip'],
    ['identity, gzip;q=0.5', undefined],
    ['identity;q=0.5, gzip', 'gzip'],
    ['identity;q=0, gzip', 'gzip'],
    ['gzip;q=0.000', undefined],
    ['gzip;q=2', undefined],
    ['gzip;q=x', undefined],
    ['gzip;level=9', undefined],
    ['', undefined],
    [',,;,', undefined],
    ['gzipped', undefined],
  ])('%j comes to %s', (field, expected) => {
    expect(acceptable(field, ['br', 'zstd', 'gzip']).coding).toBe(expected);
  });

  test('one who refuses plain content gets even little compressed', async () => {
    const path = answering('/little', { ...json, 'content-length': '2' }, '{}');
    expect(coding(await get(path, 'gzip'))).toBeUndefined();
    const answer = await get(path, 'gzip, identity;q=0');
    expect([coding(answer), gunzipSync(answer.body).toString()]).toEqual(['gzip', '{}']);
  });
});

describe('Left as it is', () => {
  test.each([
    ['less than minBytes', { ...json, 'content-length': '100' }, 'x'.repeat(100), undefined],
    ['no content', { ...json, 'content-length': '0' }, '', undefined],
    ['a type that compressing makes no smaller', { 'content-type': 'image/png' }, text, undefined],
    ['content without a type', {}, text, undefined],
    ['what is compressed already', { ...json, 'content-encoding': 'br' }, text, 'br'],
    [
      'what says no-transform (RFC 9111 §5.2.2.6)',
      { ...json, 'cache-control': 'public, No-Transform' },
      text,
      undefined,
    ],
    ['what has a digest of its bytes (RFC 9530 §2)', { ...json, 'content-digest': 'sha-256=:x:' }, text, undefined],
  ])('%s', async (name, headers, body, expected) => {
    const path = answering(`/as-it-is/${encodeURIComponent(name)}`, { etag: '"a"', ...headers }, body);
    const answer = await get(path);
    expect([coding(answer), answer.text, answer.headers.etag]).toEqual([expected, body, '"a"']);
  });

  test('for who says no-transform (RFC 9111 §5.2.1.6)', async () => {
    const answer = await get('/a', 'gzip', { headers: { 'cache-control': 'no-transform' } });
    expect([coding(answer), answer.text]).toEqual([undefined, text]);
  });

  test('a part of a content (RFC 9110 §14): its range is one of the plain bytes', async () => {
    const path = answering(
      '/part',
      { ...json, 'content-range': `bytes 0-${text.length - 1}/9999`, etag: '"a"' },
      text,
      206,
    );
    const answer = await get(path, 'gzip', { headers: { range: `bytes=0-${text.length - 1}` } });
    expect([answer.status, coding(answer), answer.text, answer.headers.etag]).toEqual([206, undefined, text, '"a"']);
  });

  test('for HTTP/1.0, to which a body that broke off would look whole', async () => {
    const answer = await raw(gateway.url, 'GET /a HTTP/1.0', 'Host: a', 'Accept-Encoding: gzip');
    expect(answer).toContain(text);
    expect(answer.toLowerCase()).not.toContain('content-encoding');
  });

  test('on a route that says off: its length would give a secret away (BREACH)', async () => {
    const answer = await get('/off/a');
    expect([coding(answer), answer.text, answer.headers.vary]).toEqual([undefined, text, undefined]);
  });
});

describe('What speaks of bytes does not survive their change', () => {
  const validated = { ...sized, etag: '"v1"', 'accept-ranges': 'bytes' };

  test('a strong validator is weakened, a weak one stays (RFC 9110 §8.8.1); ranges are offered no more', async () => {
    const strong = await get(answering('/strong', validated));
    expect([strong.headers.etag, strong.headers['accept-ranges']]).toEqual(['W/"v1"', undefined]);
    const weak = await get(answering('/weak', { ...sized, etag: 'W/"v1"' }));
    expect(weak.headers.etag).toBe('W/"v1"');
    const asItIs = await get('/strong', '');
    expect([asItIs.headers.etag, asItIs.headers['accept-ranges']]).toEqual(['"v1"', 'bytes']);
  });

  test('who revalidates the compressed answer is told of that one (RFC 9111 §4.3.4)', async () => {
    serve.set('/cond', (_, response) => response.writeHead(304, { etag: '"v1"' }).end());
    const answer = await get('/cond', 'gzip', { headers: { 'if-none-match': 'W/"v1"' } });
    expect([answer.status, answer.headers.etag, answer.headers.vary]).toEqual([304, 'W/"v1"', 'Accept-Encoding']);
    const strong = await get('/cond', 'gzip', { headers: { 'if-none-match': '"v1"' } });
    expect([strong.status, strong.headers.etag]).toEqual([304, '"v1"']);
  });

  test('HEAD is answered with the head of GET (RFC 9110 §9.3.2)', async () => {
    answering('/headed', validated);
    const [one, other] = [await get('/headed', 'br'), await get('/headed', 'br', { method: 'HEAD' })];
    const head = ({ headers }: Answer) => {
      const ofOne = new Set(['date', 'traceparent', 'x-request-id', 'transfer-encoding', 'connection']);
      return Object.fromEntries(Object.entries(headers).filter(([name]) => !ofOne.has(name)));
    };
    expect(head(other)).toEqual(head(one));
    expect(other.body.length).toBe(0);
  });

  test('a field that varies already says so once', async () => {
    const vary = async (value: string) => (await get(answering('/vary', { ...sized, vary: value }))).headers.vary;
    expect(await vary('Accept-Language')).toBe('Accept-Language, Accept-Encoding');
    expect(await vary('accept-encoding, Accept')).toBe('accept-encoding, Accept');
    expect(await vary('*')).toBe('*');
  });
});

describe('A stream', () => {
  const decoders = { gzip: createGunzip, br: createBrotliDecompress, zstd: createZstdDecompress };

  /** Reads as it comes. */
  async function reading(path: string, accept: keyof typeof decoders) {
    const request = begin(`${gateway.url}${path}`, { headers: { 'accept-encoding': accept } });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const state = { text: '', response, request };
    response.pipe(decoders[accept]()).on('data', (chunk: Buffer) => (state.text += chunk.toString()));
    return state;
  }

  test.each(['gzip', 'br', 'zstd'] as const)('of events goes out event by event: %s', async (accept) => {
    let next: (text: string) => void = () => {};
    serve.set('/events', (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      next = (event) => void response.write(event);
      next('data: 1\n\n');
      response.on('close', () => response.end());
    });
    const state = await reading('/events', accept);
    expect(state.response.headers['content-encoding']).toBe(accept);
    await vi.waitFor(() => expect(state.text).toBe('data: 1\n\n'));
    next('data: 2\n\n');
    await vi.waitFor(() => expect(state.text).toBe('data: 1\n\ndata: 2\n\n'));
    state.request.destroy();
    await untilIdle(gateway);
  });

  test('of anything else goes out when it pauses', async () => {
    let end = () => {};
    serve.set('/pausing', (_, response) => {
      response.writeHead(200, json).write('[1,');
      end = () => response.end('2]');
    });
    const state = await reading('/pausing', 'gzip');
    await vi.waitFor(() => expect(state.text).toBe('[1,'));
    end();
    await vi.waitFor(() => expect(state.text).toBe('[1,2]'));
  });

  test('of events prefers the coding that holds least memory, among equals', async () => {
    serve.set('/one', (_, response) =>
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: 1\n\n'),
    );
    expect(coding(await get('/one', 'br, gzip'))).toBe('gzip');
    expect(coding(await get('/one', 'br, gzip;q=0.5'))).toBe('br');
  });

  test('keeps its trailers (RFC 9110 §6.5)', async () => {
    serve.set('/trailing', (_, response) => {
      response.writeHead(200, { ...json, trailer: 'x-sum' });
      response.addTrailers({ 'x-sum': '42' });
      response.end(text);
    });
    const answer = await get('/trailing');
    expect([gunzipSync(answer.body).toString(), answer.trailers['x-sum']]).toEqual([text, '42']);
  });

  test('that breaks off does not look whole', async () => {
    serve.set('/broken', (_, response) => {
      response.writeHead(200, { ...json, 'content-length': '100000' }).write(text, () => response.destroy());
    });
    await expect(get('/broken')).rejects.toThrow(/aborted|not complete|hang up/);
  });

  test.each(['gzip', 'br', 'zstd'] as const)('that breaks off gives what came before the break: %s', async (accept) => {
    serve.set('/cut', (_, response) => {
      // Both at once: the encoder works in a thread of its own and has nothing to show yet when the upstream is gone.
      response.writeHead(200, json).write('[1,', () => response.destroy());
    });
    const state = await reading('/cut', accept);
    if (!state.response.destroyed) await once(state.response, 'close').catch(() => {});
    await vi.waitFor(() => expect(state.text).toBe('[1,'));
    expect(state.response.complete).toBe(false);
    await untilIdle(gateway);
  });

  test('waits for a client that reads slowly, and ends with it', async () => {
    let written = 0;
    let gone = false;
    const noise = Buffer.alloc(64 * 1024, 0).map(() => Math.random() * 256);
    serve.set('/endless', (_, response) => {
      response.writeHead(200, json);
      response.on('close', () => (gone = true));
      const more = () => {
        if (gone) return;
        written += noise.length;
        if (response.write(noise)) setImmediate(more);
        else response.once('drain', more);
      };
      more();
    });
    const agent = new Agent();
    const request = begin(`${gateway.url}/endless`, { headers: { 'accept-encoding': 'gzip' }, agent });
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.pause();
    let before = -1;
    await expect
      .poll(
        () => {
          const still = written > 0 && written === before;
          before = written;
          return still;
        },
        { interval: 200, timeout: 10_000 },
      )
      .toBe(true);
    // Buffers of sockets on the way, and no more.
    expect(written).toBeLessThan(64 * 1024 * 1024);
    request.destroy();
    await vi.waitFor(() => expect(gone).toBe(true));
    await untilIdle(gateway);
  });

  test('that is long is compressed as it goes', async () => {
    const long = text.repeat(400);
    const answer = await get(answering('/long', json, long), 'br');
    expect(brotliDecompressSync(answer.body).toString()).toBe(long);
    expect((await gateway.accessOf(String(answer.headers['x-request-id']))).responseBytes).toBe(answer.body.length);
  });
});

describe('Answers of the gateway itself', () => {
  const operation = (query: string, accept = 'gzip') =>
    send(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'accept-encoding': accept },
      body: JSON.stringify({ query }),
    });

  test('to GraphQL are compressed, results and errors', async () => {
    const schema = await operation('{ __schema { types { name description fields { name description } } } }', 'br');
    expect([schema.status, coding(schema)]).toEqual([200, 'br']);
    expect(JSON.parse(brotliDecompressSync(schema.body).toString())).toHaveProperty('data.__schema.types');
    const refused = await operation(`{ nothing${'x'.repeat(1500)} }`);
    expect(coding(refused)).toBe('gzip');
    expect(JSON.parse(gunzipSync(refused.body).toString())).toHaveProperty('errors');
    const little = await operation('{ __typename }');
    expect([coding(little), little.headers.vary]).toEqual([undefined, 'Accept']);
  });

  test('GraphiQL is compressed once, with a validator for each coding (RFC 9110 §8.8.3.3)', async () => {
    const page = (accept: string, headers = {}) =>
      get('/graphql', accept, { headers: { accept: 'text/html', ...headers } });
    const plain = await page('');
    const zipped = await page('gzip');
    expect([coding(plain), coding(zipped), coding(await page('br, gzip'))]).toEqual([undefined, 'gzip', 'br']);
    expect(gunzipSync(zipped.body).equals(plain.body)).toBe(true);
    expect(zipped.headers.etag).not.toBe(plain.headers.etag);
    expect(zipped.headers.vary).toBe('Accept, Accept-Encoding');
    const again = await page('gzip', { 'if-none-match': String(zipped.headers.etag) });
    expect([again.status, again.headers.etag]).toEqual([304, zipped.headers.etag]);
  });

  test('that are errors below minBytes stay as they are', async () => {
    const answer = await get('/a', 'gzip', { method: 'POST', headers: { 'content-length': String(10 ** 9) } });
    expect([answer.status, coding(answer)]).toEqual([413, undefined]);
    expect(answer.json()).toHaveProperty('code', 'BODY_TOO_LARGE');
  });
});

describe('Settings', () => {
  test('of a route stand in for those of all, key by key', async () => {
    expect(coding(await get('/own/a', 'gzip'))).toBeUndefined();
    serve.set('/image', (_, response) => response.writeHead(200, { 'content-type': 'image/x' }).end('x'));
    expect(coding(await get('/own/image', 'br, gzip'))).toBe('gzip');
    expect(coding(await get('/image', 'br, gzip'))).toBeUndefined();
  });

  test('off leaves everything as it is', async () => {
    const off = await startGateway({
      upstreams: { service: { endpoints: [upstream.url] } },
      routes: [{ path: '/a', upstream: 'service' }],
      compression: 'off',
    });
    try {
      const answer = await send(`${off.url}/a`, { headers: { 'accept-encoding': 'gzip' } });
      expect([coding(answer), answer.headers.vary]).toEqual([undefined, undefined]);
    } finally {
      await off.stop();
    }
  });

  test.each([
    ['{ minBytes: 1024 }', 'compression.minBytes'],
    ['{ level: { br: 11 } }', 'compression.level.br'],
    ['{ algorithms: [deflate] }', 'compression.algorithms[0]'],
    ['{ algorithms: [] }', 'compression.algorithms'],
    ['{ types: [json] }', 'compression.types[0]'],
    ['on', 'compression'],
  ])('that are wrong are refused with their place: %s', async (yaml, path) => {
    const starting = startGateway(`compression: ${yaml}\n`);
    await expect(starting).rejects.toThrow(` ${path}: `);
    await expect(starting).rejects.toThrow(/test\.yaml:\d+:\d+/);
  });
});
