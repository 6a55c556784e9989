import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import type { TestConfig } from '../support/gateway.ts';
import { send, type Answer, type Sending } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** "`RateLimit`, `RateLimit-Policy`, `X-RateLimit-*` on every response of a limited consumer, also from cache, also errors." */

const document = `openapi: 3.1.0
info: { title: Owners, version: '1' }
paths:
  /owners:
    get:
      parameters: [{ name: first, in: query, schema: { type: integer } }]
      responses: { '200': { description: All. } }
`;

const folder = mkdtempSync(join(tmpdir(), 'weir-answers-'));
const file = join(folder, 'owners.yaml');

let service: TestUpstream;
let redis: TestRedis;
let server: GraphqlServer;

beforeAll(async () => {
  writeFileSync(file, document);
  redis = await startRedis();
  service = await startUpstream((request, response) => {
    if (request.url === '/stored') response.setHeader('cache-control', 'max-age=60');
    response.setHeader('content-type', 'application/json');
    response.end('{}');
  });
});

afterEach(() => server.stop());

afterAll(async () => {
  await service.close();
  await redis.close();
  rmSync(folder, { recursive: true });
});

const tier = (name: string, quota: number) => ({
  limits: [{ name, algorithm: 'sliding-window', quota, window: '1h' }],
});

async function start(config: TestConfig = {}): Promise<void> {
  server = await startModules('test/fixtures/awaits', {
    upstreams: { owners: { endpoints: [service.url], openapi: file } },
    routes: [
      { path: '/owners', upstream: 'owners', validate: { request: 'enforce' } },
      { path: '/stored', upstream: 'owners' },
      { path: '/private', upstream: 'owners', auth: 'required' },
      { path: '/partners', upstream: 'owners', auth: { roles: ['partner'] } },
      { path: '/small', upstream: 'owners', maxBodyBytes: '1KiB' },
      {
        path: '/gone',
        upstream: 'owners',
        deprecated: { since: '2020-01-01', sunset: '2021-01-01', successor: '/owners' },
      },
    ],
    consumers: [{ id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] }],
    limits: { perIp: [{ name: 'ip', algorithm: 'token-bucket', quota: 100, window: '1s', burst: 500 }] },
    tiers: { pro: tier('hour', 100), anonymous: tier('trial', 10) },
    ...config,
  });
  if (!config.redis) return;
  await expect
    .poll(async () => (await send(`${server.adminUrl}/readyz`)).json().limits, { timeout: 15_000 })
    .toMatchObject({ counted: 'redis' });
}

const key = { 'x-api-key': 'acme-key' };

const ask = (path: string, sending: Sending = {}): Promise<Answer> =>
  send(server.url + path, { ...sending, headers: { ...key, ...sending.headers } });

const post = (body: string): Promise<Answer> =>
  ask('/graphql', { method: 'POST', headers: { 'content-type': 'application/json' }, body });

/**
 * What the fields say, read as Structured Fields (RFC 9651 §4.2) that are lists of strings with parameters of integers and
 * strings, as draft-ietf-httpapi-ratelimit-headers-10 §3 and §4 have them. Throws for anything else.
 */
function listOf(field: unknown): Record<string, Record<string, number | string>> {
  const members = String(field).split(', ');
  return Object.fromEntries(
    members.map((member) => {
      const match = /^"([\x20\x21\x23-\x5b\x5d-\x7e]*)"((?:;[a-z*][a-z0-9_.*-]*=(?:\d{1,15}|"[a-z-]*"))*)$/.exec(
        member,
      );
      if (!match) throw new Error(`${member} is no string with parameters`);
      const parameters = match[2]!.split(';').filter((text) => text !== '');
      return [
        match[1]!,
        Object.fromEntries(
          parameters.map((text) => {
            const [name, value] = text.split('=') as [string, string];
            return [name, value.startsWith('"') ? value.slice(1, -1) : Number(value)] as const;
          }),
        ),
      ] as const;
    }),
  );
}

/** What an answer says is left, by the name of the limit, once it is sure that all five fields agree. */
function leftOf({ headers }: Answer): Record<string, number> {
  const policies = listOf(headers['ratelimit-policy']);
  const standing = listOf(headers.ratelimit);
  expect(Object.keys(standing)).toEqual(Object.keys(policies));
  for (const [name, { q, w, qu }] of Object.entries(policies)) {
    const { r, t } = standing[name]!;
    expect([typeof q, typeof w, typeof qu, typeof r, typeof t]).toEqual([
      'number',
      'number',
      'string',
      'number',
      'number',
    ]);
    expect(Number(r)).toBeLessThanOrEqual(Number(q));
  }
  const limits = Object.values(policies).map(({ q }) => String(q));
  expect(limits).toContain(headers['x-ratelimit-limit']);
  expect(Object.values(standing).map(({ r }) => String(r))).toContain(headers['x-ratelimit-remaining']);
  expect(headers['x-ratelimit-reset']).toMatch(/^\d+$/);
  return Object.fromEntries(Object.entries(standing).map(([name, { r }]) => [name, Number(r)]));
}

const where = [
  ['in memory', () => ({})],
  ['in Redis', () => ({ redis: { url: redis.url, timeout: '1s', keyPrefix: `${crypto.randomUUID()}:` } })],
] as const;

