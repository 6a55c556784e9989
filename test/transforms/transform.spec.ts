import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { raw, send, settle, type Sending } from '../support/raw-client.ts';
import { startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';
import { createProject } from '../cli/project.ts';

let upstream: TestUpstream;
let gateway: TestGateway;
let answer: Handler;

/** Answers with JSON. */
const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Handler =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };

const things = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ thing_name: `t${index}`, size_mm: '7' }));

beforeAll(async () => {
  upstream = await startUpstream((request, response, body) => answer(request, response, body));
  gateway = await startGateway(
    {
      upstreams: { things: { endpoints: [upstream.url], maxResponseBytes: '4KiB', retry: { attempts: 0 } } },
      routes: [
        {
          path: '/v2/things{/*rest}',
          upstream: 'things',
          rewrite: '/things{/*rest}',
          transform: 'things-v2-to-v1',
          maxBodyBytes: '100KiB',
        },
        { path: '/v1/things{/*rest}', upstream: 'things', rewrite: '/things{/*rest}' },
        {
          path: '/standing{/*rest}',
          upstream: 'things',
          rewrite: '/things{/*rest}',
          transform: 'things-v2-to-v1',
          fallback: { status: 200, body: { name: 'stand-in' } },
        },
      ],
    },
    { modules: 'test/fixtures/versioned' },
  );
});

