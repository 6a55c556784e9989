import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { startGateway, type TestConfig, type TestGateway } from '../support/gateway.ts';
import { send, type Answer } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** Limits of instances that share a Redis, and what becomes of them without it. */

let upstream: TestUpstream;
let redis: TestRedis;
let gateways: TestGateway[];

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => void response.end('thing'));
});

beforeEach(async () => {
  redis = await startRedis();
  gateways = [];
});

afterEach(async () => {
  redis.resume();
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await redis.close();
});

afterAll(() => upstream.close());

const sliding = { algorithm: 'sliding-window', window: '1h' } as const;

/** So many instances, which have heard of each other. A busy machine may be slower than 25 ms. */
async function start(count: number, quota: number, config: TestConfig = {}): Promise<void> {
  const all = Array.from({ length: count }, () =>
    startGateway({
      upstreams: { things: { endpoints: [upstream.url] } },
      routes: [{ path: '/things', upstream: 'things' }],
      consumers: [{ id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] }],
      tiers: { pro: { limits: [{ name: 'hour', quota, ...sliding }] } },
      redis: { url: redis.url, timeout: '1s' },
      ...config,
    }),
  );
  gateways = await Promise.all(all);
  await untilCounted('redis', count);
}

async function limitsOf({ adminUrl }: TestGateway): Promise<unknown> {
  const { status, json } = await send(`${adminUrl}/readyz`);
  expect(status).toBe(200);
  return json().limits;
}

async function untilCounted(counted: string, instances: number): Promise<void> {
  for (const gateway of gateways)
    await expect.poll(() => limitsOf(gateway), { timeout: 15_000 }).toEqual({ counted, instances });
}

/** Of reads at once many would be one call. */
function post(gateway: TestGateway): Promise<Answer> {
  return send(`${gateway.url}/things`, { method: 'POST', headers: { 'x-api-key': 'acme-key' } });
}

/** So many requests at once to each. @returns how many had each status */
async function ask(count: number, of = gateways): Promise<Record<number, number>> {
  const answers = await Promise.all(of.flatMap((gateway) => Array.from({ length: count }, () => post(gateway))));
  const tally: Record<number, number> = {};
  for (const { status } of answers) tally[status] = (tally[status] ?? 0) + 1;
  return tally;
}

describe('Instances that share a Redis', { timeout: 60_000 }, () => {
  test('admit together what one would, to the unit', async () => {
    await start(2, 50);
    expect(await ask(60)).toEqual({ 200: 50, 429: 70 });
    expect(upstream.requests.length).toBeGreaterThan(0);
  });

  test('tell a consumer the same of what he has left, for nothing', async () => {
    await start(2, 5);
    expect(await ask(1)).toEqual({ 200: 2 });
    for (const { url } of [...gateways, ...gateways]) {
      const { json } = await send(`${url}/limits`, { headers: { 'x-api-key': 'acme-key' } });
      expect(json()).toMatchObject({ limits: [{ name: 'hour', limit: 5, remaining: 3 }] });
    }
  });

  test('go on when the server has forgotten their scripts', async () => {
    await start(1, 5);
    expect(await ask(2)).toEqual({ 200: 2 });
    await redis.client.script('FLUSH');
    expect(await ask(4)).toEqual({ 200: 3, 429: 1 });
  });

  test('keep nothing there without end, under keys of one tag for each payer', async () => {
    await start(1, 5);
    await ask(1);
    const keys = await redis.client.keys('weir:*limit:*');
    expect(keys.toSorted()).toEqual([
      'weir:v1:-:limit:{cacme}:tier.pro.hour:sliding-window:cost:consumer:3600000',
      'weir:v1:-:limit:{instances}',
    ]);
    for (const key of keys) expect(await redis.client.pttl(key)).toBeGreaterThan(0);
  });

  test('settle what is under way before they stop', async () => {
    await start(1, 5, {
      tiers: {
        pro: {
          limits: [
            { name: 'hour', quota: 5, ...sliding },
            { name: 'once', unit: 'concurrent', quota: 1 },
          ],
        },
      },
    });
    await ask(1);
    await gateways[0]!.stop();
    expect((await redis.client.keys('*once*')).length).toBe(0);
    expect(await redis.client.zcard('weir:v1:-:limit:{instances}')).toBe(0);
  });
});

describe('While Redis does not answer', { timeout: 60_000 }, () => {
  test('each instance enforces its share, says so, and all count together again afterwards', async () => {
    await start(2, 40);
    expect(await ask(5)).toEqual({ 200: 10 });
    redis.pause();
    const without = await ask(40);
    // Half of the quota each, whatever was used before.
    expect(without).toEqual({ 200: 40, 429: 40 });
    await untilCounted('local-share', 2);
    for (const { log } of gateways)
      expect(log).toContainEqual(
        expect.objectContaining({ msg: 'limits are not counted in redis: it does not answer' }),
      );
    const metrics = (await send(`${gateways[0]!.adminUrl}/metrics`)).text;
    expect(metrics).toMatch(/^weir_limits_store_shared 0$/m);
    redis.resume();
    await untilCounted('redis', 2);
    // What timed out did nothing there when it arrived, and what was decided meanwhile is not charged again.
    expect(await ask(20)).toEqual({ 200: 30, 429: 10 });
    for (const { log } of gateways)
      expect(log).toContainEqual(expect.objectContaining({ msg: 'limits are counted in redis again' }));
  });

  test('a Redis that comes back empty costs one further quota', async () => {
    await start(2, 20);
    expect(await ask(15)).toEqual({ 200: 20, 429: 10 });
    await redis.kill();
    expect(await ask(15)).toEqual({ 200: 20, 429: 10 });
    await redis.restart();
    await untilCounted('redis', 2);
    expect(await ask(15)).toEqual({ 200: 20, 429: 10 });
  });

  test('nothing is limited, where onStoreFailure is open', async () => {
    await start(1, 3, { limits: { onStoreFailure: 'open' } });
    await redis.kill();
    expect(await ask(10)).toEqual({ 200: 10 });
    await untilCounted('open', 1);
  });

  test('what is limited is refused, where onStoreFailure is closed', async () => {
    await start(1, 3, { limits: { onStoreFailure: 'closed' } });
    await redis.kill();
    const { status, headers, json } = await post(gateways[0]!);
    expect([status, headers['retry-after'], json().code]).toEqual([503, '1', 'LIMITS_UNAVAILABLE']);
    expect((await send(`${gateways[0]!.url}/things`)).status).toBe(200);
  });
});
