import * as fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Charge, type LimitStore } from '#policies/limits/charge.ts';
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

  test('knows no edge of a sliding window: what was used at the end of a minute counts at the beginning of the next', async () => {
    const limits = limitsOf(sliding);
    clock.advance(59_999);
    expect((await ask(place.store, limits, 10_000)).admitted).toBe(true);
    clock.advance(1);
    expect((await ask(place.store, limits, 1)).admitted).toBe(false);
    // It counts in full for as long as any moment of its thirtieth is within the window.
    clock.advance(59_999);
    expect((await ask(place.store, limits, 1)).admitted).toBe(false);
    clock.advance(1);
    expect((await ask(place.store, limits, 10_000)).admitted).toBe(true);
  });

  test('gets the whole quota of a fixed window from its first millisecond on, and none of it in the last of the one before', async () => {
    const limits = limitsOf(fixed);
    clock.advance(59_999);
    expect((await ask(place.store, limits, 10_000)).admitted).toBe(true);
    expect(await ask(place.store, limits, 1)).toMatchObject({ admitted: false, waitMs: [1] });
    clock.advance(1);
    expect((await ask(place.store, limits, 10_000)).admitted).toBe(true);
    clock.advance(59_999);
    expect((await ask(place.store, limits, 1)).admitted).toBe(false);
    clock.advance(1);
    expect((await ask(place.store, limits, 1)).admitted).toBe(true);
  });

  test('takes the burst of a token bucket at once, then what drips, to the millisecond', async () => {
    const limits = limitsOf(bucket);
    expect((await ask(place.store, limits, 30_001)).waitMs).toEqual([Number.POSITIVE_INFINITY]);
    expect((await ask(place.store, limits, 30_000)).admitted).toBe(true);
    for (let call = 0; call < 3; call++) {
      clock.advance(99);
      expect(await ask(place.store, limits, 1_000)).toMatchObject({ admitted: false, waitMs: [1] });
      clock.advance(1);
      expect((await ask(place.store, limits, 1_000)).admitted).toBe(true);
    }
    // Full is full, however long nobody asks.
    clock.advance(86_400_000);
    expect((await ask(place.store, limits, 30_000)).admitted).toBe(true);
    expect((await ask(place.store, limits, 1)).admitted).toBe(false);
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

  test('that is settled in another window gives back what still counts there, and a debt follows it', async () => {
    const limits = limitsOf(sliding, bucket, fixed);
    clock.advance(59_000);
    const first = await ask(place.store, limits, 10_000);
    // Another minute, of which the sliding window still has what was taken; the bucket has filled up by ten.
    clock.advance(2_000);
    place.store.settle(first, [4_000, 4_000, 4_000]);
    await place.settled();
    expect((await ask(place.store, limits, 1_000)).room).toEqual([3_000, 29_000, 9_000]);
    clock.advance(56_000);
    const second = await ask(place.store, limits, 3_000);
    expect(second.room).toEqual([0, 27_000, 6_000]);
    clock.advance(4_000);
    place.store.settle(second, [-5_000, -5_000, -5_000]);
    await place.settled();
    // What was owed counts from when it became known: in the window of today.
    const later = await ask(place.store, limits, 1);
    expect(later.admitted).toBe(true);
    expect(later.room).toEqual([999, 24_999, 4_999]);
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

  test('never gets more than a quota by a clock that is set forward, and is not kept waiting for longer by it', async () => {
    const limits = limitsOf(sliding, bucket, fixed);
    await ask(place.store, limits, 10_000);
    clock.set('2026-01-01T12:00:00.000Z');
    // What is asked by a clock that Redis has left behind comes too late for it; its answer puts that right.
    await ask(place.store, limits, 0).catch(() => {});
    let admitted = 0;
    while ((await ask(place.store, limits, 1_000)).admitted) admitted++;
    expect(admitted).toBeLessThanOrEqual(10);
    clock.advance(62_000);
    expect((await ask(place.store, limits, 10_000)).admitted).toBe(true);
  });
});

test('What one slot of a cluster has admitted is given back where another refuses', async () => {
  const clock = new TestClock();
  const { store, settled } = await redis.at(clock, true);
  const limits = limitsOf(sliding, { ...fixed, quota: 1 });
  const charge = new Charge(limits, 'local-share');
  for (const [index, payer] of ['acme', 'everybody'].entries()) {
    charge.payers[index] = payer;
    charge.amounts[index] = 2_000;
  }
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

interface Admitted {
  readonly charge: Charge;
  readonly store: LimitStore;
  readonly atMs: number;
  /** What it came to; all of it until it is settled. */
  paid: number;
}

const sum = (some: readonly Admitted[]) => some.reduce((total, { paid }) => total + paid, 0);

/** What `DESIGN.md` promises of three limits that count together, after each admission. */
function expectPromises(all: readonly Admitted[], nowMs: number): void {
  const minute = 60_000;
  expect(sum(all.filter(({ atMs }) => atMs > nowMs - minute))).toBeLessThanOrEqual(10_000);
  const full = Math.floor(nowMs / minute);
  expect(sum(all.filter(({ atMs }) => Math.floor(atMs / minute) === full))).toBeLessThanOrEqual(10_000);
  for (const { atMs } of all)
    expect(sum(all.filter((each) => each.atMs >= atMs))).toBeLessThanOrEqual(30_000 + (nowMs - atMs) * 10);
}

function decisionOf({ admitted, room, waitMs, nextMs, restMs }: Charge): object {
  return { admitted, room, waitMs, nextMs, restMs };
}

describe('Over any interleaving', { timeout: 120_000 }, () => {
  test.each([
    ['memory', 500, (clock: TestClock) => Promise.resolve(memory(clock))],
    ['Redis', 150, (clock: TestClock) => redis.at(clock)],
    ['a Redis Cluster', 50, (clock: TestClock) => redis.at(clock, true)],
  ])(
    'two instances over %s admit no more than the quota in any window, and no refund exceeds its reservation',
    async (_store, numRuns, open) => {
      await fc.assert(
        fc.asyncProperty(steps, async (run) => {
          const clock = new TestClock();
          const place = await open(clock);
          const instances = [place.store, place.another()];
          const limits = limitsOf(sliding, bucket, fixed);
          const all: Admitted[] = [];
          const under: Admitted[] = [];
          for (const { afterMs, amount, used, what, who } of run) {
            clock.advance(afterMs);
            const store = instances[who]!;
            if (what === 'ask') {
              const charge = await ask(store, limits, amount);
              if (!charge.admitted) continue;
              const admitted = { charge, store, atMs: clock.epochMs(), paid: amount };
              all.push(admitted);
              under.push(admitted);
              expectPromises(all, clock.epochMs());
              continue;
            }
            const settled = under.shift();
            if (!settled) continue;
            const reserved = settled.paid;
            settled.paid = Math.round(reserved * Math.min(1, used));
            const before = (await ask(store, limits, 0)).room;
            settled.store.settle(
              settled.charge,
              limits.map(() => reserved - settled.paid),
            );
            await place.settled();
            const after = (await ask(store, limits, 0)).room;
            for (const [index, room] of after.entries()) {
              expect(room).toBeGreaterThanOrEqual(before[index]!);
              expect(room - before[index]!).toBeLessThanOrEqual(reserved - settled.paid);
            }
          }
        }),
        { numRuns },
      );
    },
  );

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
