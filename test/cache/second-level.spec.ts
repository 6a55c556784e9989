import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { silentLogger } from '#core/log.ts';
import { noMeter } from '#core/meter.ts';
import { RedisStore } from '#gateway/redis/redis-store.ts';
import { redisSchema } from '#gateway/redis/settings.ts';
import { Entry } from '#upstreams/cache/entry.ts';
import { decode, encode, format, type Stored } from '#upstreams/cache/second-level/codec.ts';
import { stateOf } from '#upstreams/cache/second-level/epochs.ts';
import { SecondLevel, type Question } from '#upstreams/cache/second-level/second-level.ts';
import type { Storing } from '#upstreams/cache/storing.ts';
import { until } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

/** The level below memory alone: what may be stored in it, by whom, and until when. */

let redis: TestRedis;
const stores: RedisStore[] = [];

beforeAll(async () => {
  redis = await startRedis();
});

afterEach(async () => {
  for (const store of stores.splice(0)) store.stop();
  await redis.client.config('SET', 'maxmemory', '0');
  await redis.client.flushall();
});

afterAll(() => redis.close());

const state = stateOf(['era', 'e', 'news', '0'])!;

/** A level of an instance of its own, of records of a format. */
async function level(version?: number): Promise<SecondLevel> {
  const store = new RedisStore(redisSchema.parse({ url: redis.url, timeout: '10s' }), silentLogger);
  stores.push(store);
  store.start();
  await until(() => store.up);
  const second = new SecondLevel(store, {
    clock: systemClock,
    log: silentLogger,
    meter: noMeter,
    maxEntryBytes: () => 100_000,
    upstreams: () => ['things', 'more'],
    ...(version !== undefined && { format: version }),
  });
  second.resume(state);
  return second;
}

const question = (target: string, more: Partial<Question> = {}): Question => ({
  upstream: 'things',
  target,
  partitions: ['all', 'own'],
  request: {},
  moment: 0,
  ...more,
});

function entry(target: string, text: string, tags: readonly string[] = [], partition = 'all'): Entry {
  const terms: Storing = {
    shared: true,
    bornMs: Date.now(),
    lifetimeMs: 60_000,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: 0,
    noCache: false,
    strict: false,
    vary: [],
    headers: { 'content-type': 'text/plain' },
  };
  return new Entry(target, partition, { status: 200, body: Buffer.from(text), tags, shown: [] }, terms, {});
}

async function textsOf(second: SecondLevel, target: string, more: Partial<Question> = {}): Promise<string[]> {
  const { found } = await second.look(question(target, more));
  return found.map(({ stored }) => stored.body.toString());
}