describe.each(where)('Counted %s, a consumer hears what is left', (_, config) => {
  test('on an answer from an upstream, and on one from the cache', async () => {
    await start(config());
    expect(leftOf(await ask('/stored'))).toEqual({ hour: 99 });
    await expect.poll(async () => leftOf(await ask('/limits'))).toEqual({ hour: 99 });
    const cached = await ask('/stored');
    expect(cached.headers['cache-status']).toMatch(/^weir; hit/);
    // Reserved like any other, and given back.
    expect(leftOf(cached)).toEqual({ hour: 98 });
    await expect.poll(async () => leftOf(await ask('/limits'))).toEqual({ hour: 99 });
  });

  test.each([
    ['403, for what it may not', () => ask('/partners'), 403],
    ['410, for what is gone', () => ask('/gone'), 410],
    ['400, for a parameter that is no number', () => ask('/owners?first=many'), 400],
    ['413, for a body that is too large', () => ask('/small', { method: 'POST', body: 'x'.repeat(2_000) }), 413],
    ['what is left itself', () => ask('/limits'), 200],
    ['a document that does not parse', () => post('{"query": "{"}'), 200],
    ['a document that does not fit the schema', () => post('{"query": "{ nothing }"}'), 200],
    ['a body that is no JSON', () => post('{'), 400],
    ['a document that is not known', () => post('{"documentId": "sha256:00"}'), 200],
    ['variables that do not fit', () => post('{"query": "query ($n: Int!) { things(first: $n) { id } }"}'), 200],
    ['a content type that is not served', () => ask('/graphql', { method: 'POST', body: 'x' }), 415],
    ['OPTIONS', () => ask('/graphql', { method: 'OPTIONS' }), 204],
  ])('on %s, which costs nothing', async (_what, request, status) => {
    await start(config());
    const answer = await request();
    expect([answer.status, leftOf(answer)]).toEqual([status, { hour: 100 }]);
    expect(leftOf(await ask('/limits'))).toEqual({ hour: 100 });
  });

  test('on 400 COST_EXCEEDS_QUOTA', async () => {
    await start({ ...config(), tiers: { pro: tier('hour', 1) } });
    const answer = await post('{"query": "{ things(first: 200) { owner { id } } }"}');
    expect([answer.status, leftOf(answer)]).toEqual([400, { hour: 1 }]);
  });
});

describe('Who is not known hears what its address has left', () => {
  test.each([
    ['401 without a credential', '/private', {}, 401],
    ['401 with one that nobody has', '/owners', { 'x-api-key': 'nobody' }, 401],
    ['404', '/nowhere', {}, 404],
    ['404 with a key', '/nowhere', key, 404],
  ])('on %s', async (_, path, headers, status) => {
    await start();
    const answer = await send(server.url + path, { headers });
    expect([answer.status, leftOf(answer)]).toEqual([status, { ip: 499 }]);
  });

  test('on 405', async () => {
    await start();
    const answer = await send(`${server.url}/graphql`, { method: 'DELETE' });
    expect([answer.status, leftOf(answer)]).toEqual([405, { ip: 499 }]);
  });

  test('on all answers where its tier has no limits, by the limit that stands when nothing is written', async () => {
    await start({ tiers: {}, limits: { perIp: undefined } });
    for (const request of [send(`${server.url}/owners`), ask('/owners'), post('{"query": "{ __typename }"}')]) {
      const { headers } = await request;
      expect(headers['ratelimit-policy']).toBe('"ip";q=500;w=5;qu="requests"');
      expect(Number(headers['x-ratelimit-remaining'])).toBeGreaterThan(490);
    }
  });

  test('and is a consumer of its own where it shows none and may: the tier anonymous', async () => {
    await start();
    expect(leftOf(await send(`${server.url}/owners`))).toEqual({ trial: 9 });
    // Pages ask nobody who he is, and cost nothing.
    expect(leftOf(await ask('/docs/errors/FORBIDDEN'))).toEqual({ trial: 9 });
    await expect.poll(async () => leftOf(await send(`${server.url}/limits`))).toEqual({ trial: 9 });
  });
});

describe('RateLimit', () => {
  test('says by t when more is made available, not when all is (draft-ietf-httpapi-ratelimit-headers-10)', async () => {
    const limits = [
      { name: 'bucket', algorithm: 'token-bucket', quota: 3_600, window: '1h', burst: 100 },
      { name: 'fixed', algorithm: 'fixed-window', quota: 100, window: '1d' },
    ];
    await start({
      tiers: { pro: { limits } },
      routes: [{ path: '/fifty', upstream: 'owners', cost: 50 }],
    });
    const { headers } = await ask('/fifty');
    const { bucket, fixed } = listOf(headers.ratelimit);
    // One comes back in each second, and fifty in fifty.
    expect(bucket).toEqual({ r: 50, t: 1 });
    expect(fixed!.t).toBeGreaterThan(0);
    expect(fixed!.t).toBeLessThanOrEqual(86_400);
    const left = (await ask('/limits')).json().limits as { name: string; resetSeconds: number }[];
    expect(left.find(({ name }) => name === 'bucket')!.resetSeconds).toBeGreaterThan(40);
  });

  test('says the same as Retry-After where there is no room', async () => {
    await start({ tiers: { pro: { limits: [{ name: 'hour', algorithm: 'token-bucket', quota: 10, window: '1h' }] } } });
    for (let turn = 0; turn < 10; turn++) await ask('/owners');
    const refused = await ask('/owners');
    expect(refused.status).toBe(429);
    expect(String(listOf(refused.headers.ratelimit).hour!.t)).toBe(refused.headers['retry-after']);
  });
});
