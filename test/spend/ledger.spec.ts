import { describe, expect, test } from 'vitest';
import { keyOf, maxKeys, others, SpendLedger } from '#gateway/spend/ledger.ts';
import { spendReport } from '#gateway/spend/report.ts';
import { TestClock } from '../support/clock.ts';

const clock = () => new TestClock('2026-01-01T12:00:30.000Z');

describe('The ledger of what is spent', () => {
  test('adds up by consumer, operation and upstream, for whole minutes and the one that has begun', () => {
    const time = clock();
    const ledger = new SpendLedger(time);
    ledger.add(keyOf('acme', 'Home', 'orders'), 2, 2_000);
    time.advance(60_000);
    ledger.add(keyOf('acme', 'Home', 'orders'), 1, 1_000);
    time.advance(60_000);
    ledger.add(keyOf('acme', 'Home', 'users'), 1, 250);
    const calls = (minutes: number) =>
      ledger.since(minutes).map(({ upstream, calls: n, price }) => [upstream, n, price]);
    expect(calls(1)).toEqual([
      ['orders', 1, 1_000],
      ['users', 1, 250],
    ]);
    expect(calls(5)).toEqual([
      ['orders', 3, 3_000],
      ['users', 1, 250],
    ]);
  });

  test('forgets what is more than an hour ago', () => {
    const time = clock();
    const ledger = new SpendLedger(time);
    ledger.add(keyOf('acme', 'Home', 'orders'), 1, 1_000);
    time.advance(62 * 60_000);
    ledger.add(keyOf('acme', 'Home', 'users'), 1, 1_000);
    expect(ledger.since(60).map(({ upstream }) => upstream)).toEqual(['users']);
  });

  test('goes on counting all of it when a clock steps back', () => {
    const time = clock();
    const ledger = new SpendLedger(time);
    ledger.add(keyOf('acme', 'Home', 'orders'), 1, 1_000);
    time.advance(-600_000);
    ledger.add(keyOf('acme', 'Home', 'users'), 1, 1_000);
    expect(ledger.since(5).map(({ upstream }) => upstream)).toEqual(['users']);
  });

  test('is bounded, whatever names clients give to their operations, and loses no call', () => {
    const ledger = new SpendLedger(clock());
    for (let at = 0; at < maxKeys + 500; at++) ledger.add(keyOf('acme', `Op${at}`, 'orders'), 1, 1_000);
    const spent = ledger.since(1);
    expect(spent.length).toBe(maxKeys + 1);
    expect(spent.find(({ operation }) => operation === others)).toMatchObject({ upstream: 'orders', calls: 500 });
    expect(spent.reduce((sum, { calls }) => sum + calls, 0)).toBe(maxKeys + 500);
  });
});

describe('A report of what was spent', () => {
  const spent = [
    { consumer: 'acme', operation: 'Home', upstream: 'orders', calls: 6, price: 6_000 },
    { consumer: 'acme', operation: 'Home', upstream: 'users', calls: 1, price: 250 },
    { consumer: 'beta', operation: '/v1/orders', upstream: 'orders', calls: 2, price: 2_000 },
  ];
  const question = { minutes: 5, by: ['consumer'], top: 10 } as const;

  test('tells apart what is asked for, the dearest first, with its share', () => {
    expect(spendReport(spent, question, '', 'this').lines).toEqual([
      { consumer: 'acme', calls: 7, cost: 6.25, share: 0.758 },
      { consumer: 'beta', calls: 2, cost: 2, share: 0.242 },
    ]);
  });

  test('has the whole sum, however few lines are asked for', () => {
    const report = spendReport(spent, { ...question, top: 1 }, '', 'this');
    expect(report).toMatchObject({ calls: 9, cost: 8.25 });
    expect(report.lines).toHaveLength(1);
  });
});
