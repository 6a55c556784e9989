import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '#core/log.ts';
import { RedisStore } from '#gateway/redis/redis-store.ts';
import { redisSchema } from '#gateway/redis/settings.ts';
import { Instances } from '#policies/limits/shared/instances.ts';
import { TestClock } from '../support/clock.ts';
import { until } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

/** By how many a quota is divided while Redis does not answer: "local-share" of docs/limits.md. */

let redis: TestRedis;
let store: RedisStore;
let clock: TestClock;
let instances: Instances[];

beforeAll(async () => {
  redis = await startRedis();
  store = new RedisStore(redisSchema.parse({ url: redis.url, timeout: '10s' }), silentLogger);
  store.start();
  await until(() => store.up);
});

beforeEach(async () => {
  await redis.client.flushall();
  clock = new TestClock();
  instances = [new Instances(store, clock, 1), new Instances(store, clock, 1), new Instances(store, clock, 1)];
  for (const instance of [...instances, ...instances]) await instance.beat();
  expect(shares()).toEqual([3, 3, 3]);
});

afterAll(async () => {
  store.stop();
  await redis.close();
});

const shares = () => instances.map(({ live }) => live);

describe('An instance', () => {
  test('is counted for as long as a Redis that came back empty may not have heard of it again', async () => {
    await redis.client.flushall();
    const [first, second] = instances as [Instances, Instances, Instances];
    // Did this one believe what it hears and Redis went away again, it alone would take what all three may.
    await first.beat();
    expect(first.live).toBe(3);
    clock.advance(9_999);
    await second.beat();
    await first.beat();
    expect(first.live).toBe(3);
  });

  test('that others have not heard of for ten seconds has no share any more', async () => {
    const [first, second, third] = instances as [Instances, Instances, Instances];
    await third.leave();
    await first.beat();
    await second.beat();
    expect([first.live, second.live]).toEqual([3, 3]);
    clock.advance(10_000);
    await first.beat();
    await second.beat();
    expect([first.live, second.live]).toEqual([2, 2]);
  });

  test('has a share from the moment that it is heard of', async () => {
    const another = new Instances(store, clock, 1);
    await another.beat();
    expect(another.live).toBe(4);
    await instances[0]!.beat();
    expect(instances[0]!.live).toBe(4);
  });
});
