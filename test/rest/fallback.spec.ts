import { once } from 'node:events';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WeirError } from '#core/errors.ts';
import type { Reply } from '#core/reply.ts';
import { fallbackSchema } from '#gateway/rest/fallback-settings.ts';
import { Fallback, sendWithFallback } from '#gateway/rest/fallback.ts';
import { newCall, type ResponseSink } from '#upstreams/call.ts';
import { problemsOf } from '../config/problems.ts';
import { newRequest, upstreamAt } from '../modules/harness.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import {
  answerTo,
  begin,
  raw,
  RawClient,
  send,
  settle,
  until,
  type Answer,
  type Sending,
} from '../support/raw-client.ts';
import { deadUrl, startRawUpstream, startScript, startServer, type TestServer } from '../support/upstream.ts';
import { exposition } from '../telemetry/exposition.ts';

const upstream = 'upstreams: { a: { endpoints: [http://a] } }';

describe('A fallback that could not do what it says is refused', () => {
  const route = (fallback: string, more = '') =>
    problemsOf(`routes: [{ path: /a, upstream: a${more}, fallback: ${fallback} }]\n${upstream}`);

  test.each([
    ['a status that is none', '{ status: 99 }', 'status', 'expects a whole number from 200 to 599, not the number 99'],
    ['an interim status', '{ status: 103 }', 'status', 'from 200 to 599'],
    ['a status that answers a condition', '{ status: 304 }', 'status', 'answers a range or a condition'],
    [
      'content where there can be none',
      '{ status: 204, body: {} }',
      'body',
      'cannot stand in an answer of this status',
    ],
    ['a map as text', '{ body: {}, headers: { Content-Type: text/html } }', 'body', 'is sent as JSON'],
    ['a body beyond the bound', `{ body: ${'x'.repeat(65_535)} }`, 'body', 'is larger than 64KiB'],
    ['framing', '{ headers: { Content-Length: "3" } }', 'headers.Content-Length', 'is not for a fallback to set'],
    ['a hop-by-hop field', '{ headers: { connection: close } }', 'headers.connection', 'is not for a fallback to set'],
    [
      'another freshness',
      '{ headers: { cache-control: max-age=9 } }',
      'headers.cache-control',
      'is not for a fallback',
    ],
    ['an identity', '{ headers: { x-weir-tier: pro } }', 'headers.x-weir-tier', 'is not for a fallback to set'],
    ['two lines in one', '{ headers: { x-a: "a\\r\\nb: c" } }', 'headers.x-a', 'is not accepted'],
    ['a key that it does not have', '{ contentType: text/html }', 'contentType', 'is an unknown key'],
  ])('%s', (_, fallback, path, message) => {
    const [problem, ...others] = route(fallback);
    expect(others).toEqual([]);
    expect(problem!.path).toBe(`routes[0].fallback.${path}`);
    expect(`${problem!.message}; ${problem!.fix}`).toContain(message);
  });

  test('one that no method of the route may use', () => {
    expect(route('{ body: {} }', ', methods: [POST, DELETE]')).toMatchObject([
      {
        path: 'routes[0].fallback.status',
        message: 'claims that something was done, so it stands in for GET and HEAD, which methods does not name',
        fix: 'write 400 or more',
      },
    ]);
  });
});

/** What the service does with the next requests. */
type Behaviour = 'well' | 'status' | 'hang' | 'reset' | 'garbage' | 'half' | 'slow-status';

let behaviour: Behaviour = 'well';
let status = 503;
let arrived = 0;
let service: TestServer;
let gateway: TestGateway;

