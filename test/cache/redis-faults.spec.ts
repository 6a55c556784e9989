import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { format } from '#upstreams/cache/second-level/codec.ts';
import { untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startSlowLink } from '../support/slow-link.ts';
import { exposition } from '../telemetry/exposition.ts';
import { forgetMemory, shares, startSharing, untilShared } from './levels.ts';
import { asking, oneName, startCacheService, type CacheService } from './service.ts';

/** Two instances that share what they store, over a Redis that fails. Every request gets its right answer. */

let service: CacheService;
let redis: TestRedis;
let one: TestGateway;
let other: TestGateway;
const askOne = asking(() => one.url, oneName);
const askOther = asking(() => other.url, oneName);

beforeAll(async () => {
  service = await startCacheService();
});

beforeEach(async () => {
  redis = await startRedis();
  const config = {
    redis: { timeout: '250ms' },
    upstreams: { things: { endpoints: [service.url], identity: 'none' } },
    routes: [{ path: '/{*rest}', upstream: 'things' }],
  };
  [one, other] = await Promise.all([startSharing(redis, config), startSharing(redis, config)]);
});

afterEach(async () => {
  redis.resume();
  await Promise.all([untilIdle(one), untilIdle(other)]);
  await Promise.all([one.stop(), other.stop()]);
  await redis.close();
});

afterAll(() => service.close());

const patient = { timeout: 15_000 };
const fresh = { 'cache-control': 'max-age=3600' };
const statusOf = (answer: { headers: NodeJS.Dict<string | string[]> }) => String(answer.headers['cache-status']);

/** Asks for so many paths that nobody has asked for, each through both. */
async function askForNew(what: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const path = `/${what}/${index}`;
    service.answer(path, { headers: fresh, text: `${what} ${index}` });
    for (const ask of [askOne, askOther])
      expect(await ask(path)).toMatchObject({ status: 200, text: `${what} ${index}` });
    // What is in memory is a hit, whatever Redis does.
    expect(statusOf(await askOne(path))).toContain('hit');
  }
}

async function metric(gateway: TestGateway, name: string, outcome?: string): Promise<number> {
  const { samples } = exposition((await send(`${gateway.adminUrl}/metrics`)).text).get(name)!;
  const wanted = samples.filter(({ labels }) => outcome === undefined || labels.weir_cache_outcome === outcome);
  return wanted.reduce((sum, { value }) => sum + value, 0);
}

const reads = (outcome: string, gateway = one) => metric(gateway, 'weir_cache_redis_reads_total', outcome);
const writes = (outcome: string, gateway = one) => metric(gateway, 'weir_cache_redis_writes_total', outcome);

/** Lines of the log that tell of the cache's troubles. */
const lines = (what: string, gateway = one) => gateway.log.filter(({ msg }) => String(msg).includes(what));

/** What one has fetched is a hit for the other. */
async function isShared(path: string): Promise<boolean> {
  service.answer(path, { headers: fresh });
  await askOne(path);
  await untilShared(one);
  return statusOf(await askOther(path)).includes('hit');
}

/** Once both have noticed that Redis is there again. */
async function untilSharedAgain(): Promise<void> {
  let index = 0;
  await expect.poll(() => isShared(`/again/${index++}`), patient).toBe(true);
}

