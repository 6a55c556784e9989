import { describe, expect, test } from 'vitest';
import { Failures } from '#policies/auth/failures.ts';
import { TestClock } from '../support/clock.ts';

/** No wait that a test would notice; whether there is one is what counts. */
const settings = { free: 1, maxDelay: 1 };

/** Issue 4: failed authentications are counted per IP and per claimed key prefix and slowed, bounded in memory. */
describe('Failed authentications', () => {
  test('are counted by address: the first is taken for a mistake, the next has to wait, and others do not', () => {
    const failures = new Failures(settings, new TestClock());
    expect(failures.note('10.0.0.1', undefined)).toBeUndefined();
    expect(failures.note('10.0.0.1', undefined)).toBeInstanceOf(Promise);
    expect(failures.note('10.0.0.2', undefined)).toBeUndefined();
  });

  test('are counted by the prefix of the key that is claimed, from wherever it is tried', () => {
    const failures = new Failures(settings, new TestClock());
    expect(failures.note('10.0.0.1', 'weir_live_ab')).toBeUndefined();
    expect(failures.note('10.0.0.2', 'weir_live_ab')).toBeInstanceOf(Promise);
    expect(failures.note('10.0.0.3', 'weir_live_cd')).toBeUndefined();
  });

  test('are forgotten one after the other', () => {
    const clock = new TestClock();
    const failures = new Failures(settings, clock);
    for (let attempt = 0; attempt < 3; attempt++) void failures.note('10.0.0.1', undefined);
    clock.advance(30_000);
    expect(failures.note('10.0.0.1', undefined)).toBeUndefined();
    expect(failures.note('10.0.0.1', undefined)).toBeInstanceOf(Promise);
  });

  test('of ten thousand sources are remembered, and no more', () => {
    const failures = new Failures(settings, new TestClock());
    void failures.note('10.0.0.1', undefined);
    for (let source = 0; source < 9_999; source++) void failures.note(`source-${source}`, undefined);
    expect(failures.note('10.0.0.1', undefined)).toBeInstanceOf(Promise);
    for (let source = 0; source < 10_000; source++) void failures.note(`another-${source}`, undefined);
    expect(failures.note('10.0.0.1', undefined)).toBeUndefined();
  });

  test('are held back a thousand at a time: to wait must not cost us more than them', async () => {
    const failures = new Failures(settings, new TestClock());
    void failures.note('10.0.0.1', undefined);
    const waits = Array.from({ length: 1_000 }, () => failures.note('10.0.0.1', undefined));
    expect(waits.every((wait) => wait instanceof Promise)).toBe(true);
    expect(failures.note('10.0.0.1', undefined)).toBeUndefined();
    for (const wait of waits) await wait;
    expect(failures.note('10.0.0.1', undefined)).toBeInstanceOf(Promise);
  });
});
