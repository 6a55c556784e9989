import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startRedisSentinel, type TestRedisGroup } from '../support/redis-topologies.ts';
import { Instances, paidBy, statusesOf, type StoreFailure } from './instances.ts';

/**
 * "The budget's law" of DESIGN.md with real processes: four gateways, one Redis, 200 clients at once of one consumer, by REST and by
 * GraphQL. What was admitted is counted by the services themselves. Whoever is answered while Redis is stopped did not wait
 * for it, since nothing could have answered him.
 */

const quota = 200;
const sliding = { name: 'hour', algorithm: 'sliding-window', quota, window: '1h' } as const;
const modes: readonly StoreFailure[] = ['local-share', 'open', 'closed'];
const cases = ['paused', 'emptied'] as const;
const consumers = Object.fromEntries(modes.flatMap((mode) => cases.map((what) => [`${mode}-${what}`, sliding])));

let redis: TestRedis;
let instances: Instances;

describe('Four instances and one Redis, 200 clients of one consumer at both doors', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    redis = await startRedis();
    // A busy machine may be slower than 25 ms; what does not wait for Redis does not for a minute either.
    instances = await Instances.start(
      { url: redis.url, timeout: '2s', connectTimeout: '1m' },
      {
        window: sliding,
        bucket: { name: 'burst', algorithm: 'token-bucket', quota: 20, window: '1s', burst: 100 },
        ...consumers,
      },
    );
    await instances.counting('redis');
  }, 120_000);

  afterAll(async () => {
    redis.resume();
    await instances.stop();
    await redis.close();
  });

  test('of a sliding window admit the quota, not a call less nor more, and all say that nothing is left', async () => {
    await instances.on('closed');
    const before = await instances.calls();
    const crowd = instances.crowd('window');
    await crowd.more(300);
    const sent = await crowd.stop();
    expect(Object.keys(statusesOf(sent))).toEqual(['200', '429']);
    for (const method of ['GET', 'POST'])
      expect(Object.keys(statusesOf(sent.filter((each) => each.method === method)))).toEqual(['200', '429']);
    const admitted = (await instances.calls()) - before;
    expect(paidBy(sent)).toBe(admitted);
    expect(admitted).toBeLessThanOrEqual(quota);
    // What operations had reserved and not used is there for whoever asks next.
    await expect.poll(() => instances.left('window')).toEqual(Array.from({ length: 4 }, () => quota - admitted));
    await instances.exhaust('window');
    expect((await instances.calls()) - before).toBe(quota);
    expect(await instances.left('window')).toEqual([0, 0, 0, 0]);
  });

  test('of a token bucket admit its burst, and its rate times the time', async () => {
    await instances.on('closed');
    const before = await instances.calls();
    const begunMs = performance.now();
    const crowd = instances.crowd('bucket');
    await crowd.more(300);
    const sent = await crowd.stop();
    // Two clocks in whole milliseconds.
    const seconds = (performance.now() - begunMs + 2) / 1_000;
    const admitted = (await instances.calls()) - before;
    expect(Object.keys(statusesOf(sent))).toEqual(['200', '429']);
    expect(paidBy(sent)).toBe(admitted);
    expect(admitted).toBeLessThanOrEqual(100 + 20 * seconds);
    expect(admitted).toBeGreaterThanOrEqual(100);
  });

  describe('while Redis is paused', () => {
    test('admit one further quota by their shares, however often it is, and nobody waits or gets a 500', async () => {
      await instances.on('local-share');
      const before = await instances.calls();
      const crowd = instances.crowd('local-share-paused');
      await crowd.refused();
      for (let turn = 0; turn < 2; turn++) {
        redis.pause();
        await instances.counting('local-share');
        await crowd.refused();
        await crowd.more(100);
        redis.resume();
        await instances.counting('redis');
        await crowd.more(100);
      }
      const sent = await crowd.stop();
      expect(Object.keys(statusesOf(sent))).toEqual(['200', '429']);
      const admitted = (await instances.calls()) - before;
      expect(paidBy(sent)).toBe(admitted);
      expect(admitted).toBeGreaterThan(quota);
      expect(admitted).toBeLessThanOrEqual(2 * quota);
    });

    test.each([
      ['open', { 200: 200 }],
      ['closed', { 503: 200 }],
    ] as const)(
      'are %s, and what was asked of Redis meanwhile does nothing when it goes on',
      async (mode, statuses) => {
        const consumer = `${mode}-paused`;
        await instances.on(mode);
        await instances.once(consumer, 40);
        const [left] = await settledLeft(consumer);
        const [before, ran, failed] = [await instances.calls(), await scriptsRun(), await lostQuestions()];
        redis.pause();
        expect(await instances.once(consumer)).toEqual(statuses);
        // Of each instance at least one had asked before it knew.
        const lost = (await lostQuestions()) - failed;
        expect(lost).toBeGreaterThanOrEqual(4);
        redis.resume();
        await instances.counting('redis');
        expect(await scriptsRun()).toBeGreaterThanOrEqual(ran + lost);
        expect(await instances.left(consumer)).toEqual(Array.from({ length: 4 }, () => left));
        if (mode === 'closed') expect(await instances.calls()).toBe(before);
      },
    );
  });

  describe('when Redis is gone and comes back empty', () => {
    test('admit one further quota by their shares and one of the new Redis', async () => {
      await instances.on('local-share');
      const before = await instances.calls();
      const crowd = instances.crowd('local-share-emptied');
      await crowd.refused();
      await redis.kill();
      await instances.counting('local-share');
      await crowd.refused();
      await redis.restart();
      await instances.counting('redis');
      await crowd.more(200);
      const sent = await crowd.stop();
      expect(Object.keys(statusesOf(sent))).toEqual(['200', '429']);
      const admitted = (await instances.calls()) - before;
      expect(paidBy(sent)).toBe(admitted);
      expect(admitted).toBeGreaterThan(2 * quota);
      expect(admitted).toBeLessThanOrEqual(3 * quota);
    });

    test('refuse while it is gone where they are closed, then admit one further quota', async () => {
      await instances.on('closed');
      const before = await instances.calls();
      const crowd = instances.crowd('closed-emptied');
      await crowd.refused();
      await redis.kill();
      await instances.counting('closed');
      await crowd.turn();
      const during = await instances.calls();
      await crowd.more(100);
      expect(await instances.calls()).toBe(during);
      await redis.restart();
      await instances.counting('redis');
      await crowd.more(200);
      const sent = await crowd.stop();
      expect(Object.keys(statusesOf(sent))).toEqual(['200', '429', '503']);
      for (const { status, headers } of sent) if (status === 503) expect(headers['retry-after']).toBe('1');
      const admitted = (await instances.calls()) - before;
      expect(paidBy(sent)).toBe(admitted);
      expect(during - before).toBeLessThanOrEqual(quota);
      expect(admitted - (during - before)).toBeLessThanOrEqual(quota);
    });

    test('admit whoever asks while it is gone where they are open, then one further quota', async () => {
      await instances.on('open');
      const consumer = 'open-emptied';
      const before = await instances.calls();
      expect(Object.keys(await instances.once(consumer, 400))).toEqual(['200', '429']);
      expect((await instances.calls()) - before).toBeLessThanOrEqual(quota);
      await redis.kill();
      await instances.counting('open');
      expect(await instances.once(consumer, 400)).toEqual({ 200: 400 });
      await redis.restart();
      await instances.counting('redis');
      const after = await instances.calls();
      expect(Object.keys(await instances.once(consumer, 400))).toEqual(['200', '429']);
      await settledLeft(consumer);
      await instances.exhaust(consumer);
      expect((await instances.calls()) - after).toBe(quota);
    });
  });
});

