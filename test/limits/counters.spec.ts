import { describe, expect, test } from 'vitest';
import type { Counter, Rule } from '#policies/limits/counters/counter.ts';
import { FixedWindow } from '#policies/limits/counters/fixed-window.ts';
import { SlidingWindow } from '#policies/limits/counters/sliding-window.ts';
import { TokenBucket } from '#policies/limits/counters/token-bucket.ts';
import { ruleFor } from './rules.ts';

/** Ten calls in a minute, counted in thousandths. */
const quota = 10_000;
const minute = 60_000;
/** A full minute of the clock. */
const start = 1_767_225_600_000;

/** Takes as one that is asked does: only what there is room for. */
function ask(counter: Counter, rule: Rule, amount: number, now: number): boolean {
  if (counter.room(rule, now) < amount) return false;
  counter.take(rule, amount, now);
  return true;
}

describe('A sliding window', () => {
  const rule = ruleFor('sliding-window', quota, minute);

  test('admits exactly its quota, and not a thousandth more', () => {
    const window = new SlidingWindow(rule, start);
    expect(ask(window, rule, quota - 1, start)).toBe(true);
    expect(ask(window, rule, 2, start)).toBe(false);
    expect(ask(window, rule, 1, start)).toBe(true);
    expect(ask(window, rule, 1, start)).toBe(false);
  });

  test('gives back what has left the window, at most a thirtieth of it later, and says when to the millisecond', () => {
    const window = new SlidingWindow(rule, start);
    ask(window, rule, quota, start + 500);
    const waitMs = window.waitMs(rule, 1, start + 500);
    expect(waitMs).toBeGreaterThan(minute);
    expect(waitMs).toBeLessThanOrEqual(minute + rule.sliceMs);
    expect(ask(window, rule, 1, start + 500 + waitMs - 1)).toBe(false);
    expect(ask(window, rule, quota, start + 500 + waitMs)).toBe(true);
  });

  test('knows no edge: what was used at the end of a minute counts at the beginning of the next', () => {
    const window = new SlidingWindow(rule, start);
    expect(ask(window, rule, quota, start + minute - 1)).toBe(true);
    expect(ask(window, rule, 1, start + minute)).toBe(false);
  });

  test('gives back what a reservation did not use, and nothing once that has left the window', () => {
    const window = new SlidingWindow(rule, start);
    ask(window, rule, 6_000, start);
    ask(window, rule, 4_000, start + 30_000);
    window.giveBack(rule, 5_000, 6_000, start, start + 31_000);
    expect(window.room(rule, start + 31_000)).toBe(5_000);
    const later = start + 64_000;
    expect(window.room(rule, later)).toBe(6_000);
    window.giveBack(rule, 1_000, 6_000, start, later);
    expect(window.room(rule, later)).toBe(6_000);
  });

  test('counts what was used beyond the reservation as a debt, which lasts a window', () => {
    const window = new SlidingWindow(rule, start);
    ask(window, rule, quota, start);
    window.owe(rule, 5_000, start + 1_000);
    expect(window.room(rule, start + 1_000)).toBe(-5_000);
    expect(window.waitMs(rule, 8_000, start + 1_000)).toBe(minute + 1_000);
    expect(window.waitMs(rule, quota, start + 2_000)).toBe(minute);
    expect(window.room(rule, start + minute + 2_000)).toBe(quota);
  });

  test('never has room for more than its quota', () => {
    const window = new SlidingWindow(rule, start);
    expect(window.waitMs(rule, quota + 1, start)).toBe(Number.POSITIVE_INFINITY);
  });

  test('neither gives back nor keeps for ever what was used before the clock was set back', () => {
    const window = new SlidingWindow(rule, start);
    ask(window, rule, 4_000, start - 30_000);
    ask(window, rule, 6_000, start);
    const back = start - 86_400_000;
    expect(window.room(rule, back)).toBe(0);
    expect(window.waitMs(rule, 4_000, back)).toBeLessThanOrEqual(30_000 + rule.sliceMs);
    expect(window.room(rule, back + minute + rule.sliceMs)).toBe(quota);
  });
});

describe('When more comes back', () => {
  test('of a sliding window the oldest that it counts, not the newest', () => {
    const rule = ruleFor('sliding-window', quota, minute);
    const window = new SlidingWindow(rule, start);
    expect(window.nextMs(rule, start)).toBe(0);
    window.take(rule, 1_000, start);
    window.take(rule, 1_000, start + 30_000);
    const nextMs = window.nextMs(rule, start + 30_000);
    expect(nextMs).toBe(minute + rule.sliceMs - 30_000);
    expect(window.room(rule, start + 30_000 + nextMs - 1)).toBe(quota - 2_000);
    expect(window.room(rule, start + 30_000 + nextMs)).toBe(quota - 1_000);
  });

  test('of a token bucket a whole one, or what is missing of it', () => {
    const rule = ruleFor('token-bucket', quota, minute, 20_000);
    const bucket = new TokenBucket(start);
    expect(bucket.nextMs(rule, start)).toBe(0);
    bucket.take(rule, 5_000, start);
    // Ten in a minute are one in six seconds.
    expect(bucket.nextMs(rule, start)).toBe(6_000);
    expect(bucket.nextMs(rule, start + 27_000)).toBe(3_000);
  });

  test('of a fixed window the next one', () => {
    const rule = ruleFor('fixed-window', quota, minute);
    const window = new FixedWindow(rule, start);
    expect(window.nextMs(rule, start + 1)).toBe(0);
    window.take(rule, 1_000, start + 1);
    expect(window.nextMs(rule, start + 20_000)).toBe(40_000);
  });
});

