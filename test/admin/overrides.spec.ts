import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Logger } from '#core/log.ts';
import { maxOverrides, type Override } from '#gateway/control/override.ts';
import { Overrides } from '#gateway/control/overrides.ts';
import { TestClock } from '../support/clock.ts';

const operator = { by: 'anna', from: '127.0.0.1' };
let clock: TestClock;
let overrides: Overrides;
let lines: Record<string, unknown>[];
let changes: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  clock = new TestClock('2026-01-01T12:00:00.000Z');
  lines = [];
  changes = 0;
  const audit: Logger = {
    debug() {},
    info() {},
    warn: (fields, message) => void lines.push({ message, ...fields }),
    error() {},
  };
  overrides = new Overrides(clock, audit, () => changes++);
});

afterEach(() => {
  overrides.stop();
  vi.useRealTimers();
});

function pass(ms: number): void {
  clock.advance(ms);
  vi.advanceTimersByTime(ms);
}

function held(target: string, forMs: number, more: Partial<Override> = {}): Override {
  const now = clock.epochMs();
  return {
    id: `${target}-${now}`,
    kind: 'upstream',
    target,
    action: 'open',
    ...operator,
    at: new Date(now).toISOString(),
    until: new Date(now + forMs).toISOString(),
    ...more,
  };
}

describe('Overrides', () => {
  test('expire by themselves, each at its own time, and say so', () => {
    overrides.set(held('orders', 60_000));
    overrides.set(held('users', 30_000));
    pass(29_999);
    expect(overrides.list().map(({ target }) => target)).toEqual(['orders', 'users']);
    pass(1);
    expect(overrides.list().map(({ target }) => target)).toEqual(['orders']);
    expect([changes, lines.at(-1)]).toEqual([
      3,
      expect.objectContaining({ message: 'operator', happened: 'expired', target: 'users', by: 'anna' }),
    ]);
    pass(30_000);
    expect([overrides.list(), changes]).toEqual([[], 4]);
  });

  test('last as long as they were meant to, though somebody sets the wall clock', () => {
    overrides.set(held('orders', 60_000));
    clock.set('2027-01-01T00:00:00.000Z');
    expect(overrides.list()).toHaveLength(1);
    clock.set('2025-01-01T00:00:00.000Z');
    pass(60_000);
    expect(overrides.list()).toEqual([]);
  });

  test('are one for each target: a later one takes the place of the former, and its time', () => {
    const former = held('orders', 10_000);
    overrides.set(former);
    pass(5_000);
    const later = held('orders', 10_000, { action: 'close' });
    expect(overrides.set(later)).toEqual(former);
    pass(5_000);
    expect(overrides.list()).toEqual([later]);
    pass(5_000);
    expect(overrides.list()).toEqual([]);
    expect(lines.map(({ happened, replaced }) => [happened, replaced])).toEqual([
      ['set', undefined],
      ['replaced', former.id],
      ['expired', undefined],
    ]);
  });

  test('are written down with what, who, why, from where, since when and until when', () => {
    const override = held('orders', 10_000, { reason: 'rolling back 4711' });
    overrides.set(override);
    overrides.remove({ kind: 'upstream', target: 'orders' }, { by: 'ben', from: '10.0.0.9', reason: 'done' });
    const { by, reason, from, ...what } = override;
    expect(lines).toEqual([
      { message: 'operator', happened: 'set', ...what, by, reason, from },
      { message: 'operator', happened: 'removed', ...what, by: 'ben', reason: 'done', from: '10.0.0.9' },
    ]);
  });

  test('are removed by id, kind, target or action, and nothing else with them', () => {
    const all = [
      held('orders', 10_000),
      held('users', 10_000),
      held('http://a:1', 10_000, { kind: 'endpoint', action: 'drain' }),
      held('list', 10_000, { kind: 'route', action: 'debug' }),
      held('acme', 10_000, { kind: 'consumer', action: 'debug' }),
    ];
    for (const override of all) overrides.set(override);
    const remove = (which: object) => overrides.remove(which, operator).map(({ target }) => target);
    expect(remove({ kind: 'route', target: 'acme' })).toEqual([]);
    expect(remove({ action: 'debug' })).toEqual(['list', 'acme']);
    expect(remove({ kind: 'upstream', target: 'users' })).toEqual(['users']);
    expect(remove({ id: all[2]!.id })).toEqual(['http://a:1']);
    expect(overrides.list()).toEqual([all[0]]);
  });

  test('come twice without a trace, as a copy from another process does', () => {
    const override = held('orders', 10_000);
    overrides.set(override);
    pass(4_000);
    overrides.set({ ...override });
    expect([overrides.list(), lines.length]).toEqual([[override], 1]);
    pass(6_000);
    expect(overrides.list()).toEqual([]);
  });

  test('are a hundred at most; one of those may still be replaced', () => {
    for (let count = 0; count < maxOverrides; count++) overrides.set(held(`u${count}`, 10_000));
    expect(overrides.hasRoomFor(held('one-more', 10_000))).toBe(false);
    expect(overrides.hasRoomFor(held('u7', 10_000))).toBe(true);
    pass(10_000);
    expect(overrides.hasRoomFor(held('one-more', 10_000))).toBe(true);
  });
});
