import { describe, expect, test } from 'vitest';
import type { RequestContext } from '#core/context.ts';
import type { Counter } from '#policies/limits/counters/counter.ts';
import { Table } from '#policies/limits/counters/table.ts';
import { networkOf, payers, type PaidBy } from '#policies/limits/payer.ts';
import { maxNames, Names } from '#policies/limits/shared/names.ts';
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
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    // RFC 4291 §2.5.5.2: an IPv4 client is the same however its address is written.
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:c000:0207', '192.0.2.7'],
    ['0000:0000:0000:0000:0000:ffff:192.0.2.7', '192.0.2.7'],
    ['::192.0.2.7', '0:0:0:0::/64'],
    ['1::ffff:c000:207', '1:0:0:0::/64'],
  ])('%s counts as %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('Who pays', () => {
  const of = (by: PaidBy, facts: object) => payers[by](facts as RequestContext);
  const at = (host: string) => of('tenant', { host });
  const user = (consumer: string, subject: string) => of('subject', { identity: { consumer, subject } });

  test('is the same host with a port, another port, or the dot that ends its name', () => {
    expect(new Set(['shop.example', 'shop.example:443', 'shop.example:8080', 'shop.example.'].map(at)).size).toBe(1);
    expect(at('[2001:db8::1]:443')).toBe(at('[2001:db8::1]'));
    expect(at('other.example')).not.toBe(at('shop.example'));
  });

  test('is nobody else by a name that is put together otherwise', () => {
    expect(user('a', 'b\nc')).not.toBe(user('a\nb', 'c'));
    expect(user('a1', '2')).not.toBe(user('a', '12'));
    const long = 'x'.repeat(1_000);
    const hashed = of('consumer', { identity: { consumer: long, credential: 'jwt' } });
    expect(hashed.length).toBeLessThan(200);
    expect(of('consumer', { identity: { consumer: hashed.slice(1), credential: 'jwt' } })).not.toBe(hashed);
    expect(of('consumer', { identity: { consumer: 'x', credential: 'jwt' } })).not.toBe(
      of('route', { route: { name: 'x' } }),
    );
  });
});

describe('Names that clients choose', () => {
  test('are a bounded number in the store, and those that were there before a flood keep their own', () => {
    const names = new Names();
    const minute = 60_000;
    expect(names.of('Checkout', minute, 0)).toBe('Checkout');
    const flood = (nowMs: number) =>
      new Set(Array.from({ length: 3 * maxNames }, (_, at) => names.of(`flood${nowMs}-${at}`, minute, nowMs))).size;
    expect(flood(1)).toBeLessThanOrEqual(maxNames + 256);
    expect(names.of('Checkout', minute, 2)).toBe('Checkout');
    expect(names.of('late', minute, 3)).toMatch(/^~\d+$/);
    expect(flood(minute)).toBeLessThanOrEqual(maxNames + 256);
    // In the window before it was there.
    expect(names.of('Checkout', minute, minute + 1)).toBe('Checkout');
    expect(names.of('late', minute, 2 * minute + 1)).toBe('late');
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
