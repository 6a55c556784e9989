import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Charge } from '#policies/limits/charge.ts';
import { TestClock } from '../support/clock.ts';
import { ask, limitsOf, memory, RedisUnderClock, type TestStore } from './stores.ts';

/** One suite over both stores, and what they must have in common. */

let redis: RedisUnderClock;

beforeAll(async () => {
  redis = await RedisUnderClock.start();
});

afterAll(() => redis.stop());

const sliding = { name: 'minute', algorithm: 'sliding-window', quota: 10, window: '1m' };
const bucket = { name: 'burst', algorithm: 'token-bucket', quota: 10, window: '1s', burst: 30 };
const fixed = { name: 'fixed', algorithm: 'fixed-window', quota: 10, window: '1m' };
const concurrent = { name: 'once', unit: 'concurrent', quota: 2 };

describe.each([
  ['memory', (clock: TestClock) => Promise.resolve(memory(clock))],
  ['Redis', (clock: TestClock) => redis.at(clock)],
  ['a Redis Cluster', (clock: TestClock) => redis.at(clock, true)],
])('A charge in %s', (_name, open) => {
  let clock: TestClock;
  let place: TestStore;

  beforeEach(async () => {
    clock = new TestClock();
    place = await open(clock);
  });

  test.each([
    ['sliding window', sliding, 62_000],
    ['token bucket', { ...bucket, burst: 10 }, 1_000],
    ['fixed window', fixed, 60_000],
  ])('takes exactly the quota of a %s, says how long to wait, and holds to it', async (_kind, settings, waitMs) => {
    const limits = limitsOf(settings);
    expect(await ask(place.store, limits, 9_999)).toMatchObject({ admitted: true, room: [1] });
    expect(await ask(place.store, limits, 2)).toMatchObject({ admitted: false, room: [1] });
    expect(await ask(place.store, limits, 1)).toMatchObject({ admitted: true, room: [0] });
    const refused = await ask(place.store, limits, 10_000);
    expect(refused).toMatchObject({ admitted: false, waitMs: [waitMs] });
    clock.advance(waitMs - 1);
    expect((await ask(place.store, limits, 10_000)).admitted).toBe(false);
    clock.advance(1);
    expect((await ask(place.store, limits, 10_000)).admitted).toBe(true);
  });

  test('is one decision: what one limit refuses costs nothing in the others', async () => {
    const limits = limitsOf(sliding, { ...bucket, quota: 2, burst: 2 });
    expect((await ask(place.store, limits, 3_000)).admitted).toBe(false);
    const admitted = await ask(place.store, limits, 2_000);
    expect(admitted).toMatchObject({ admitted: true, room: [8_000, 0] });
    expect((await ask(place.store, limits, 1_000)).waitMs).toEqual([0, 500]);
  });

  test('counts nothing in a limit that only reports where that would have refused', async () => {
    const limits = limitsOf(sliding, { ...fixed, quota: 1, shadow: true });
    const charge = await ask(place.store, limits, 2_000);
    expect([charge.admitted, charge.counted(0), charge.counted(1)]).toEqual([true, true, false]);
    expect(charge.room).toEqual([8_000, 1_000]);
  });

  test('is settled by what it came to: the rest is given back, what is missing is owed', async () => {
    const limits = limitsOf(sliding, bucket, fixed);
    const first = await ask(place.store, limits, 10_000);
    place.store.settle(first, [7_000, 7_000, 7_000]);
    await place.settled();
    const second = await ask(place.store, limits, 5_000);
    expect(second).toMatchObject({ admitted: true, room: [2_000, 22_000, 2_000] });
    place.store.settle(second, [-4_000, -4_000, -4_000]);
    await place.settled();
    expect((await ask(place.store, limits, 1_000)).room).toEqual([-2_000, 18_000, -2_000]);
  });

  test('gives nothing back that no longer counts', async () => {
    const limits = limitsOf(sliding, bucket, fixed);
    const first = await ask(place.store, limits, 5_000);
    clock.advance(70_000);
    const second = await ask(place.store, limits, 5_000);
    place.store.settle(first, [5_000, 5_000, 5_000]);
    await place.settled();
    expect(second.room).toEqual([5_000, 25_000, 5_000]);
    expect((await ask(place.store, limits, 1)).room).toEqual([4_999, 24_999, 4_999]);
  });

  test('of what is under way at once is held until it ends', async () => {
    const limits = limitsOf(concurrent);
    const [first] = [await ask(place.store, limits, 0), await ask(place.store, limits, 0)];
    expect(await ask(place.store, limits, 0)).toMatchObject({ admitted: false, waitMs: [1_000] });
    place.store.settle(first, [1_000]);
    await place.settled();
    expect((await ask(place.store, limits, 0)).admitted).toBe(true);
    expect((await ask(place.store, limits, 0)).admitted).toBe(false);
  });

  test('is for whom it names: others have counters of their own', async () => {
    const limits = limitsOf(sliding);
    expect((await ask(place.store, limits, 10_000, 'acme')).admitted).toBe(true);
    expect((await ask(place.store, limits, 10_000, 'other {acme}')).admitted).toBe(true);
    expect((await ask(place.store, limits, 1, 'acme')).admitted).toBe(false);
  });

  test('never gets a fresh quota by a clock that is set back', async () => {
    const limits = limitsOf(sliding, bucket, fixed);
    await ask(place.store, limits, 10_000);
    clock.set('2025-12-31T20:00:00.000Z');
    expect((await ask(place.store, limits, 1)).admitted).toBe(false);
  });
});