describe('An answer', () => {
  test('is stored with the lease of its path, and found by another instance', async () => {
    const [one, other] = [await level(), await level()];
    const { lease, found } = await one.look(question('/a'));
    expect(found).toEqual([]);
    await one.put(lease!, 'things', entry('/a', 'stored'));
    expect(await textsOf(other, '/a')).toEqual(['stored']);
    expect(await textsOf(other, '/a', { partitions: ['own'] })).toEqual([]);
    expect(await textsOf(other, '/a', { upstream: 'more' })).toEqual([]);
    expect(await textsOf(other, '/a?b')).toEqual([]);
  });

  test.each([
    ['its path was written', { upstream: 'things', paths: ['/a'] }],
    ['a tag of it was purged', { upstream: 'things', tags: ['blue'] }],
    ['a tag of it was purged everywhere', { tags: ['blue'] }],
  ])('is not stored once %s since it was asked for, whoever has not heard of it', async (_, news) => {
    const [slow, other] = [await level(), await level()];
    const { lease } = await slow.look(question('/a'));
    await other.forget(news);
    await slow.put(lease!, 'things', entry('/a', 'old', ['red', 'blue']));
    expect(await textsOf(other, '/a')).toEqual([]);
    // Who asks from then on may.
    const next = await other.look(question('/a'));
    await new Promise((resolve) => setTimeout(resolve, 2));
    const later = await other.look(question('/a'));
    expect(later.lease!.token).toEqual(next.lease!.token);
    await other.put(later.lease!, 'things', entry('/a', 'new', ['red', 'blue']));
    expect(await textsOf(slow, '/a')).toEqual(['new']);
  });

  test('is not stored once Redis has lost what it knew', async () => {
    const one = await level();
    const { lease } = await one.look(question('/a'));
    await redis.client.flushall();
    await one.put(lease!, 'things', entry('/a', 'old'));
    expect(await textsOf(one, '/a')).toEqual([]);
  });

  test('is not found any more once all of its upstream is invalid, and is not stored by who has not heard of it', async () => {
    const [slow, other] = [await level(), await level()];
    const { lease } = await slow.look(question('/a'));
    other.resume(stateOf(['era', 'e', 'news', '1', 'epoch:things', 'next'])!);
    await slow.put(lease!, 'things', entry('/a', 'old'));
    expect(await textsOf(other, '/a')).toEqual([]);
  });

  test('that was purged by tag while Redis is full is gone', async () => {
    const one = await level();
    const { lease } = await one.look(question('/a'));
    await one.put(lease!, 'things', entry('/a', 'old', ['blue']));
    await redis.client.config('SET', 'maxmemory', '1');
    await one.forget({ tags: ['blue'] });
    expect(await textsOf(one, '/a')).toEqual([]);
  });

  test('that expires leaves its tags', async () => {
    const one = await level();
    const { lease } = await one.look(question('/a'));
    const brief = entry('/a', 'brief', ['blue']);
    await one.put(lease!, 'things', Object.assign(brief, { terms: { ...brief.terms, lifetimeMs: 30 } }));
    await until(async () => (await redis.client.keys('*:tagged')).length === 0);
    // Others that have the tag stay longer; who is gone is taken off when one comes.
    const next = await one.look(question('/b'));
    await one.put(
      next.lease!,
      'things',
      Object.assign(entry('/b', 'brief', ['blue']), { terms: { ...brief.terms, lifetimeMs: 30 } }),
    );
    await new Promise((resolve) => setTimeout(resolve, 40));
    const last = await one.look(question('/c'));
    await one.put(last.lease!, 'things', entry('/c', 'long', ['blue']));
    const [tagged] = await redis.client.keys('*:tagged');
    expect(await redis.client.zcard(tagged!)).toBe(1);
  });
});

describe('Instances with records of different formats', () => {
  test('find nothing of each other, and are told by each other what is invalid', async () => {
    const [older, newer] = [await level(format - 1), await level()];
    for (const [second, text] of [
      [older, 'old format'],
      [newer, 'new format'],
    ] as const) {
      const { lease } = await second.look(question('/a'));
      await second.put(lease!, 'things', entry('/a', text, ['blue']));
    }
    expect(await textsOf(older, '/a')).toEqual(['old format']);
    const records = await redis.client.keys(`*cache:{*}:[${format - 1}${format}]:*`);
    expect(records).toHaveLength(2);
    await newer.forget({ upstream: 'things', paths: ['/a'] });
    expect(await textsOf(older, '/a')).toEqual([]);
    const { lease } = await older.look(question('/b'));
    await older.put(lease!, 'things', entry('/b', 'old format', ['blue']));
    await newer.forget({ tags: ['blue'] });
    expect(await textsOf(older, '/b')).toEqual([]);
  });
});