describe('A Redis that', { timeout: 60_000 }, () => {
  test('is stopped is done without, told of once, and used again when it is back, empty', async () => {
    expect(await isShared('/before')).toBe(true);
    await redis.kill();
    await until(() => !shares(one) && !shares(other));
    await askForNew('stopped', 20);
    expect(await reads('skipped')).toBeGreaterThanOrEqual(20);
    expect(await metric(one, 'weir_cache_redis_used')).toBe(0);
    expect(lines('redis lost').length).toBeLessThanOrEqual(2);
    await redis.restart();
    await untilSharedAgain();
    expect(await metric(one, 'weir_cache_redis_used')).toBe(1);
  });

  test('says nothing is waited for once, and then not at all', async () => {
    expect(await isShared('/before')).toBe(true);
    redis.pause();
    await askForNew('slow', 20);
    // Whoever asked before that was known has waited; those are few, however many come.
    expect(await reads('skipped')).toBeGreaterThan(0);
    expect((await reads('skipped')) + (await reads('failed'))).toBeGreaterThanOrEqual(20);
    expect(lines('goes on without Redis').length).toBeLessThanOrEqual(1);
    redis.resume();
    await untilSharedAgain();
  });

  test('is slow is not waited for either, and used again once it is quick', async () => {
    const link = await startSlowLink(redis.port);
    const slow = await startSharing(
      { url: `redis://127.0.0.1:${link.port}` },
      {
        redis: { timeout: '100ms' },
        upstreams: { things: { endpoints: [service.url], identity: 'none' } },
        routes: [{ path: '/{*rest}', upstream: 'things' }],
      },
    );
    const ask = asking(() => slow.url, oneName);
    try {
      service.answer('/quick', { headers: fresh });
      await ask('/quick');
      await untilShared(slow);
      expect(await reads('miss', slow)).toBe(1);
      // Waiting for each of what follows would take longer than this specification may.
      link.delayMs = 5_000;
      for (let index = 0; index < 30; index++) {
        service.answer(`/slow/${index}`, { headers: fresh, text: `slow ${index}` });
        expect(await ask(`/slow/${index}`)).toMatchObject({ status: 200, text: `slow ${index}` });
        expect(statusOf(await ask(`/slow/${index}`))).toContain('hit');
      }
      expect(await reads('skipped', slow)).toBeGreaterThan(0);
      expect((await reads('skipped', slow)) + (await reads('failed', slow))).toBe(30);
      link.delayMs = 0;
      await expect.poll(() => shares(slow), patient).toBe(true);
      service.answer('/later', { headers: fresh });
      await askOther('/later');
      await untilShared(other);
      expect(statusOf(await ask('/later'))).toContain('hit');
    } finally {
      await untilIdle(slow);
      await slow.stop();
      await link.close();
    }
  });

  test('says nothing while something is written keeps nobody from what is new', async () => {
    expect(await isShared('/written')).toBe(true);
    redis.pause();
    service.answer('/written', { status: 204 });
    expect((await askOne('/written', {}, { method: 'PUT', body: 'x' })).status).toBe(204);
    service.answer('/written', { headers: fresh, text: 'new' });
    expect((await askOne('/written')).text).toBe('new');
    redis.resume();
    await expect.poll(async () => (await askOther('/written')).text, patient).toBe('new');
    forgetMemory(one);
    await until(() => shares(one));
    expect((await askOne('/written')).text).toBe('new');
  });

  test('is full stores nothing more, is told of once, and what is written is invalid all the same', async () => {
    for (const path of ['/known', '/tagged', '/purged'])
      service.answer(path, { headers: { ...fresh, 'surrogate-key': 'blue' }, text: 'old' });
    await askOne('/known');
    await askOne('/tagged');
    await untilShared(one);
    await redis.client.config('SET', 'maxmemory', '1');
    await askForNew('full', 20);
    await expect.poll(() => writes('full'), patient).toBeGreaterThan(0);
    expect(lines('no memory left').length).toBe(1);
    // It is read as ever.
    expect((await askOther('/known')).text).toBe('old');
    service.answer('/known', { status: 204 });
    await askOne('/known', {}, { method: 'DELETE' });
    await untilShared(one);
    service.answer('/known', { headers: fresh, text: 'new' });
    service.answer('/tagged', { headers: fresh, text: 'new' });
    const purge = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"by":"ann","tag":"blue"}',
    };
    expect((await send(`${one.adminUrl}/admin/cache/purge`, purge)).status).toBe(200);
    await untilShared(one);
    for (const path of ['/known', '/tagged'])
      for (const ask of [askOne, askOther]) await expect.poll(async () => (await ask(path)).text, patient).toBe('new');
    await redis.client.config('SET', 'maxmemory', '0');
    await untilSharedAgain();
  });

  test('starts again empty gives back nothing of what was, and what was under way is not stored in it', async () => {
    expect(await isShared('/before')).toBe(true);
    await redis.restart();
    await until(() => shares(one) && shares(other));
    forgetMemory(one);
    service.answer('/before', { headers: fresh, text: 'after' });
    expect((await askOne('/before')).text).toBe('after');
    await untilSharedAgain();
  });

  test.each([
    ['is cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 3)],
    ['is empty', () => Buffer.alloc(0)],
    ['has bytes turned', (bytes: Buffer) => turned(bytes, bytes.length - 2)],
    ['claims a body of 4 GiB', (bytes: Buffer) => turned(bytes, 8)],
    ['claims a head beyond its end', (bytes: Buffer) => turned(bytes, 12)],
    ['is of another format', (bytes: Buffer) => turned(bytes, 4)],
    ['is about something else', (bytes: Buffer) => turned(bytes, 40)],
    ['is noise', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 32), randomBytes(500)])],
    ['is larger than any may be', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(4_000_000)])],
    ['has the lease of another time', (bytes: Buffer) => turned(bytes, 20)],
  ])('has a record that %s has none', async (_, spoil) => {
    service.answer('/spoilt', { headers: fresh, text: 'stored '.repeat(300) });
    await askOne('/spoilt');
    await untilShared(one);
    const records = await redis.client.keys(`*cache:{*}:${format}:*`);
    expect(records).toHaveLength(1);
    const bytes = (await redis.client.getBuffer(records[0]!))!;
    await redis.client.set(records[0]!, spoil(bytes), 'KEEPTTL');
    const answer = await askOther('/spoilt');
    expect(answer).toMatchObject({ status: 200, text: 'stored '.repeat(300) });
    expect(statusOf(answer)).toContain('fwd=uri-miss');
    // It has been put right.
    await untilShared(other);
    forgetMemory(one);
    expect(statusOf(await askOne('/spoilt'))).toContain('hit');
  });

  test('has keys of other types where answers would be does no harm', async () => {
    service.answer('/typed', { headers: fresh });
    await askOne('/typed');
    await untilShared(one);
    for (const key of await redis.client.keys('*cache:{*}:*')) {
      if (key.includes('{state}')) continue;
      await redis.client.del(key);
      await redis.client.rpush(key, 'what is this');
    }
    expect(await askOther('/typed')).toMatchObject({ status: 200, text: 'stored' });
    forgetMemory(one);
    expect(await askOne('/typed')).toMatchObject({ status: 200, text: 'stored' });
    expect((await reads('failed', other)) + (await writes('failed', other))).toBeGreaterThan(0);
  });

  test('has what cannot be read counts it all, and tells of it once', async () => {
    for (let index = 0; index < 10; index++) {
      service.answer(`/broken/${index}`, { headers: fresh });
      await askOne(`/broken/${index}`);
    }
    await untilShared(one);
    for (const key of await redis.client.keys(`*cache:{*}:${format}:*`)) {
      const bytes = (await redis.client.getBuffer(key))!;
      await redis.client.set(key, turned(bytes, bytes.length - 1), 'KEEPTTL');
    }
    for (let index = 0; index < 10; index++) expect((await askOther(`/broken/${index}`)).text).toBe('stored');
    expect(await reads('broken', other)).toBe(10);
    expect(lines('cannot be read, and is not used', other)).toHaveLength(1);
  });
});

function turned(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 0xff;
  return copy;
}