beforeAll(async () => {
  service = await startServer((request, response) => {
    arrived++;
    const { socket } = request;
    const cut = () => void socket.destroy();
    const answer = () => {
      response.writeHead(behaviour === 'well' ? 200 : status, { 'x-of': 'service', 'content-type': 'text/plain' });
      response.end('from the service');
    };
    if (behaviour === 'reset') socket.resetAndDestroy();
    else if (behaviour === 'garbage') socket.end('hello\r\n\r\n');
    else if (behaviour === 'half')
      response.writeHead(200, { 'content-length': '100' }).write('half', () => setTimeout(cut, 20));
    else if (behaviour === 'slow-status') setTimeout(answer, 100);
    else if (behaviour !== 'hang') answer();
  });
  const calm = {
    endpoints: [service.url],
    retry: { attempts: 0 },
    breaker: { failures: 1000 },
    attemptTimeout: '300ms',
  };
  const fallback = { body: { orders: [], stale: true }, headers: { 'Content-Language': 'en' } };
  gateway = await startGateway({
    upstreams: {
      calm,
      retried: { ...calm, retry: { attempts: 2, backoff: '1ms', budget: 10 } },
      fragile: { ...calm, breaker: { failures: 1, openFor: '60s' } },
      narrow: { ...calm, maxInFlight: 1, attemptTimeout: '60s' },
      patient: { ...calm, attemptTimeout: '60s' },
      impatient: { ...calm, idleTimeout: '200ms', attemptTimeout: '60s' },
      strict: { ...calm, breaker: { failures: 1000, on: [502] } },
      dead: { ...calm, endpoints: [await deadUrl()] },
    },
    cors: { origins: ['https://app.example'] },
    routes: [
      ...['calm', 'retried', 'fragile', 'narrow', 'patient', 'strict', 'dead'].map((name) => ({
        name,
        path: `/${name}{/*rest}`,
        upstream: name,
        fallback,
      })),
      { path: '/brief', upstream: 'patient', timeout: '150ms', fallback },
      { name: 'counted', path: '/counted', upstream: 'calm', fallback },
      { path: '/bare', upstream: 'dead' },
      {
        path: '/text',
        upstream: 'dead',
        fallback: { body: 'Try later: ä', headers: { 'content-type': 'text/plain; charset=utf-8' } },
      },
      { path: '/word', upstream: 'dead', fallback: { body: 'closed' } },
      { path: '/null', upstream: 'dead', fallback: { body: null } },
      { path: '/nothing', upstream: 'dead', fallback: { status: 204 } },
      { path: '/empty', upstream: 'dead', fallback: {} },
      {
        path: '/elsewhere',
        upstream: 'dead',
        fallback: { status: 302, headers: { location: 'https://status.example/' } },
      },
      {
        path: '/problem',
        upstream: 'dead',
        methods: ['GET', 'POST', 'PUT'],
        fallback: { status: 503, body: { code: 'CLOSED' }, headers: { 'content-type': 'application/problem+json' } },
      },
      {
        path: '/small',
        upstream: 'impatient',
        methods: ['POST'],
        maxBodyBytes: '5B',
        fallback: { status: 503, body: {} },
      },
      { path: '/unnamed', upstream: 'dead', fallback: { status: 503, body: {} } },
      { path: '/waits', upstream: 'fragile', fallback: { status: 503, body: {} } },
      {
        path: '/waits-more',
        upstream: 'fragile',
        fallback: { status: 503, body: {}, headers: { 'retry-after': '900' } },
      },
    ],
  });
});

afterEach(async () => {
  behaviour = 'well';
  status = 503;
  await untilIdle(gateway);
});

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

const ask = (path: string, sending?: Sending) => send(`${gateway.url}${path}`, sending);
const accessOf = (answer: Answer) => gateway.accessOf(String(answer.headers['x-request-id']));

/** How often the fallback of a route has stood in. */
async function served(route: string): Promise<number> {
  const { text } = await send(`${gateway.adminUrl}/metrics`);
  const samples = exposition(text).get('weir_fallbacks_total')?.samples ?? [];
  return samples.find(({ labels }) => labels['http_route'] === route)?.value ?? 0;
}

function expectFallback(answer: Answer, proxyStatus: string): void {
  expect([answer.status, answer.text]).toEqual([200, '{"orders":[],"stale":true}']);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/json',
    'content-length': '26',
    'content-language': 'en',
    'cache-control': 'no-store',
    'proxy-status': `weir; ${proxyStatus}; details="fallback"`,
  });
  expect(answer.headers).not.toHaveProperty('x-of');
}