test('What one slot of a cluster has admitted is given back where another refuses', async () => {
  const clock = new TestClock();
  const { store, settled } = await redis.at(clock, true);
  const limits = limitsOf(sliding, { ...fixed, quota: 1 });
  const charge = new Charge(limits, ['acme', 'everybody'], [2_000, 2_000], 'local-share');
  await store.charge(charge);
  expect([charge.admitted, charge.room]).toEqual([false, [8_000, 1_000]]);
  await settled();
  expect((await ask(store, limits.slice(0, 1), 10_000)).admitted).toBe(true);
});

const steps = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 90_000 })),
    amount: fc.integer({ min: 1, max: 12_000 }),
    used: fc.double({ min: 0, max: 1.5, noNaN: true }),
    what: fc.constantFrom('ask', 'ask', 'settle'),
    who: fc.constantFrom(0, 1),
  }),
  { minLength: 1, maxLength: 40 },
);

function decisionOf({ admitted, room, waitMs, restMs }: Charge): object {
  return { admitted, room, waitMs, restMs };
}

describe('Over any interleaving', { timeout: 120_000 }, () => {
  test('two instances on one Redis decide what one does in memory, to the thousandth and the millisecond', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (run) => {
        const clock = new TestClock();
        const shared = await redis.at(clock);
        const instances = [shared.store, shared.another()];
        const alone = memory(clock).store;
        const limits = limitsOf(sliding, bucket, { ...fixed, quota: 40 });
        const open: { readonly shared: Charge; readonly alone: Charge; readonly who: number }[] = [];
        for (const { afterMs, amount, used, what, who } of run) {
          clock.advance(afterMs);
          if (what === 'ask') {
            const decided = {
              shared: await ask(instances[who]!, limits, amount),
              alone: await ask(alone, limits, amount),
              who,
            };
            expect(decisionOf(decided.shared)).toEqual(decisionOf(decided.alone));
            if (decided.alone.admitted) open.push(decided);
            continue;
          }
          const settled = open.shift();
          if (!settled) continue;
          const changes = settled.alone.amounts.map((taken) => taken - Math.round(taken * used));
          alone.settle(settled.alone, changes);
          instances[settled.who]!.settle(settled.shared, changes);
          await shared.settled();
        }
      }),
      { numRuns: 60 },
    );
  });
});
