import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addRecent, percentileMs, RecentCalls } from '#upstreams/recent-calls.ts';
import { TestClock } from '../support/clock.ts';

function start(): { clock: TestClock; recent: RecentCalls; answer: (tookMs: number, failed?: boolean) => void } {
  const clock = new TestClock();
  const recent = new RecentCalls(clock);
  return { clock, recent, answer: (tookMs, failed = false) => recent.took(clock.monotonicMs(), tookMs, failed) };
}

/** Of the nearest rank, as a sorted list has it. */
function exact(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(values.length * share) - 1)]!;
}

describe('The calls of the last minute', () => {
  test('are none at first, and then there is no percentile of them', () => {
    const { recent } = start();
    expect(recent.snapshot()).toEqual({ calls: 0, rate: 0, errors: 0, refused: 0, buckets: [] });
    expect(percentileMs([], 0.5)).toBeUndefined();
  });

  test('are forgotten a minute later, slot by slot', () => {
    const { clock, recent, answer } = start();
    answer(10, true);
    clock.advance(30_000);
    answer(20);
    clock.advance(29_999);
    expect(recent.snapshot()).toMatchObject({ calls: 2, errors: 1 });
    clock.advance(1);
    expect(recent.snapshot()).toMatchObject({ calls: 1, errors: 0 });
    expect(percentileMs(recent.snapshot().buckets, 0.5)! / 20).toBeCloseTo(1, 1);
    clock.advance(30_000);
    expect(recent.snapshot()).toEqual({ calls: 0, rate: 0, errors: 0, refused: 0, buckets: [] });
  });

  test('are all forgotten after a long silence', () => {
    const { clock, recent, answer } = start();
    for (let slot = 0; slot < 12; slot++) {
      answer(slot);
      clock.advance(5_000);
    }
    clock.advance(86_400_000);
    answer(5);
    expect(recent.snapshot()).toMatchObject({ calls: 1 });
  });

  test('are a rate over the time that they cover, also while the process is young', () => {
    const { clock, recent, answer } = start();
    clock.advance(2_000);
    for (let call = 0; call < 10; call++) answer(1);
    expect(recent.snapshot().rate).toBe(5);
    clock.advance(118_000);
    for (let second = 0; second < 120; second++) {
      for (let call = 0; call < 7; call++) answer(1);
      clock.advance(1_000);
    }
    expect(recent.snapshot().rate).toBeCloseTo(7, 5);
  });

  test('that failed fast, were refused or given up say nothing of how fast answers are', () => {
    const { clock, recent, answer } = start();
    answer(100);
    const now = clock.monotonicMs();
    for (let call = 0; call < 50; call++) {
      recent.failed(now);
      recent.refused(now);
      recent.abandoned(now);
    }
    const { buckets, ...counts } = recent.snapshot();
    expect(counts).toMatchObject({ calls: 151, errors: 50, refused: 50 });
    expect(buckets.reduce((sum, count) => sum + count)).toBe(1);
  });

  test('never have more errors than calls, though an answer breaks off after its slot is gone', () => {
    const { clock, recent, answer } = start();
    answer(1);
    clock.advance(60_000);
    recent.brokeOff(clock.monotonicMs());
    expect(recent.snapshot()).toMatchObject({ calls: 0, errors: 0 });
  });

  test('have percentiles that are off by 4.5 % at most, whatever they took from 0.1 ms to 4 minutes', () => {
    const times = fc.array(fc.double({ min: 0.1, max: 240_000, noNaN: true }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(times, fc.constantFrom(0.5, 0.95, 0.99), (values, share) => {
        const { recent, answer } = start();
        for (const value of values) answer(value);
        const ratio = percentileMs(recent.snapshot().buckets, share)! / exact(values, share);
        expect(Math.abs(ratio - 1)).toBeLessThan(0.046);
      }),
    );
  });

  test('take what is out of all bounds as the least or the most there is', () => {
    const { recent, answer } = start();
    answer(0);
    answer(-5);
    answer(1e12);
    const { buckets } = recent.snapshot();
    expect([percentileMs(buckets, 0.5), percentileMs(buckets, 1)]).toEqual([
      expect.closeTo(0.065, 2),
      expect.closeTo(251_000, -4),
    ]);
  });

  test('of two processes are, added up, what one would have seen', () => {
    const took = fc.array(fc.double({ min: 0.1, max: 10_000, noNaN: true }), { maxLength: 100 });
    fc.assert(
      fc.property(took, took, (ones, others) => {
        const [one, other, both] = [start(), start(), start()];
        for (const { clock } of [one, other, both]) clock.advance(10_000);
        for (const value of ones) for (const { answer } of [one, both]) answer(value);
        for (const value of others) for (const { answer } of [other, both]) answer(value, true);
        const sum = addRecent(one.recent.snapshot(), other.recent.snapshot());
        const whole = both.recent.snapshot();
        expect(sum).toEqual({ ...whole, rate: expect.closeTo(whole.rate, 6) as number });
        expect(addRecent(other.recent.snapshot(), one.recent.snapshot()).buckets).toEqual(sum.buckets);
      }),
    );
  });
});