beforeEach(() => {
  upstream.requests.length = 0;
  answer = json(200, { thing_name: 'box', size_mm: '12' });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const ask = (path: string, sending?: Sending) => send(`${gateway.url}${path}`, sending);
const post = (body: unknown, headers: Record<string, string> = {}) =>
  ask('/v2/things', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

describe('What fails in a transform', () => {
  test.each([
    ['request', () => post({ name: 'crash' })],
    [
      'response',
      () => {
        answer = json(200, { thing_name: 'crash' });
        return ask('/v2/things/1');
      },
    ],
  ])('is 502 TRANSFORM_FAILED when the %s throws, and only the log names the transform', async (half, act) => {
    const { status, headers, text, json: read } = await act();
    expect([status, headers['content-type']]).toEqual([502, 'application/problem+json']);
    expect(read()).toMatchObject({ code: 'TRANSFORM_FAILED', upstream: 'things' });
    expect(text).not.toMatch(/things-v2-to-v1|secret|crash/);
    const line = await gateway.accessOf(String(headers['x-request-id']));
    expect(line.cause).toMatch(new RegExp(`transform 'things-v2-to-v1' failed on the ${half}.*secret`, 's'));
    await untilIdle(gateway);
  });

  test('reaches no upstream when it is the request', async () => {
    await post({ name: 'crash' });
    expect(upstream.requests).toEqual([]);
  });

  test('is a failure for which a fallback stands in', async () => {
    answer = json(200, { thing_name: 'crash' });
    const { status, json: read } = await ask('/standing/1');
    expect([status, read()]).toEqual([200, { name: 'stand-in' }]);
  });

  test('an answer larger than maxResponseBytes is 502 UPSTREAM_RESPONSE_TOO_LARGE, with or without a length', async () => {
    for (const chunked of [false, true]) {
      answer = (_request, response) => {
        const body = JSON.stringify({ things: things(1_000) });
        response.writeHead(200, {
          'content-type': 'application/json',
          ...(!chunked && { 'content-length': body.length }),
        });
        response.end(body);
      };
      const { status, json: read } = await ask('/v2/things');
      expect([status, read().code]).toEqual([502, 'UPSTREAM_RESPONSE_TOO_LARGE']);
      await untilIdle(gateway);
    }
  });

  test('an answer that says it is JSON and is none is 502 UPSTREAM_BAD_RESPONSE', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"thing_name": ');
    };
    const { status, json: read } = await ask('/v2/things/1');
    expect([status, read().code]).toEqual([502, 'UPSTREAM_BAD_RESPONSE']);
  });
});

describe('What a client of the new version sends wrongly', () => {
  test('a body that does not fit its document is 400 with a JSON pointer, and reaches nobody', async () => {
    const { status, json: read } = await post({ name: 7 });
    expect(status).toBe(400);
    expect(read()).toMatchObject({ code: 'BAD_REQUEST', errors: [{ pointer: '/name', detail: 'expected string' }] });
    expect((await post({})).json()).toMatchObject({ errors: [{ pointer: '/name' }] });
    expect(upstream.requests).toEqual([]);
  });

  test('a body that is no JSON is 400, one of another type 415, none at all 400, one beyond maxBodyBytes 413', async () => {
    expect((await post('{"name"')).status).toBe(400);
    expect((await post('name=box', { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(415);
    expect((await ask('/v2/things', { method: 'POST' })).status).toBe(400);
    expect((await post({ name: 'x'.repeat(200_000) })).status).toBe(413);
    expect(upstream.requests).toEqual([]);
  });

  test('a path that the version does not have is 404, a method 405 with Allow, a WebSocket 426', async () => {
    expect((await ask('/v2/things/1/parts')).json()).toMatchObject({ code: 'ROUTE_NOT_FOUND' });
    const { status, headers } = await ask('/v2/things/1', { method: 'DELETE' });
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD']);
    const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
    const key = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
    expect((await ask('/v2/things/live', { headers: { ...upgrade, ...key } })).status).toBe(426);
    expect(upstream.requests).toEqual([]);
  });
});

describe('A transform on a route', () => {
  test('maps path, query, header and body, and the answer back', async () => {
    answer = json(201, { thing_name: 'box', size_mm: '12' });
    const made = await post({ name: 'box', size: 12 }, { 'x-old': 'gone', 'x-kept': 'yes' });
    expect([made.status, made.json(), made.headers['x-version']]).toEqual([201, { name: 'box', size: 12 }, 'v2']);
    expect(made.headers['content-length']).toBe(String(made.body.length));
    const [sent] = upstream.requests;
    expect([sent!.url, JSON.parse(sent!.body)]).toEqual(['/things', { thing_name: 'box', size_mm: '12' }]);
    expect(sent!.headers).toMatchObject({
      'x-made-by': 'v2',
      'x-kept': 'yes',
      'content-type': 'application/json',
      'content-length': String(sent!.body.length),
    });
    expect(sent!.headers).not.toHaveProperty('x-old');
    answer = json(200, { things: things(2) });
    const list = await ask('/v2/things?id=a%2Cb&id=c+d&first=2');
    expect(list.json()).toEqual({
      items: [
        { name: 't0', size: 7 },
        { name: 't1', size: 7 },
      ],
    });
    expect(upstream.requests[1]!.url).toBe('/things?ids=a%2Cb,c%20d&limit=2');
    await ask('/v2/things/a%2Fb');
    expect(upstream.requests[2]!.url).toBe('/things/a%2Fb');
  });

  test('brings errors of the service back too, and leaves statuses alone of which no document speaks', async () => {
    answer = json(409, { title: 'It is there' }, { 'content-type': 'application/problem+json' });
    const known = await post({ name: 'box' });
    expect([known.status, known.headers['content-type'], known.json()]).toEqual([
      409,
      'application/problem+json',
      { title: 'It is there' },
    ]);
    answer = json(418, { teapot: true });
    const unknown = await ask('/v2/things/1');
    expect([unknown.status, unknown.json()]).toEqual([418, { teapot: true }]);
    answer = (_request, response) => {
      response.writeHead(404, { 'content-type': 'text/html' });
      response.end('<h1>nothing</h1>');
    };
    expect((await ask('/v2/things/1')).text).toBe('<h1>nothing</h1>');
  });

  test('gives each version its own entity tags, so that no 304 answers for the other (RFC 9110 §8.8.3)', async () => {
    answer = (request, response) => {
      if (request.headers['if-none-match'] === '"abc"') response.writeHead(304, { etag: '"abc"' }).end();
      else json(200, { thing_name: 'box' }, { etag: '"abc"' })(request, response, '');
    };
    expect((await ask('/v1/things/1')).headers.etag).toBe('"abc"');
    const { headers } = await ask('/v2/things/1');
    expect(headers.etag).toBe('"abc-v2"');
    const current = await ask('/v2/things/1', { headers: { 'if-none-match': '"abc-v2"' } });
    expect([current.status, current.headers.etag]).toEqual([304, '"abc-v2"']);
    expect((await ask('/v2/things/1', { headers: { 'if-none-match': '"abc"' } })).status).toBe(200);
  });

  test('drops what spoke of the bytes: a range of them, their digest, their length on HEAD', async () => {
    answer = json(
      200,
      { thing_name: 'box', size_mm: '12' },
      { 'content-digest': 'sha-256=:x:', 'accept-ranges': 'bytes' },
    );
    const { headers } = await ask('/v2/things/1', { headers: { range: 'bytes=0-3' } });
    expect(upstream.requests[0]!.headers).not.toHaveProperty('range');
    expect(headers).not.toHaveProperty('content-digest');
    expect(headers).not.toHaveProperty('accept-ranges');
    const head = await ask('/v2/things/1', { method: 'HEAD' });
    expect([head.status, head.body.length, head.headers['content-length']]).toEqual([200, 0, undefined]);
    expect(upstream.requests[1]!.method).toBe('HEAD');
  });

  test('brings an event stream back event by event', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('id: 1\nevent: thing\ndata: {"thing_name":"a"}\n\nid: 2\nda');
      response.end('ta: {"thing_name":"b","size_mm":"3"}\n\n');
    };
    const { text } = await ask('/v2/things/1', { headers: { accept: 'text/event-stream' } });
    expect(text.replaceAll(':\n\n', '')).toBe(
      'id: 1\nevent: thing\ndata: {"name":"a"}\n\nid: 2\ndata: {"name":"b","size":3}\n\n',
    );
  });

  test('stands above what shares reads: one call answers clients of both versions', async () => {
    let release = () => {};
    answer = (request, response) => {
      release = () => json(200, { thing_name: 'box', size_mm: '12' })(request, response, '');
    };
    const both = [ask('/v1/things/1'), ask('/v2/things/1')];
    await expect.poll(() => upstream.requests.length).toBe(1);
    // The second has to have joined by then; there is nothing outside to see it by.
    await expect.poll(() => gateway.gateway.assembly.upstreams.get('things')!.inFlight).toBe(1);
    await settle();
    release();
    const [v1, v2] = await Promise.all(both);
    expect([v1!.json(), v2!.json()]).toEqual([
      { thing_name: 'box', size_mm: '12' },
      { name: 'box', size: 12 },
    ]);
    expect(upstream.requests).toHaveLength(1);
  });

  test('a pipelined request after it finds the connection in order', async () => {
    const text = await raw(
      gateway.url,
      [
        'GET /v2/things/1 HTTP/1.1\r\nhost: a\r\n\r\n',
        'GET /v1/things/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
      ].join(''),
    );
    expect(text).toMatch(/\{"name":"box","size":12\}HTTP\/1\.1 200 OK.*\{"thing_name"/s);
  });
});

test('A transform that no module defines is a boot error, which names those there are', async () => {
  const config = {
    upstreams: { things: { endpoints: ['http://127.0.0.1:9'] } },
    routes: [{ path: '/v2/things', upstream: 'things', transform: 'things-v3-to-v1' }],
  };
  await expect(startGateway(config, { modules: 'test/fixtures/versioned' })).rejects.toThrow(
    /names the transform 'things-v3-to-v1', which no module defines.*there is things-v2-to-v1/s,
  );
  const { status, stderr } = await createProject({ 'gateway.yaml': JSON.stringify(config) }).weir('check');
  expect([status, stderr]).toEqual([1, expect.stringContaining('there is none')]);
});