describe("A route's fallback stands in where its upstream fails, and Proxy-Status says for what (RFC 9209)", () => {
  test('nobody listens', async () => {
    expectFallback(await ask('/dead'), 'error=destination_unavailable');
  });

  test.each([
    ['it hangs up', 'reset', 'error=destination_unavailable'],
    ['it speaks no HTTP', 'garbage', 'error=http_protocol_error'],
    ['no attempt is answered in time', 'hang', 'error=http_response_timeout'],
  ] as const)('%s', async (_, what, proxyStatus) => {
    behaviour = what;
    expectFallback(await ask('/calm'), proxyStatus);
  });

  test("the route's own time is over", async () => {
    behaviour = 'hang';
    const answer = await ask('/brief');
    expectFallback(answer, 'error=http_response_timeout');
    expect(await accessOf(answer)).toMatchObject({ error: 'DEADLINE_EXCEEDED', fallback: true });
  });

  test('its breaker is open', async () => {
    behaviour = 'reset';
    await ask('/fragile');
    const before = arrived;
    expectFallback(await ask('/fragile'), 'error=destination_unavailable');
    expect(arrived).toBe(before);
  });

  test('its bulkhead is full', async () => {
    behaviour = 'hang';
    const first = begin(`${gateway.url}/narrow/1`).end();
    first.on('error', () => {});
    await until(() => gateway.gateway.assembly.upstreams.get('narrow')!.inFlight === 1);
    expectFallback(await ask('/narrow/2'), 'error=connection_limit_reached');
    first.destroy();
  });

  test('it answers with a status of breaker.on, once the retries are used up', async () => {
    behaviour = 'status';
    const before = arrived;
    const answer = await ask('/retried');
    expect(arrived - before).toBe(3);
    expectFallback(answer, 'received-status=503');
  });

  test('a large answer of such a status is not waited for', async () => {
    const endless = await startScript('HTTP/1.1 503 Unavailable\r\nContent-Length: 100000000\r\n\r\npart');
    const own = await startGateway({
      upstreams: { sick: { endpoints: [endless.url], retry: { attempts: 0 } } },
      routes: [{ path: '/a', upstream: 'sick', fallback: { body: 1 } }],
    });
    onTestFinished(async () => {
      await own.stop();
      await endless.close();
    });
    expect((await send(`${own.url}/a`)).text).toBe('1');
    await untilIdle(own);
  });

  test('readers that share one failing call all get it', async () => {
    behaviour = 'slow-status';
    const before = arrived;
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask('/calm/shared')));
    expect(arrived - before).toBe(1);
    for (const answer of answers) expectFallback(answer, 'received-status=503');
  });

  test('HEAD gets the same headers, and no content (RFC 9110 §9.3.2)', async () => {
    const [head, got] = [await ask('/dead', { method: 'HEAD' }), await ask('/dead')];
    const kept = ({ headers }: Answer) => {
      const { date: _, 'x-request-id': __, traceparent: ___, ...rest } = headers;
      return rest;
    };
    expect(kept(head)).toEqual(kept(got));
    expect(head.headers['content-length']).toBe('26');
    expect(await raw(gateway.url, 'HEAD /dead HTTP/1.1', 'Host: a', 'Connection: close')).toMatch(/\r\n\r\n$/);
    expect(await accessOf(head)).toMatchObject({ responseBytes: 0 });
  });

  test('scripts of other origins may read it, as any answer of the route', async () => {
    const { headers } = await ask('/dead', { headers: { origin: 'https://app.example' } });
    expect(headers).toMatchObject({ 'access-control-allow-origin': 'https://app.example', vary: 'Origin' });
  });

  test('the log keeps what happened beside it, and the metrics count it by route', async () => {
    behaviour = 'status';
    const before = await served('counted');
    const answer = await ask('/counted');
    expect(await accessOf(answer)).toMatchObject({
      status: 200,
      route: 'counted',
      error: 'UPSTREAM_ERROR',
      cause: "'calm' answered with status 503",
      fallback: true,
    });
    expect(await served('counted')).toBe(before + 1);
    // It is the answer that somebody chose, so as a request it has not failed.
    const { text } = await send(`${gateway.adminUrl}/metrics`);
    const durations = exposition(text).get('http_server_request_duration_seconds')!.samples;
    const ofRoute = durations.filter(({ labels }) => labels['http_route'] === 'counted').map(({ labels }) => labels);
    expect(ofRoute).toContainEqual(expect.objectContaining({ http_response_status_code: '200' }));
    expect(ofRoute).not.toContainEqual(expect.objectContaining({ error_type: expect.any(String) as string }));
  });
});

