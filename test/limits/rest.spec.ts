import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { load } from '../config/problems.ts';
import { startGateway, type TestConfig, type TestGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { send, type Answer } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** Limits of REST routes, from the configuration to the answer. */

let upstream: TestUpstream;
let gateway: TestGateway;
/** Answers that the service holds back. */
const held: (() => void)[] = [];

beforeAll(async () => {
  upstream = await startUpstream((request, response) => {
    if (request.url?.startsWith('/slow')) held.push(() => void response.end('slow'));
    else response.end('thing');
  });
});

afterEach(async () => {
  for (const answer of held.splice(0)) answer();
  await gateway.stop();
});

afterAll(() => upstream.close());

const consumers = [
  { id: 'acme', tier: 'pro', keys: [hashOf('acme-key'), hashOf('acme-other')] },
  { id: 'other', tier: 'pro', keys: [hashOf('other-key')] },
];

async function start(config: TestConfig): Promise<void> {
  gateway = await startGateway({
    upstreams: {
      things: { endpoints: [upstream.url] },
      dear: { endpoints: [upstream.url], weight: 3 },
      dead: { endpoints: [`http://127.0.0.1:${await freePort()}`] },
    },
    routes: [
      { path: '/things{/*rest}', upstream: 'things', rewrite: '/things{/*rest}' },
      { path: '/slow', upstream: 'things' },
      { path: '/dear', upstream: 'dear' },
      { path: '/five', upstream: 'things', cost: 5 },
      { path: '/dead', upstream: 'dead' },
    ],
    consumers,
    ...config,
  });
}

function get(path: string, key?: string): Promise<Answer> {
  return send(gateway.url + path, { headers: key === undefined ? {} : { 'x-api-key': key } });
}

async function statuses(count: number, path: string, key?: string): Promise<number[]> {
  const all: number[] = [];
  for (let index = 0; index < count; index++) all.push((await get(path, key)).status);
  return all;
}

const sliding = { algorithm: 'sliding-window', window: '1h' } as const;

describe('A consumer', () => {
  test('has its quota and no more; others have theirs', async () => {
    await start({ tiers: { pro: { limits: [{ name: 'hour', quota: 3, ...sliding }] } } });
    expect(await statuses(4, '/things', 'acme-key')).toEqual([200, 200, 200, 429]);
    expect(await statuses(1, '/things', 'other-key')).toEqual([200]);
    expect(await statuses(1, '/things')).toEqual([200]);
  });

  test('hears on every answer what he has left, also on errors', async () => {
    await start({
      tiers: {
        pro: {
          limits: [
            { name: 'hour', quota: 3, ...sliding },
            { name: 'day', algorithm: 'token-bucket', quota: 86_400, window: '1d', burst: 200 },
          ],
        },
      },
    });
    const { headers } = await get('/things', 'acme-key');
    expect(headers['ratelimit-policy']).toBe(
      '"hour";q=3;w=3600;qu="upstream-calls", "day";q=200;w=200;qu="upstream-calls"',
    );
    expect(headers.ratelimit).toMatch(/^"hour";r=2;t=3[67]\d\d, "day";r=199;t=1$/);
    expect([headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']]).toEqual(['3', '2']);
    expect(Number(headers['x-ratelimit-reset'])).toBeGreaterThanOrEqual(3_600);
    const failed = await get('/dead', 'acme-key');
    expect([failed.status, failed.headers['x-ratelimit-remaining']]).toEqual([502, '1']);
  });

  test('asks for what he has left, which costs nothing, also when nothing is left', async () => {
    const limits = [
      { name: 'hour', quota: 2, ...sliding },
      { name: 'secret', quota: 9, ...sliding, hideHeaders: true },
      { name: 'at-once', quota: 5, unit: 'concurrent' },
    ];
    await start({ tiers: { pro: { limits } } });
    const left = async (key?: string) => JSON.parse((await get('/limits', key)).text) as unknown;
    const hour = { name: 'hour', unit: 'cost', limit: 2, description: '2 upstream calls in 3600s' };
    expect(await left('acme-key')).toEqual({
      consumer: 'acme',
      tier: 'pro',
      limits: [{ ...hour, remaining: 2, resetSeconds: 0 }],
    });
    expect(await statuses(3, '/things', 'acme-key')).toEqual([200, 200, 429]);
    for (let turn = 0; turn < 3; turn++)
      expect(await left('acme-key')).toMatchObject({ limits: [{ ...hour, remaining: 0 }] });
    expect(await left('other-key')).toMatchObject({ consumer: 'other', limits: [{ ...hour, remaining: 2 }] });
    expect(await left()).toEqual({ consumer: 'anonymous', tier: 'anonymous', limits: [] });
  });

  test('over his quota gets a problem that says which limit it was, and when to come back', async () => {
    await start({
      tiers: {
        pro: {
          limits: [{ name: 'hour', quota: 1, ...sliding }],
          message: 'The free trial has one call.',
          upgradeUrl: 'https://example.com/plans',
        },
      },
    });
    await get('/things', 'acme-key');
    const { status, headers, json } = await get('/things', 'acme-key');
    expect(status).toBe(429);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(3_599);
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(3_720);
    expect(headers['x-ratelimit-remaining']).toBe('0');
    expect(json()).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      status: 429,
      code: 'RATE_LIMITED',
      'violated-policies': ['hour'],
      hint: 'The free trial has one call.',
      upgradeUrl: 'https://example.com/plans',
    });
  });

  test('pays what a route costs: the weight of its upstream, or the cost it says', async () => {
    await start({ tiers: { pro: { limits: [{ name: 'hour', quota: 100, ...sliding }] } } });
    const remaining = async (path: string) => (await get(path, 'acme-key')).headers['x-ratelimit-remaining'];
    expect(await remaining('/things')).toBe('99');
    expect(await remaining('/dear')).toBe('96');
    expect(await remaining('/five')).toBe('91');
  });

  test('is told when a route costs more than his quota ever holds: waiting would not help', async () => {
    await start({ tiers: { pro: { limits: [{ name: 'hour', quota: 2, ...sliding }] } } });
    const { status, headers, json } = await get('/dear', 'acme-key');
    expect([status, headers['retry-after']]).toEqual([400, undefined]);
    expect(json()).toMatchObject({
      type: '/docs/errors/COST_EXCEEDS_QUOTA',
      'violated-policies': ['hour'],
      cost: { estimated: 3, limit: 2 },
    });
  });

  test('gets back what was not called', async () => {
    await start({ tiers: { pro: { limits: [{ name: 'hour', quota: 100, ...sliding }] } } });
    // Ten at once of one identity are one call.
    const asked = Promise.all(Array.from({ length: 10 }, () => get('/slow', 'acme-key')));
    await expect.poll(() => gateway.gateway.assembly.auth.sessions.size).toBe(10);
    await expect.poll(() => held.length).toBe(1);
    for (const answer of held.splice(0)) answer();
    const remaining = (await asked).map(({ headers }) => Number(headers['x-ratelimit-remaining']));
    expect(Math.min(...remaining)).toBe(90);
    await expect.poll(() => gateway.log.filter(({ msg }) => msg === 'request').length).toBe(10);
    expect((await get('/things', 'acme-key')).headers['x-ratelimit-remaining']).toBe('98');
  });

  test('may be limited by key, and by what is under way at once', async () => {
    await start({
      tiers: {
        pro: {
          limits: [
            { name: 'keys', by: 'key', unit: 'requests', quota: 2, ...sliding },
            { name: 'once', unit: 'concurrent', quota: 1 },
          ],
        },
      },
    });
    const slow = get('/slow', 'acme-key');
    await expect.poll(() => held.length).toBe(1);
    const refused = await get('/things', 'acme-other');
    expect([refused.status, refused.json()['violated-policies'], refused.headers['retry-after']]).toEqual([
      429,
      ['once'],
      '1',
    ]);
    held.splice(0).forEach((answer) => answer());
    await slow;
    await expect.poll(async () => (await get('/things', 'acme-other')).status).toBe(200);
    expect(await statuses(2, '/things', 'acme-key')).toEqual([200, 429]);
  });
});

describe('An address', () => {
  test('that shows no credential is a consumer of its own', async () => {
    await start({ tiers: { anonymous: { limits: [{ name: 'hour', quota: 2, ...sliding }] } } });
    expect(await statuses(3, '/things')).toEqual([200, 200, 429]);
    expect(await statuses(1, '/things', 'acme-key')).toEqual([200]);
  });

  test('is bounded before anything else is known of it', async () => {
    await start({
      limits: { perIp: [{ name: 'ip', algorithm: 'token-bucket', quota: 1, window: '1h', burst: 2 }] },
    });
    expect(await statuses(2, '/nowhere')).toEqual([404, 404]);
    const refused = await get('/things', 'a key that nobody has');
    expect([refused.status, refused.json()['violated-policies']]).toEqual([429, ['ip']]);
    expect(refused.headers['ratelimit-policy']).toBe('"ip";q=2;w=7200;qu="requests"');
  });

  test('has a limit of its own when nothing is written', async () => {
    await start({});
    expect(load('upstreams: {}').config.limits.perIp).toEqual([
      expect.objectContaining({ name: 'ip', algorithm: 'token-bucket', quota: 100_000, window: 1_000, burst: 500_000 }),
    ]);
  });
});

describe('A limit', () => {
  test('of a route counts beside those of the tier, and one of everybody beside both', async () => {
    await start({
      routes: [
        { path: '/things{/*rest}', upstream: 'things', limits: [{ name: 'route', quota: 2, ...sliding }] },
        { path: '/dear', upstream: 'dear' },
      ],
      limits: { global: [{ name: 'all', quota: 7, ...sliding }] },
      tiers: { pro: { limits: [{ name: 'hour', quota: 6, ...sliding }] } },
    });
    expect(await statuses(3, '/things', 'acme-key')).toEqual([200, 200, 429]);
    expect(await statuses(2, '/dear', 'acme-key')).toEqual([200, 429]);
    const refused = await get('/dear', 'other-key');
    expect([refused.status, refused.json()['violated-policies']]).toEqual([429, ['all']]);
    expect(await statuses(2, '/things', 'other-key')).toEqual([200, 200]);
  });

  test('that one of them refuses costs nothing in the others', async () => {
    await start({
      routes: [
        { path: '/things{/*rest}', upstream: 'things', limits: [{ name: 'route', quota: 1, ...sliding }] },
        { path: '/dear', upstream: 'dear' },
      ],
      tiers: { pro: { limits: [{ name: 'hour', quota: 4, ...sliding }] } },
    });
    expect(await statuses(4, '/things', 'acme-key')).toEqual([200, 429, 429, 429]);
    expect(await statuses(1, '/dear', 'acme-key')).toEqual([200]);
  });

  test('in shadow refuses nobody, and says whom it would have refused', async () => {
    await start({ tiers: { pro: { limits: [{ name: 'trial', quota: 1, shadow: true, ...sliding }] } } });
    const answers = [await get('/things', 'acme-key'), await get('/things', 'acme-key')];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers[0]!.headers.ratelimit).toBeUndefined();
    const metrics = (await send(`${gateway.adminUrl}/metrics`)).text;
    expect(metrics).toContain('weir_limits_decisions_total{weir_limit="trial",weir_limit_outcome="shadow"} 1');
    gateway.gateway.assembly.limits.flush();
    expect(gateway.log).toContainEqual(
      expect.objectContaining({
        msg: 'a limit that only reports would have refused',
        limit: 'trial',
        count: 1,
        consumers: ['acme'],
      }),
    );
  });

  test('may hide from the headers, and is named when it refuses', async () => {
    await start({ tiers: { pro: { limits: [{ name: 'secret', quota: 1, hideHeaders: true, ...sliding }] } } });
    expect((await get('/things', 'acme-key')).headers.ratelimit).toBeUndefined();
    expect((await get('/things', 'acme-key')).json()['violated-policies']).toEqual(['secret']);
  });

  test('warns from warnAt on: in a header, in the log, in a metric', async () => {
    await start({
      limits: { warnAt: 0.5 },
      tiers: { pro: { limits: [{ name: 'hour', quota: 4, ...sliding }] } },
    });
    const warned: unknown[] = [];
    for (let request = 0; request < 4; request++)
      warned.push((await get('/things', 'acme-key')).headers['x-weir-limit-warning']);
    expect(warned).toEqual([undefined, 'hour', 'hour', 'hour']);
    gateway.gateway.assembly.limits.flush();
    expect(gateway.log).toContainEqual(
      expect.objectContaining({ msg: 'a limit is nearly used up', limit: 'hour', count: 3, consumers: ['acme'] }),
    );
    const metrics = (await send(`${gateway.adminUrl}/metrics`)).text;
    expect(metrics).toContain('weir_limits_decisions_total{weir_limit="hour",weir_limit_outcome="warned"} 3');
    expect(metrics).toContain('weir_limits_decisions_total{weir_limit="hour",weir_limit_outcome="admitted"} 4');
  });

  test('holds requests up from throttleAt on, and no longer than maxDelay', async () => {
    await start({
      limits: { throttleAt: 0.5, maxDelay: '200ms' },
      tiers: { pro: { limits: [{ name: 'hour', quota: 4, ...sliding }] } },
    });
    await get('/things', 'acme-key');
    await get('/things', 'acme-key');
    const before = performance.now();
    await get('/things', 'acme-key');
    expect(performance.now() - before).toBeGreaterThanOrEqual(100);
    const metrics = (await send(`${gateway.adminUrl}/metrics`)).text;
    expect(metrics).toContain('weir_limits_decisions_total{weir_limit="hour",weir_limit_outcome="delayed"} 1');
  });
});