/** What all say alike, once what is under way is settled. */
async function settledLeft(consumer: string): Promise<number[]> {
  let left: number[] = [];
  await expect
    .poll(async () => {
      const last = left;
      left = await instances.left(consumer);
      return left.every((each, place) => each === left[0] && each === last[place]);
    })
    .toBe(true);
  return left;
}

function lostQuestions(): Promise<number> {
  return instances.metric('weir_limits_store_failures_total');
}

/** As Redis counts them. */
async function scriptsRun(): Promise<number> {
  const stats = await redis.client.info('commandstats');
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)![1]);
}

describe('Four instances and a Redis that sentinels watch, 200 clients at both doors', { timeout: 120_000 }, () => {
  let group: TestRedisGroup;

  beforeAll(async () => {
    group = await startRedisSentinel('weir-main');
    instances = await Instances.start(
      { url: 'redis://weir-main', sentinels: group.addresses, timeout: '2s' },
      { failover: sliding },
    );
    await instances.counting('redis');
  }, 120_000);

  afterAll(async () => {
    for (const server of group.servers) server.resume();
    await instances.stop();
    await group.close();
  });

  test('go over to the new primary when the old one hangs, and when it dies, and admit one further quota at each loss', async () => {
    const [first, second] = group.servers as [TestRedis, TestRedis];
    const before = await instances.calls();
    const crowd = instances.crowd('failover');
    await crowd.refused();
    await instances.losing(() => first.pause());
    await crowd.refused();
    // The old one is still silent: it is the new one that they have found.
    await instances.counting('redis');
    await crowd.more(100);
    expect((await instances.calls()) - before).toBeLessThanOrEqual(3 * quota);
    first.resume();
    await expect.poll(() => first.client.info('replication'), { timeout: 60_000 }).toMatch(/role:slave[^]*status:up/);
    await instances.losing(() => second.kill());
    await instances.counting('redis');
    await crowd.more(100);
    const sent = await crowd.stop();
    expect(Object.keys(statusesOf(sent))).toEqual(['200', '429']);
    const admitted = (await instances.calls()) - before;
    expect(paidBy(sent)).toBe(admitted);
    expect(admitted).toBeGreaterThan(quota);
    expect(admitted).toBeLessThanOrEqual(4 * quota);
  });
});