describe('The lock of a revalidation', () => {
  const stale = (second: SecondLevel, lockMs = 60_000) =>
    second.look(question('/a', { stale: { entry: entry('/a', 'stale'), lockMs } }));

  test('is held by one, until he has stored what he fetched', async () => {
    const [one, other] = [await level(), await level()];
    const mine = await stale(one);
    expect([mine.underWay, (await stale(other)).underWay]).toEqual([false, true]);
    await one.put(mine.lease!, 'things', entry('/a', 'fresh'));
    expect((await stale(other)).underWay).toBe(false);
  });

  test('is given back by who could fetch nothing, and by nobody else', async () => {
    const [one, other] = [await level(), await level()];
    const mine = await stale(one);
    const theirs = await stale(other);
    other.release(theirs.lease);
    expect((await stale(other)).underWay).toBe(true);
    one.release(mine.lease);
    await expect.poll(async () => (await stale(other)).underWay).toBe(false);
  });

  test('of who is gone does not last', async () => {
    const [one, other] = [await level(), await level()];
    expect((await stale(one, 50)).underWay).toBe(false);
    await expect.poll(async () => (await stale(other, 50)).underWay).toBe(false);
  });
});

describe('A record', () => {
  const identity = Buffer.alloc(32, 1);
  const lease = Buffer.alloc(16, 2);
  const sealed = { lease, identity };
  const { terms } = entry('/a', '');
  const answers = fc.record({
    status: fc.constantFrom(200, 203, 204, 301, 404),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 3_000 }),
      fc.nat(60_000).map((length) => new Uint8Array(length)),
    ),
    tags: fc.array(fc.string({ maxLength: 20 }), { maxLength: 5 }),
    shown: fc.subarray(['x-weir-consumer', 'authorization', 'cookie']),
    vary: fc.array(fc.constantFrom('accept-language', 'x-a'), { maxLength: 2 }),
    value: fc.stringMatching(/^[\x20-\x7e\xa0-\xff]{0,50}$/),
  });

  const stored = ({
    status,
    body,
    tags,
    shown,
    vary,
    value,
  }: typeof answers extends fc.Arbitrary<infer T> ? T : never) => {
    const headers = { 'x-one': value, 'x-several': [value, value], etag: '"1"' };
    return { status, body: Buffer.from(body), tags, shown, terms: { ...terms, vary, headers } } satisfies Stored;
  };

  test('holds what was put into it', async () => {
    await fc.assert(
      fc.asyncProperty(answers, async (answer) => {
        const written = stored(answer);
        expect(await decode(await encode(written, sealed), sealed, 100_000)).toEqual(written);
      }),
    );
  });

  test('of which any bytes are others, or any are missing or too many, is none', async () => {
    const changes = fc.record({ at: fc.nat(), by: fc.integer({ min: 1, max: 255 }), cut: fc.nat(40), add: fc.nat(40) });
    await fc.assert(
      fc.asyncProperty(answers, changes, async (answer, { at, by, cut, add }) => {
        const bytes = await encode(stored(answer), sealed);
        const turned = Buffer.from(bytes);
        turned[at % bytes.length]! ^= by;
        expect(await decode(turned, sealed, 100_000)).toBeUndefined();
        expect(await decode(bytes.subarray(0, bytes.length - 1 - cut), sealed, 100_000)).toBeUndefined();
        expect(await decode(Buffer.concat([bytes, Buffer.alloc(1 + add)]), sealed, 100_000)).toBeUndefined();
      }),
    );
  });

  test('of another answer, of another lease, or larger than what is stored, is none', async () => {
    const bytes = await encode(
      stored({ status: 200, body: new Uint8Array(5_000), tags: [], shown: [], vary: [], value: '' }),
      sealed,
    );
    expect(await decode(bytes, { lease, identity: Buffer.alloc(32, 3) }, 100_000)).toBeUndefined();
    expect(await decode(bytes, { lease: Buffer.alloc(16, 3), identity }, 100_000)).toBeUndefined();
    expect(await decode(bytes, sealed, 4_999)).toBeUndefined();
    expect(await decode(bytes, sealed, 5_000)).toBeDefined();
  });

  test('that is noise is none', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 500 }), async (noise) => {
        expect(await decode(Buffer.from(noise), sealed, 100_000)).toBeUndefined();
      }),
    );
  });
});
