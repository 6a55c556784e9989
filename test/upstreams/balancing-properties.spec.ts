import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { endpointOf } from '#upstreams/balancing/consistent-hash.ts';
import { hashOf } from '#upstreams/balancing/hash.ts';
import { leastConnections } from '#upstreams/balancing/least-connections.ts';
import { roundRobin } from '#upstreams/balancing/round-robin.ts';
import type { Endpoint } from '#upstreams/endpoint.ts';
import { Endpoints } from '#upstreams/endpoints.ts';
import { upstreamSchema } from '#upstreams/settings.ts';
import { transportOf } from '#upstreams/transport.ts';

const transport = transportOf(upstreamSchema.parse({ endpoints: ['http://10.0.0.1'] }));

/** Real endpoints, to which nothing connects. */
function endpoints(weights: readonly number[]): Endpoint[] {
  const all = new Endpoints(systemClock, transport, 0);
  all.replace(weights.map((weight, index) => ({ url: `http://10.0.0.${index + 1}:8080`, weight, labels: {} })));
  return [...all.current];
}

const weights = fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 2, maxLength: 12 });
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
const limits = (all: readonly Endpoint[], calls: number) =>
  all.map(({ weight }) => Math.ceil((1.25 * calls * weight) / sum(all.map((endpoint) => endpoint.weight))));
const keys = Array.from({ length: 300 }, (_, index) => hashOf(`user-${index}`));
/** Where the keys were that go elsewhere once these are left. */
const moved = (all: readonly Endpoint[], left: readonly Endpoint[]) =>
  keys.filter((key) => endpointOf(key, left) !== endpointOf(key, all)).map((key) => endpointOf(key, all));
const counts = (all: readonly Endpoint[], chosen: readonly Endpoint[]) =>
  all.map((endpoint) => chosen.filter((other) => other === endpoint).length);

describe('Consistent hash', () => {
  test('moves only the keys of an endpoint that leaves', () => {
    fc.assert(
      fc.property(weights, fc.nat(), (given, pick) => {
        const all = endpoints(given);
        const gone = all[pick % all.length]!;
        const left = all.filter((endpoint) => endpoint !== gone);
        expect(moved(all, left).filter((before) => before !== gone)).toEqual([]);
      }),
    );
  });

  test('moves keys only to an endpoint that joins, or gains weight as in slow start', () => {
    fc.assert(
      fc.property(weights, fc.nat(), fc.double({ min: 0.05, max: 0.95, noNaN: true }), (given, pick, share) => {
        const all = endpoints(given);
        const young = all[pick % all.length]!;
        const others = all.filter((endpoint) => endpoint !== young);
        const without = keys.map((key) => endpointOf(key, others));
        young.effectiveWeight = young.weight * share;
        const slowly = keys.map((key) => endpointOf(key, all));
        young.effectiveWeight = young.weight;
        const fully = keys.map((key) => endpointOf(key, all));
        const astray = (before: readonly Endpoint[], after: readonly Endpoint[]) =>
          after.filter((endpoint, index) => endpoint !== before[index] && endpoint !== young);
        expect([astray(without, slowly), astray(slowly, fully)]).toEqual([[], []]);
      }),
    );
  });

  test('moves only the keys of the one that leaves also under load, as long as nobody is full', () => {
    fc.assert(
      fc.property(weights, fc.nat(), fc.array(fc.nat(100), { minLength: 12, maxLength: 12 }), (given, pick, active) => {
        const all = endpoints(given);
        const gone = all[pick % all.length]!;
        const left = all.filter((endpoint) => endpoint !== gone);
        // Near an even load, so that most of what is generated has room everywhere.
        for (const [index, endpoint] of all.entries()) endpoint.active = 40 * endpoint.weight + active[index]! / 50;
        const room = (some: readonly Endpoint[]) => {
          const most = limits(some, 1 + sum(some.map((endpoint) => endpoint.active)));
          return some.every((endpoint, index) => endpoint.active < most[index]!);
        };
        fc.pre(room(all) && room(left));
        expect(moved(all, left).filter((before) => before !== gone)).toEqual([]);
      }),
    );
  });

  test('gives no endpoint more than 1.25 times its fair part of the calls in flight, or eight, however popular a key', () => {
    const popular = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(weights, popular, (given, calls) => {
        const all = endpoints(given);
        for (const [index, call] of calls.entries()) {
          const chosen = endpointOf(keys[call]!, all);
          chosen.active++;
          expect(chosen.active).toBeLessThanOrEqual(Math.max(8, limits(all, index + 1)[all.indexOf(chosen)]!));
        }
      }),
    );
  });

  test('spreads keys by weight', () => {
    const all = endpoints([1, 2, 3, 4]);
    const many = Array.from({ length: 20_000 }, (_, index) => endpointOf(hashOf(`session-${index}`), all));
    for (const [index, count] of counts(all, many).entries()) {
      expect(count / 2_000).toBeGreaterThan(0.95 * (index + 1));
      expect(count / 2_000).toBeLessThan(1.05 * (index + 1));
    }
  });

  test('chooses alike in every process that knows the same endpoints, in whatever order', () => {
    const all = endpoints([1, 1, 1, 1, 1]);
    const again = endpoints([1, 1, 1, 1, 1]).toReversed();
    for (const key of keys) expect(endpointOf(key, again).origin).toBe(endpointOf(key, all).origin);
  });
});

describe('Least connections', () => {
  test('chooses one with the fewest calls in flight for its weight, whatever comes and goes', () => {
    const steps = fc.array(fc.nat(), { maxLength: 200 });
    fc.assert(
      fc.property(weights, steps, (given, moves) => {
        const all = endpoints(given);
        for (const move of moves) {
          const busy = all.filter(({ active }) => active > 0);
          if (move % 3 === 0 && busy.length > 0) {
            busy[move % busy.length]!.active--;
            continue;
          }
          const least = Math.min(...all.map(({ active, weight }) => active / weight));
          const chosen = leastConnections(all);
          expect(chosen.active / chosen.weight).toBe(least);
          chosen.active++;
        }
      }),
    );
  });

  test('goes round by weight while there is little to do', () => {
    fc.assert(
      fc.property(weights, (given) => {
        const all = endpoints(given);
        const chosen = Array.from({ length: sum(given) }, () => leastConnections(all));
        expect(counts(all, chosen)).toEqual(given);
      }),
    );
  });
});

describe('Round-robin', () => {
  test('gives each exactly its weight in every round', () => {
    fc.assert(
      fc.property(weights, (given) => {
        const all = endpoints(given);
        for (let round = 0; round < 3; round++) {
          const chosen = Array.from({ length: sum(given) }, () => roundRobin(all));
          expect(counts(all, chosen)).toEqual(given);
        }
      }),
    );
  });
});
