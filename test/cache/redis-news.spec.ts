import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { untilIdle, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { inMemory, startSharing, untilShared } from './levels.ts';
import { asking, oneName, startCacheService, type CacheService } from './service.ts';

/** What instances tell each other of what is no longer so, where that does not come. */

let service: CacheService;
let redis: TestRedis;
let one: TestGateway;
let other: TestGateway;
const askOne = asking(() => one.url, oneName);
const askOther = asking(() => other.url, oneName);

beforeEach(async () => {
  service = await startCacheService();
  redis = await startRedis();
  const config = {
    upstreams: { things: { endpoints: [service.url], identity: 'none' } },
    routes: [{ path: '/{*rest}', upstream: 'things' }],
  };
  [one, other] = await Promise.all([startSharing(redis, config), startSharing(redis, config)]);
  await until(async () => (await redis.client.pubsub('NUMSUB', 'weir:v1:cache'))[1] === 2);
});

afterEach(async () => {
  await Promise.all([untilIdle(one), untilIdle(other)]);
  await Promise.all([one.stop(), other.stop()]);
  await redis.close();
  await service.close();
});

const patient = { timeout: 15_000 };

async function store(path: string): Promise<void> {
  service.answer(path, { headers: { 'cache-control': 'max-age=3600' } });
  await askOne(path);
  await untilShared(one);
}

/** It is a hit for neither instance. */
async function isGone(path: string): Promise<boolean> {
  const asked = { 'cache-control': 'only-if-cached' };
  const answers = [await askOne(path, asked), await askOther(path, asked)];
  return answers.every(({ status }) => status === 504);
}

describe('News of other instances that do not come', () => {
  const skew = (by: number) => redis.client.hincrby('weir:v1:-:cache:{state}', 'news', by);

  test('while the connection is lost, are made up for when it is back', async () => {
    await store('/cut');
    await askOther('/cut');
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await expect.poll(() => inMemory(other), patient).toBe(0);
  });

  test('although nothing seems lost, are missed by their number', async () => {
    await store('/silent');
    await askOther('/silent');
    expect(inMemory(other)).toBeGreaterThan(0);
    // As if something had been told, and had reached nobody.
    await expect.poll(async () => (await skew(1), inMemory(other)), patient).toBe(0);
    await expect
      .poll(() => other.log.some(({ msg }) => String(msg).startsWith('messages of other')), patient)
      .toBe(true);
  });

  test('and that Redis has forgotten itself, as a replica that takes over may, empty both levels', async () => {
    // There are news to forget.
    await askOne('/older', {}, { method: 'PUT', body: 'x' });
    await untilShared(one);
    await store('/older');
    await askOther('/older');
    await expect.poll(async () => (await skew(-1), inMemory(other)), patient).toBe(0);
    await expect.poll(() => isGone('/older'), patient).toBe(true);
  });
});