describe('A call that fails while it is being sent', () => {
  test('is ended, and nothing of the answer that was replaced goes on', async () => {
    const stock = upstreamAt('stock', service.url);
    const fallback = new Fallback(fallbackSchema.parse({ body: 1 }), 'route', undefined, stock);
    const written: unknown[] = [];
    const reply: Reply = {
      ...newRequest().reply,
      finished: false,
      head: (code) => void written.push(code),
      end: (chunk) => void written.push(String(chunk)),
    };
    const context = Object.assign(newRequest(), { reply });
    const call = newCall(context, 'GET', '/', {}, {});
    const passed: unknown[] = [];
    const pass = (what: string) => () => void passed.push(what);
    const sink = {
      onInformation: pass('1xx'),
      onHead: pass('head'),
      onData: pass('data'),
      onEnd: pass('end'),
      onError: pass('error'),
    };
    const aborted: string[] = [];
    let below: ResponseSink | undefined;
    const handle = sendWithFallback(
      (_, own) => {
        below = own;
        own.onHead(503, {});
        own.onData(Buffer.from('part'));
        return { pause() {}, resume() {}, abort: ({ code }) => void aborted.push(code) };
      },
      call,
      sink,
      fallback,
    );
    expect(aborted).toEqual(['UPSTREAM_ERROR']);
    below!.onEnd(undefined);
    below!.onError(new WeirError('UPSTREAM_UNREACHABLE'));
    handle.abort(new WeirError('CLIENT_CLOSED_REQUEST'));
    expect([written, passed, context.errorCode]).toEqual([[200, '1'], [], 'UPSTREAM_ERROR']);
  });
});

describe('What it says', () => {
  test.each([
    ['/text', 200, 'text/plain; charset=utf-8', 'Try later: ä'],
    ['/word', 200, 'application/json', '"closed"'],
    ['/null', 200, 'application/json', 'null'],
    ['/empty', 200, undefined, ''],
    ['/elsewhere', 302, undefined, ''],
    ['/problem', 503, 'application/problem+json', '{"code":"CLOSED"}'],
  ])('%s: %i, as %s', async (path, code, type, text) => {
    const answer = await ask(path);
    expect([answer.status, answer.headers['content-type'], answer.text]).toEqual([code, type, text]);
    expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(text)));
  });

  test('a 204 has no content and no length (RFC 9110 §8.6)', async () => {
    const answer = await ask('/nothing');
    expect([answer.status, answer.headers['content-length'], answer.text]).toEqual([204, undefined, '']);
  });

  test('a redirect leads somewhere', async () => {
    expect((await ask('/elsewhere')).headers['location']).toBe('https://status.example/');
  });

  test('a 503 says when to come back, unless it says so itself (RFC 9110 §10.2.3)', async () => {
    behaviour = 'reset';
    await until(async () => {
      await ask('/fragile');
      return gateway.gateway.assembly.upstreams.get('fragile')!.breaker.state === 'open';
    });
    expect(Number((await ask('/waits')).headers['retry-after'])).toBeGreaterThan(0);
    expect((await ask('/waits-more')).headers['retry-after']).toBe('900');
    expect((await ask('/fragile')).headers['retry-after']).toBeUndefined();
  });
});

