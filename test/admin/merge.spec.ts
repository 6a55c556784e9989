import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gatewayStatus, type ProcessSnapshot } from '#gateway/control/gateway-status.ts';
import { mergeUpstreams, type EndpointSnapshot, type UpstreamSnapshot } from '#gateway/control/upstream-snapshot.ts';
import type { BreakerState } from '#upstreams/breaker.ts';

const noon = Date.parse('2026-01-01T12:00:00.000Z');

function endpoint(more: Partial<EndpointSnapshot> = {}): EndpointSnapshot {
  return {
    url: 'http://a:1',
    weight: 1,
    labels: {},
    healthy: true,
    drained: false,
    ejectedUntilMs: undefined,
    ejections: 0,
    share: 1,
    sinceMs: noon,
    nextCheckMs: undefined,
    active: 0,
    lastError: undefined,
    ...more,
  };
}

function seen(more: Partial<UpstreamSnapshot> = {}, state: BreakerState = 'closed', sinceMs = noon): UpstreamSnapshot {
  return {
    name: 'orders',
    owner: 'team-orders',
    timeoutMs: 1_000,
    attemptTimeoutMs: 500,
    breaker: {
      state,
      restMs: state === 'open' ? 5_000 : 0,
      sinceMs,
      forced: undefined,
      processes: { closed: 0, open: 0, 'half-open': 0, [state]: 1 },
    },
    recent: { calls: 10, rate: 1, errors: 1, refused: 0, buckets: [0, 0, 9] },
    lastError: undefined,
    inFlight: 3,
    maxInFlight: 256,
    connections: { used: 3, waiting: 1, max: 128 },
    retries: 2,
    panic: false,
    discovery: undefined,
    endpoints: [endpoint()],
    ...more,
  };
}

function process(pid: number, upstreams: readonly UpstreamSnapshot[]): ProcessSnapshot {
  return {
    process: {
      pid,
      phase: 'ready',
      startedAt: new Date(noon).toISOString(),
      inFlight: 1,
      maxInFlight: 10,
      shedding: false,
      passed: 1,
      eventLoopLagMs: 0,
      maxEventLoopLagMs: 200,
      memoryBytes: 1,
    },
    upstreams,
  };
}

const configuration = {
  file: 'gateway.yaml',
  hash: 'abc',
  appliedAt: new Date(noon).toISOString(),
  previous: undefined,
  lastAttempt: undefined,
  needsRestart: [],
};

describe('What several processes see of one upstream', () => {
  test('is the sum of what they count', () => {
    const [merged] = mergeUpstreams([
      [seen()],
      [seen({ recent: { calls: 30, rate: 3, errors: 0, refused: 6, buckets: [24] } })],
    ]);
    expect(merged).toMatchObject({
      recent: { calls: 40, rate: 4, errors: 1, refused: 6, buckets: [24, 0, 9] },
      inFlight: 6,
      maxInFlight: 512,
      connections: { used: 6, waiting: 2, max: 256 },
      retries: 4,
    });
  });

  test('is the worst of what they judge, and in how many of them', () => {
    const [merged] = mergeUpstreams([
      [seen({}, 'closed', noon - 1)],
      [seen({}, 'open', noon + 7)],
      [seen({}, 'half-open', noon + 1)],
      [seen({}, 'open', noon + 3)],
    ]);
    expect(merged!.breaker).toEqual({
      state: 'open',
      restMs: 5_000,
      sinceMs: noon + 3,
      forced: undefined,
      processes: { closed: 1, open: 2, 'half-open': 1 },
    });
  });

  test('has an endpoint out that one of them leaves out, and the last error that any of them met', () => {
    const [merged] = mergeUpstreams([
      [
        seen({
          lastError: { code: 'UPSTREAM_TIMEOUT', atMs: noon + 5 },
          endpoints: [endpoint({ active: 1, nextCheckMs: noon + 9 })],
        }),
      ],
      [
        seen({
          lastError: { code: 'UPSTREAM_UNREACHABLE', atMs: noon + 2 },
          endpoints: [
            endpoint({
              ejectedUntilMs: noon + 60_000,
              ejections: 2,
              active: 2,
              nextCheckMs: noon + 3,
              sinceMs: noon + 4,
            }),
            endpoint({ url: 'http://b:1', healthy: false }),
          ],
        }),
      ],
    ]);
    expect(merged!.lastError).toEqual({ code: 'UPSTREAM_TIMEOUT', atMs: noon + 5 });
    expect(merged!.endpoints).toEqual([
      endpoint({ ejectedUntilMs: noon + 60_000, ejections: 2, active: 3, nextCheckMs: noon + 3, sinceMs: noon + 4 }),
      endpoint({ url: 'http://b:1', healthy: false }),
    ]);
  });

  test('has an upstream that only some of them have yet', () => {
    const names = mergeUpstreams([[seen()], [seen(), seen({ name: 'new' })]]).map(({ name }) => name);
    expect(names).toEqual(['orders', 'new']);
  });

  test('is the same in whatever order they are asked', () => {
    const states = fc.constantFrom<BreakerState>('closed', 'open', 'half-open');
    const one = fc
      .tuple(states, fc.nat(1000), fc.nat(50))
      .map(([state, since, inFlight]) => seen({ inFlight }, state, noon + since));
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), (all) => {
        const forwards = mergeUpstreams(all.map((snapshot) => [snapshot]));
        const backwards = mergeUpstreams(all.toReversed().map((snapshot) => [snapshot]));
        expect(backwards).toEqual(forwards);
      }),
    );
  });
});

describe('The status of several processes', () => {
  test('names the process that is unwell', () => {
    const sick = process(8, [seen()]);
    const status = gatewayStatus({
      nowMs: noon,
      processes: [process(7, [seen()]), { ...sick, process: { ...sick.process, eventLoopLagMs: 250 } }],
      configuration,
      overrides: [],
    });
    expect(status.problems).toEqual(['process 8: its event loop is 250 ms late', 'orders: 10 % of its calls fail']);
    expect(status.upstreams).toMatchObject([{ name: 'orders', inFlight: 6, breaker: { processes: { closed: 2 } } }]);
  });

  test('takes one that leaves for nothing wrong, as long as another serves', () => {
    const [one, other] = [process(7, []), process(8, [])];
    const leaving = { ...other, process: { ...other.process, phase: 'draining' as const } };
    const problems = (...processes: readonly ProcessSnapshot[]) =>
      gatewayStatus({ nowMs: noon, processes, configuration, overrides: [] }).problems;
    expect([problems(one, leaving), problems(leaving)]).toEqual([[], ['it is draining']]);
  });

  test('names a reload that was refused, and what goes on', () => {
    const status = gatewayStatus({
      nowMs: noon,
      processes: [process(7, [])],
      configuration: {
        ...configuration,
        lastAttempt: { kind: 'reload', at: '2026-01-01T12:00:00.000Z', ok: false, error: 'gateway.yaml:3: no' },
      },
      overrides: [],
    });
    expect(status.problems).toEqual([
      'the last reload (2026-01-01T12:00:00.000Z) was refused, abc goes on: gateway.yaml:3: no',
    ]);
  });

  test('says that it refuses load, and how much it lets through', () => {
    const shedding = process(7, []);
    const status = gatewayStatus({
      nowMs: noon,
      processes: [{ ...shedding, process: { ...shedding.process, shedding: true, passed: 0.25, eventLoopLagMs: 300 } }],
      configuration,
      overrides: [],
    });
    expect(status.problems).toEqual(['it refuses requests for load (lets 25 % through)']);
  });
});
