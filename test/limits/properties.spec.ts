import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Counter, Rule } from '#policies/limits/counters/counter.ts';
import { FixedWindow } from '#policies/limits/counters/fixed-window.ts';
import { SlidingWindow } from '#policies/limits/counters/sliding-window.ts';
import { TokenBucket } from '#policies/limits/counters/token-bucket.ts';
import { ruleFor } from './rules.ts';

/** "The budget's law" of DESIGN.md over any interleaving of reservations and settlements. */

const start = 1_767_225_600_000;

/** Some time passes; then something new asks, or the oldest, or the newest, of what is open is settled. */
const steps = fc.array(
  fc.record({
    afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 4_000 })),
    amount: fc.integer({ min: 1, max: 10_000 }),
    /** Of what was reserved. */
    used: fc.double({ min: 0, max: 1, noNaN: true }),
    what: fc.constantFrom('ask', 'ask', 'settle oldest', 'settle newest'),
  }),
  { minLength: 1, maxLength: 120 },
);

interface Admitted {
  readonly at: number;
  readonly amount: number;
  /** What it came to; all of it until it is settled. */
  paid: number;
}

type Steps = typeof steps extends fc.Arbitrary<infer T> ? T : never;

/** Plays the steps. @returns what was admitted; `held` sees it after each admission */
function play(counter: Counter, rule: Rule, run: Steps, held: (all: readonly Admitted[], now: number) => void): void {
  const all: Admitted[] = [];
  const open: Admitted[] = [];
  let now = start;
  for (const { afterMs, amount, used, what } of run) {
    now += afterMs;
    if (what === 'ask') {
      const room = counter.room(rule, now);
      const waitMs = counter.waitMs(rule, amount, now);
      expect(waitMs === 0).toBe(room >= amount);
      if (room < amount) continue;
      counter.take(rule, amount, now);
      const admitted = { at: now, amount, paid: amount };
      all.push(admitted);
      open.push(admitted);
      held(all, now);
    } else {
      const settled = what === 'settle oldest' ? open.shift() : open.pop();
      if (!settled) continue;
      const before = counter.room(rule, now);
      settled.paid = Math.round(settled.amount * used);
      const unused = settled.amount - settled.paid;
      counter.giveBack(rule, unused, settled.amount, settled.at, now);
      const back = counter.room(rule, now) - before;
      expect(back).toBeGreaterThanOrEqual(0);
      expect(back).toBeLessThanOrEqual(unused);
    }
  }
}

const sum = (some: readonly Admitted[]) => some.reduce((total, { paid }) => total + paid, 0);

describe('Over any interleaving', () => {
  const quota = 20_000;

  test('a sliding window never admits more than its quota in any window', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 10, max: 5_000 }), (run, windowMs) => {
        const rule = ruleFor('sliding-window', quota, windowMs);
        play(new SlidingWindow(rule, start), rule, run, (all, now) => {
          expect(sum(all.filter(({ at }) => at > now - windowMs))).toBeLessThanOrEqual(quota);
        });
      }),
      { numRuns: 500 },
    );
  });

  test('a token bucket never admits more than its burst and its rate times the time', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 10, max: 5_000 }), (run, windowMs) => {
        const rule = ruleFor('token-bucket', quota, windowMs, quota + 5_000);
        play(new TokenBucket(start), rule, run, (all, now) => {
          for (const { at } of all) {
            const most = rule.capacity + ((now - at) * rule.drip) / rule.per;
            expect(sum(all.filter((each) => each.at >= at))).toBeLessThanOrEqual(most);
          }
        });
      }),
      { numRuns: 500 },
    );
  });

  test('a fixed window never admits more than its quota in a window of the clock', () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 10, max: 5_000 }), (run, windowMs) => {
        const rule = ruleFor('fixed-window', quota, windowMs);
        play(new FixedWindow(rule, start), rule, run, (all, now) => {
          const current = Math.floor(now / windowMs);
          const within = all.filter(({ at }) => Math.floor(at / windowMs) === current);
          expect(sum(within)).toBeLessThanOrEqual(quota);
        });
      }),
      { numRuns: 500 },
    );
  });

  test('whoever waits as long as he is told is admitted, and nobody is a millisecond before', () => {
    const kinds = ['sliding-window', 'token-bucket', 'fixed-window'] as const;
    fc.assert(
      fc.property(steps, fc.constantFrom(...kinds), fc.integer({ min: 1, max: quota }), (run, kind, amount) => {
        const rule = ruleFor(kind, quota, 3_000);
        const counter =
          kind === 'token-bucket'
            ? new TokenBucket(start)
            : kind === 'fixed-window'
              ? new FixedWindow(rule, start)
              : new SlidingWindow(rule, start);
        let now = start;
        play(counter, rule, run, (_all, at) => (now = at));
        now += run.reduce((total, { afterMs }) => total + afterMs, 0);
        const waitMs = counter.waitMs(rule, amount, now);
        if (waitMs > 0) expect(counter.room(rule, now + waitMs - 1)).toBeLessThan(amount);
        expect(counter.room(rule, now + waitMs)).toBeGreaterThanOrEqual(amount);
      }),
      { numRuns: 500 },
    );
  });
});