describe('It stands in for nothing else', () => {
  test('an answer that is well', async () => {
    expect((await ask('/calm')).text).toBe('from the service');
  });

  test.each([400, 401, 404, 409, 429, 501])('the status %i, which is no failure of the upstream', async (code) => {
    behaviour = 'status';
    status = code;
    const before = await served('calm');
    const answer = await ask('/calm');
    expect([answer.status, answer.text, answer.headers['x-of']]).toEqual([code, 'from the service', 'service']);
    expect(await accessOf(answer)).not.toHaveProperty('fallback');
    expect(await served('calm')).toBe(before);
  });

  test('a status that breaker.on does not name', async () => {
    behaviour = 'status';
    expect((await ask('/strict')).status).toBe(503);
    status = 502;
    expect((await ask('/strict')).status).toBe(200);
  });

  test('a route that has none: the error, as ever', async () => {
    expect((await ask('/bare')).json()).toMatchObject({ status: 502, code: 'UPSTREAM_UNREACHABLE' });
  });

  test('an answer whose head has gone out: it breaks off, and never looks complete', async () => {
    behaviour = 'half';
    const before = await served('calm');
    await expect(ask('/calm')).rejects.toThrow();
    expect(await served('calm')).toBe(before);
  });

  test('a client that leaves', async () => {
    behaviour = 'hang';
    const before = [await served('patient'), gateway.log.length] as const;
    const client = await RawClient.connect(gateway.url);
    client.head('GET /patient HTTP/1.1', 'Host: a');
    await until(() => gateway.gateway.assembly.upstreams.get('patient')!.inFlight === 1);
    client.reset();
    await until(() => gateway.log.slice(before[1]).some(({ route }) => route === 'patient'));
    const line = gateway.log.slice(before[1]).find(({ route }) => route === 'patient')!;
    expect(line).toMatchObject({ error: 'CLIENT_CLOSED_REQUEST' });
    expect(line).not.toHaveProperty('fallback');
    expect(await served('patient')).toBe(before[0]);
  });

  test('the deadline that the client set itself, even if it lies behind it from the start', async () => {
    behaviour = 'hang';
    for (const deadline of ['100', '0']) {
      const answer = await ask('/patient', { headers: { 'x-weir-deadline-ms': deadline } });
      expect(answer.json()).toMatchObject({ status: 504, code: 'DEADLINE_EXCEEDED' });
      expect(answer.headers['proxy-status']).toBe('weir; error=http_response_timeout');
    }
  });

  test("a body that is the client's fault: too large, or too slow", async () => {
    behaviour = 'hang';
    const before = await served('small');
    const large = await ask('/small', { method: 'POST', body: Readable.from(['too', ' large']) });
    expect([large.status, large.json().code]).toEqual([413, 'BODY_TOO_LARGE']);
    const slow = begin(`${gateway.url}/small`, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
    slow.write('x');
    const { status: code, text } = await answerTo(slow);
    expect([code, (JSON.parse(text) as { code: string }).code]).toEqual([408, 'REQUEST_TIMEOUT']);
    slow.destroy();
    expect(await served('small')).toBe(before);
  });

  test('but the time of the route is over for a client with more of it, too', async () => {
    behaviour = 'hang';
    const answer = await ask('/brief', { headers: { 'x-weir-deadline-ms': '60000' } });
    expectFallback(answer, 'error=http_response_timeout');
  });

  test("a client's short deadline does not hide that the upstream is dead", async () => {
    const answer = await ask('/dead', { headers: { 'x-weir-deadline-ms': '60000' } });
    expectFallback(answer, 'error=destination_unavailable');
  });

  test('an upgrade: who asks for a WebSocket can use no other answer', async () => {
    const answer = await raw(
      gateway.url,
      'GET /dead HTTP/1.1',
      'Host: a',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer).toContain('"code":"UPSTREAM_UNREACHABLE"');
  });
});

describe('A method that does something is never told that it was done', () => {
  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    '%s gets the error where the fallback claims success',
    async (method) => {
      const answer = await ask('/dead', { method });
      expect(answer.json()).toMatchObject({ status: 502, code: 'UPSTREAM_UNREACHABLE' });
    },
  );

  test.each([
    ['POST, its body held', { method: 'POST', body: '{}' }],
    ['POST, its body streamed', { method: 'POST', body: Readable.from(['{', '}']) }],
    ['PUT', { method: 'PUT', body: '{}' }],
  ])('%s gets a fallback that says it failed, if the route names the method', async (_, sending) => {
    const answer = await ask('/problem', sending);
    expect([answer.status, answer.text]).toEqual([503, '{"code":"CLOSED"}']);
    expect(await accessOf(answer)).toMatchObject({ error: 'UPSTREAM_UNREACHABLE', fallback: true });
  });

  test('and the error if it does not', async () => {
    expect((await ask('/unnamed')).status).toBe(503);
    expect((await ask('/unnamed', { method: 'POST' })).status).toBe(502);
  });

  test('an answer that comes while the body still flows is replaced all the same', async () => {
    const early = await startRawUpstream((socket) =>
      socket.once('data', () => void socket.write('HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno')),
    );
    const own = await startGateway({
      upstreams: { early: { endpoints: [early.url] } },
      routes: [{ path: '/a', methods: ['POST'], upstream: 'early', fallback: { status: 503, body: 'later' } }],
    });
    onTestFinished(async () => {
      await own.stop();
      await early.close();
    });
    const request = begin(`${own.url}/a`, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
    request.on('error', () => {});
    request.write('x');
    const [response] = (await once(request, 'response')) as [Readable & { statusCode: number }];
    expect(response.statusCode).toBe(503);
    expect(String(Buffer.concat(await Array.fromAsync<Buffer>(response)))).toBe('"later"');
    request.destroy();
    await untilIdle(own);
  });
});

describe("A module's route", () => {
  test('has a fallback in the same words', async () => {
    const own = await startGateway({
      modules: 'test/fixtures/fallback',
      upstreams: { stock: { endpoints: [await deadUrl()] } },
    });
    onTestFinished(() => own.stop());
    const answer = await send(`${own.url}/v1/left`);
    expect([answer.status, answer.text]).toEqual([200, '{"left":0}']);
    await settle(0);
  });
});