describe('A token bucket', () => {
  /** Ten a second, thirty at once. */
  const rule = ruleFor('token-bucket', 10_000, 1_000, 30_000);

  test('holds its burst at first, and fills up at an even rate', () => {
    const bucket = new TokenBucket(start);
    expect(ask(bucket, rule, 30_000, start)).toBe(true);
    expect(ask(bucket, rule, 1, start)).toBe(false);
    expect(bucket.waitMs(rule, 1_000, start)).toBe(100);
    expect(ask(bucket, rule, 1_000, start + 99)).toBe(false);
    expect(ask(bucket, rule, 1_000, start + 100)).toBe(true);
    expect(bucket.room(rule, start + 100)).toBe(0);
    expect(bucket.room(rule, start + 10_000)).toBe(30_000);
  });

  test('keeps the parts of a thousandth that drip in a millisecond', () => {
    const odd = ruleFor('token-bucket', 1_000, 7_000);
    const bucket = new TokenBucket(start);
    ask(bucket, odd, 1_000, start);
    // Asked in every millisecond, it is as full as if nobody had looked.
    for (let ms = 1; ms <= 7_000; ms++) expect(bucket.room(odd, start + ms)).toBe(Math.floor(ms / 7));
    expect(bucket.restMs(odd, start + 7_000)).toBe(0);
  });

  test('gives a reservation back in full while it still misses it', () => {
    const bucket = new TokenBucket(start);
    ask(bucket, rule, 20_000, start);
    ask(bucket, rule, 10_000, start);
    bucket.giveBack(rule, 15_000, 20_000, start, start + 500);
    expect(bucket.room(rule, start + 500)).toBe(20_000);
  });

  test('gives nothing back that has come back by itself', () => {
    const bucket = new TokenBucket(start);
    ask(bucket, rule, 10_000, start);
    // Full again after a second; what is taken then is another's.
    ask(bucket, rule, 30_000, start + 1_000);
    bucket.giveBack(rule, 10_000, 10_000, start, start + 1_000);
    expect(bucket.room(rule, start + 1_000)).toBe(0);
  });

  test('pays a debt before it gives again', () => {
    const bucket = new TokenBucket(start);
    ask(bucket, rule, 30_000, start);
    bucket.owe(rule, 10_000, start);
    expect(bucket.waitMs(rule, 1_000, start)).toBe(1_100);
    expect(bucket.room(rule, start + 1_000)).toBe(0);
  });

  test('neither gains nor loses by a clock that is set back', () => {
    const bucket = new TokenBucket(start);
    ask(bucket, rule, 30_000, start);
    expect(bucket.room(rule, start - 86_400_000)).toBe(0);
    expect(bucket.room(rule, start - 86_400_000 + 100)).toBe(1_000);
  });
});

describe('A fixed window', () => {
  const rule = ruleFor('fixed-window', quota, minute);

  test('begins anew with each full window of the clock', () => {
    const window = new FixedWindow(rule, start + 59_999);
    expect(ask(window, rule, quota, start + 59_999)).toBe(true);
    expect(ask(window, rule, 1, start + 59_999)).toBe(false);
    expect(window.waitMs(rule, 1, start + 59_999)).toBe(1);
    expect(ask(window, rule, quota, start + minute)).toBe(true);
  });

  test('gives back within the window only', () => {
    const window = new FixedWindow(rule, start);
    ask(window, rule, 5_000, start);
    window.giveBack(rule, 5_000, 5_000, start, start + 1_000);
    expect(window.room(rule, start + 1_000)).toBe(quota);
    ask(window, rule, 5_000, start + 1_000);
    ask(window, rule, 5_000, start + minute);
    window.giveBack(rule, 5_000, 5_000, start + 1_000, start + minute);
    expect(window.room(rule, start + minute)).toBe(5_000);
  });

  test('takes a debt over into the windows that follow', () => {
    const window = new FixedWindow(rule, start);
    ask(window, rule, quota, start);
    window.owe(rule, 15_000, start);
    expect(window.waitMs(rule, 1_000, start)).toBe(2 * minute);
    expect(window.room(rule, start + minute)).toBe(-5_000);
    expect(window.room(rule, start + 2 * minute)).toBe(5_000);
  });

  test('is not refreshed by a clock that is set back', () => {
    const window = new FixedWindow(rule, start);
    ask(window, rule, quota, start);
    expect(window.room(rule, start - minute)).toBe(0);
  });
});
