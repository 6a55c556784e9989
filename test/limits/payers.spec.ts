import { describe, expect, test } from 'vitest';
import type { Counter } from '#policies/limits/counters/counter.ts';
import { Table } from '#policies/limits/counters/table.ts';
import { networkOf } from '#policies/limits/payer.ts';
import { ruleFor } from './rules.ts';

describe('An address', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
  ])('%s counts as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('The counters of a limit', () => {
  const rule = ruleFor('sliding-window', 10_000, 60_000);
  const now = 1_767_225_600_000;
  const take = (counter: Counter, amount: number) => counter.take(rule, amount, now);

  test('are bounded in number', () => {
    const table = new Table(100);
    for (let client = 0; client < 10_000; client++) take(table.of(`client ${client}`, rule, now), 1);
    expect(table.size).toBe(100);
  });

  test('that are used up are not forgotten for newcomers, who begin with what another has used', () => {
    const table = new Table(100);
    take(table.of('throttled', rule, now), 10_000);
    let fresh = 0;
    for (let client = 0; client < 50_000; client++) {
      const counter = table.of(`client ${client}`, rule, now);
      if (counter.room(rule, now) < 1_000) continue;
      take(counter, 1_000);
      fresh++;
      // Whoever is throttled stays it as long as there is one who has used less.
      if (fresh < 900) expect(table.of('throttled', rule, now).room(rule, now)).toBeLessThan(1_000);
    }
    // A hundred counters have given what a hundred counters have, whatever the names.
    expect(fresh).toBeLessThanOrEqual(99 * 10);
    expect(table.of('throttled', rule, now).room(rule, now)).toBeLessThan(1_000);
  });

  test('that have nothing left to count make place first', () => {
    const table = new Table(2);
    take(table.of('old', rule, now), 10_000);
    const later = now + 50_000;
    table.of('busy', rule, later).take(rule, 10_000, later);
    const after = now + 70_000;
    expect(table.of('new', rule, after).room(rule, after)).toBe(10_000);
    expect(table.of('busy', rule, after).room(rule, after)).toBe(0);
  });
});
