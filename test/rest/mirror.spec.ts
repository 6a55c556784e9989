import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { createProject } from '../cli/project.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, type Sending } from '../support/raw-client.ts';
import { deadUrl, startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';

let main: TestUpstream;
let other: TestUpstream;
let gateway: TestGateway;
let answer: Handler;

const usual: Handler = (_request, response) => void response.end('{"from":"other"}');

beforeAll(async () => {
  main = await startUpstream((_request, response) => void response.end('{"from":"main"}'));
  other = await startUpstream((request, response, body) => answer(request, response, body));
  const upstreams = {
    main: { endpoints: [main.url], cookies: ['theme'] },
    other: { endpoints: [other.url], retry: { attempts: 2, backoff: '1ms' }, timeout: '2s', maxResponseBytes: '4KiB' },
    dead: { endpoints: [await deadUrl()], retry: { attempts: 0 } },
  };
  const route = (path: string, mirror: object | string) => ({ path, upstream: 'main', mirror });
  gateway = await startGateway({
    upstreams,
    consumers: [{ id: 'acme', tier: 'gold', keys: [hashOf('k')] }],
    tiers: { gold: { limits: [{ name: 'all', algorithm: 'fixed-window', quota: 1000, window: '1d' }] } },
    routes: [
      route('/all{/*rest}', 'other'),
      route('/none', { upstream: 'other', percent: 0 }),
      route('/writes', { upstream: 'other', methods: ['POST'], maxBodyBytes: '1KiB' }),
      route('/few', { upstream: 'other', maxInFlight: 1 }),
      route('/dead', 'dead'),
      { ...route('/moved/:id', { upstream: 'other', rewrite: '/there/:id' }), rewrite: '/here/:id' },
      {
        ...route('/changed', 'other'),
        headers: { request: { set: { 'x-set': 'yes' } } },
        query: { rename: { a: 'b' } },
      },
    ],
  });
});

beforeEach(() => {
  answer = usual;
  main.requests.length = 0;
  other.requests.length = 0;
});

afterAll(async () => {
  await gateway.stop();
  await other.close();
  await main.close();
});

const ask = (path: string, sending: Sending = {}) => send(`${gateway.url}${path}`, sending);

/** What is counted of a route, by outcome. */
async function counted(route: string): Promise<Record<string, number>> {
  const { text } = await send(`${gateway.adminUrl}/metrics`);
  const lines = text.matchAll(/^weir_mirror_requests_total\{(.*)\} (\d+)/gm);
  return Object.fromEntries(
    [...lines].flatMap(([, labels = '', count]) =>
      labels.includes(`http_route="${route}"`)
        ? [[/weir_mirror_outcome="([^"]*)"/.exec(labels)![1]!, Number(count)] as const]
        : [],
    ),
  );
}

const copies = (count: number) => vi.waitFor(() => expect(other.requests).toHaveLength(count));

describe('A copy that fails', () => {
  test('changes nothing of the answer, is not tried again, and is counted', async () => {
    answer = (_request, response) => void response.writeHead(503).end('no');
    const { status, text } = await ask('/all/fails');
    expect([status, text]).toEqual([200, '{"from":"main"}']);
    await vi.waitFor(async () => expect(await counted('/all{/*rest}')).toMatchObject({ 503: 1 }));
    expect(other.requests).toHaveLength(1);
  });

  test('of an upstream that is not there is counted by its error', async () => {
    expect((await ask('/dead')).status).toBe(200);
    await vi.waitFor(async () => expect(await counted('/dead')).toEqual({ UPSTREAM_UNREACHABLE: 1 }));
  });

  test('by hanging is not waited for, and keeps its place until it is over', async () => {
    answer = () => {};
    for (let index = 0; index < 3; index++) expect((await ask(`/few?${index}`)).text).toBe('{"from":"main"}');
    await copies(1);
    expect(await counted('/few')).toEqual({ no_room: 2 });
    await vi.waitFor(async () => expect(await counted('/few')).toHaveProperty('DEADLINE_EXCEEDED', 1), 10_000);
    await untilIdle(gateway);
  });

  test('by answering without end is cut off', async () => {
    answer = (_request, response) => void response.write('x'.repeat(64 * 1024));
    expect((await ask('/all/endless')).status).toBe(200);
    await vi.waitFor(async () =>
      expect(await counted('/all{/*rest}')).toMatchObject({ UPSTREAM_RESPONSE_TOO_LARGE: 1 }),
    );
    await untilIdle(gateway);
  });
});

describe('What is not copied', () => {
  test('is a method that is not listed, GET and HEAD unless said', async () => {
    await ask('/all', { method: 'POST', body: 'x' });
    await ask('/writes');
    await ask('/all', { method: 'HEAD' });
    await copies(1);
    expect(other.requests[0]!.method).toBe('HEAD');
  });

  test('is more than the share', async () => {
    await ask('/none');
    await ask('/all/last');
    await copies(1);
    expect(other.requests[0]!.url).toBe('/all/last');
  });

  test('is a body that is too large, or has no length', async () => {
    await ask('/writes', { method: 'POST', body: 'x'.repeat(1025) });
    await ask('/writes', { method: 'POST', body: 'x'.repeat(128 * 1024) });
    expect(await counted('/writes')).toMatchObject({ body_too_large: 2 });
    expect(main.requests.map(({ body }) => body.length)).toEqual([1025, 128 * 1024]);
  });
});

describe('routes[].mirror', () => {
  test('copies a request as its upstream gets it, marked, for the same caller', async () => {
    const headers = { 'x-api-key': 'k', cookie: 'theme=dark; id=1', 'x-own': 'kept' };
    const { headers: said } = await ask('/all/a%2Fb?x=1', { headers });
    await copies(1);
    const [copy] = other.requests;
    expect([copy!.method, copy!.url]).toEqual(['GET', '/all/a%2Fb?x=1']);
    expect(copy!.headers).toMatchObject({
      'x-weir-mirror': 'true',
      'x-weir-consumer': 'acme',
      'x-request-id': said['x-request-id'],
      'x-own': 'kept',
      'x-forwarded-for': '127.0.0.1',
    });
    // Cookies are each upstream's own, and the key is the gateway's.
    expect([copy!.headers.cookie, copy!.headers['x-api-key']]).toEqual([undefined, undefined]);
    expect(main.requests[0]!.headers['x-weir-mirror']).toBeUndefined();
    expect(main.requests[0]!.headers.cookie).toBe('theme=dark');
    await vi.waitFor(async () => expect(await counted('/all{/*rest}')).toHaveProperty('200'));
  });

  test('copies bodies where a method with one is listed', async () => {
    await ask('/writes', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'hello' });
    await copies(1);
    expect(other.requests[0]).toMatchObject({ method: 'POST', body: 'hello' });
    expect(other.requests[0]!.headers['content-type']).toBe('text/plain');
  });

  test('takes the path of the upstream, or one of its own, and what YAML changes', async () => {
    await ask('/moved/7?q=1');
    await copies(1);
    expect([main.requests[0]!.url, other.requests[0]!.url]).toEqual(['/here/7?q=1', '/there/7?q=1']);
    await ask('/changed?a=1');
    await copies(2);
    expect(other.requests[1]).toMatchObject({ url: '/changed?b=1', headers: { 'x-set': 'yes' } });
  });

  test('costs nobody anything, and stands in nobody’s log', async () => {
    const { headers } = await ask('/all/paid', { headers: { 'x-api-key': 'k' } });
    await copies(1);
    const line = await gateway.accessOf(String(headers['x-request-id']));
    expect(line).toMatchObject({ calls: 1, upstreams: { main: 1 } });
    const before = Number(headers['x-ratelimit-remaining']);
    const after = await ask('/none', { headers: { 'x-api-key': 'k' } });
    expect(Number(after.headers['x-ratelimit-remaining'])).toBe(before - 1);
  });

  test('is shared with nobody: each request has a copy, whatever is under way', async () => {
    const waiting: (() => void)[] = [];
    answer = (_request, response) => void waiting.push(() => response.end());
    await Promise.all([ask('/all/same'), ask('/all/same')]);
    await copies(2);
    expect(waiting).toHaveLength(2);
    for (const end of waiting) end();
    await untilIdle(gateway);
  });

  test.each<[object, string]>([
    [{ mirror: 'gone' }, 'which nothing defines'],
    [{ mirror: { upstream: 'gone' } }, 'which nothing defines'],
    [{ mirror: 'main' }, 'answers the route already'],
    [{ mirror: { upstream: 'other', percent: 101 } }, 'percent'],
    [{ mirror: { upstream: 'other', rewrite: '/x/:id' } }, 'the path does not have'],
  ])('is refused where it cannot be: %j', async (wrong, message) => {
    const endpoints = ['http://127.0.0.1:9'];
    const config = {
      upstreams: { main: { endpoints }, other: { endpoints } },
      routes: [{ path: '/x', upstream: 'main', ...wrong }],
    };
    await expect(startGateway(config)).rejects.toThrow(message);
  });
});

describe('docs/mirroring.md', () => {
  test('shows a configuration that passes `weir check`', { timeout: 60_000 }, async () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/mirroring.md'), 'utf8');
    const configs = fencedBlocks(page).filter(({ info }) => info === 'yaml');
    expect(configs.length).toBeGreaterThan(0);
    for (const { text } of configs)
      expect(await createProject({ 'gateway.yaml': text }).weir('check')).toMatchObject({ status: 0, stderr: '' });
  });
});
