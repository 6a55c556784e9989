import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { noMeter, type Meter } from '#core/meter.ts';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { DynamicLimits } from '#policies/limits/dynamic-limits.ts';
import type { Limit } from '#policies/limits/limit.ts';
import { weirAt } from '../cli/running.ts';
import { problemsOf } from '../config/problems.ts';
import { TestClock } from '../support/clock.ts';
import { FileGateway } from '../support/file-gateway.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { ask, limitsOf, memory, RedisUnderClock, type TestStore } from './stores.ts';

/** "Dynamic limits: `when: { errorRate: ">50%", over: 1m }, scale: 0.2, for: 5m` (also by an upstream's breaker), recovery tested." */

const minute = 60_000;
const sliding = { name: 'minute', algorithm: 'sliding-window', quota: 10, window: '1m' } as const;
const failing = { when: { errorRate: '>50%', over: '1m', upstream: 'orders' }, scale: 0.2, for: '5m' } as const;

/** An upstream as the limits see it. */
class Seen {
  readonly name: string;
  readonly breaker = { state: 'closed' };
  readonly recent = { totals: { calls: 0, errors: 0 } };

  constructor(name: string) {
    this.name = name;
  }

  calls(count: number, errors = 0): void {
    this.recent.totals.calls += count;
    this.recent.totals.errors += errors;
  }
}

let clock: TestClock;
let orders: Seen;
let users: Seen;
let lines: { readonly level: string; readonly fields: object; readonly message: string }[];
let dynamic: DynamicLimits;
let changes: number;

const log = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map((level) => [
    level,
    (fields: object, message: string) => void lines.push({ level, fields, message }),
  ]),
) as never;

beforeEach(() => {
  clock = new TestClock();
  orders = new Seen('orders');
  users = new Seen('users');
  lines = [];
  changes = 0;
});

function watch(settings: object, meter: Meter = noMeter): Limit {
  dynamic = new DynamicLimits(clock, log, meter, undefined);
  const made = dynamic;
  onTestFinished(() => made.stop());
  return again({ ...sliding, ...settings });
}

/** The same by another configuration. */
function again(settings: object): Limit {
  const [limit] = limitsOf(settings);
  dynamic.watch([limit!], [orders, users], () => changes++);
  return limit!;
}

/** Time goes on, and is looked at as often as in a gateway. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 250) {
    clock.advance(Math.min(250, left));
    dynamic.look();
  }
}

const quotaOf = ({ rule }: Limit) => rule.capacity / 1_000;

describe('A limit with when: { errorRate }', () => {
  test('is as it is written while no more than that part of the calls fails', () => {
    const limit = watch(failing);
    orders.calls(100, 50);
    pass(1_000);
    expect(quotaOf(limit)).toBe(10);
    orders.calls(1, 1);
    pass(250);
    expect([quotaOf(limit), limit.factor]).toEqual([2, 0.2]);
  });

  test('is smaller until `for` has passed since that was last so, and then what is written again', () => {
    const limit = watch(failing);
    orders.calls(40, 40);
    pass(250);
    expect(quotaOf(limit)).toBe(2);
    // All of these are still within the minute, for the next minute.
    pass(minute);
    orders.calls(1_000);
    pass(5 * minute - 5_000);
    expect(quotaOf(limit)).toBe(2);
    pass(2 * minute);
    expect([quotaOf(limit), limit.factor]).toEqual([10, 1]);
    expect(lines.map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'a limit is made smaller'],
      ['info', 'a limit is what is written again'],
    ]);
    expect(lines[0]!.fields).toEqual({
      limit: 'test.minute',
      scale: 0.2,
      why: "100 % of the calls to 'orders' fail",
      forMs: 300_000,
    });
    expect(changes).toBe(2);
  });

  test('stays smaller as long as it goes on', () => {
    const limit = watch(failing);
    for (let turn = 0; turn < 20; turn++) {
      orders.calls(40, 40);
      pass(minute);
      expect(quotaOf(limit)).toBe(2);
    }
    expect(lines).toHaveLength(1);
  });

  test('looks at the window alone: what failed before it counts no more', () => {
    const limit = watch({ ...failing, for: '1s' });
    orders.calls(100, 100);
    pass(250);
    expect(quotaOf(limit)).toBe(2);
    pass(minute + 5_000);
    expect(quotaOf(limit)).toBe(10);
    // Of 30 calls in this minute 10 fail, of all 130 there are 110.
    orders.calls(30, 10);
    pass(250);
    expect(quotaOf(limit)).toBe(10);
  });

  test('takes fewer calls than minCalls for nothing', () => {
    const limit = watch({ ...failing, when: { ...failing.when, minCalls: 5 } });
    orders.calls(4, 4);
    pass(1_000);
    expect(quotaOf(limit)).toBe(10);
    orders.calls(1, 0);
    pass(250);
    expect(quotaOf(limit)).toBe(2);
  });

  test('looks at the upstream it names, or at all of them together', () => {
    const named = watch(failing);
    users.calls(100, 100);
    pass(1_000);
    expect(quotaOf(named)).toBe(10);
    const all = watch({ ...failing, when: { errorRate: '>50%', over: '1m' } });
    orders.calls(100);
    users.calls(102, 102);
    pass(250);
    expect(quotaOf(all)).toBe(2);
    expect(dynamic.scaled[0]!.why).toBe('50 % of all calls to upstreams fail');
  });
});

describe('A limit with when: { breaker: open }', () => {
  const open = { when: { breaker: 'open', upstream: 'orders' }, scale: 0.5, for: '30s' } as const;

  test('is smaller while the breaker is open, and for `for` after it', () => {
    const limit = watch(open);
    orders.breaker.state = 'open';
    pass(minute);
    expect(quotaOf(limit)).toBe(5);
    orders.breaker.state = 'half-open';
    pass(29_000);
    expect(quotaOf(limit)).toBe(5);
    orders.breaker.state = 'open';
    pass(250);
    orders.breaker.state = 'closed';
    pass(29_500);
    expect(quotaOf(limit)).toBe(5);
    pass(1_000);
    expect(quotaOf(limit)).toBe(10);
  });

  test('is told with what it is, why, and until when', () => {
    watch(open);
    expect(dynamic.scaled).toEqual([]);
    orders.breaker.state = 'open';
    pass(250);
    expect(dynamic.scaled).toEqual([
      {
        limit: 'test.minute',
        scale: 0.5,
        why: "the breaker of 'orders' is open",
        until: '2026-01-01T00:00:30.250Z',
      },
    ]);
  });

  test('goes on over a reload, by its name', () => {
    watch(open);
    orders.breaker.state = 'open';
    pass(250);
    orders.breaker.state = 'closed';
    const next = again({ ...sliding, quota: 100, ...open });
    expect(quotaOf(next)).toBe(50);
    pass(31_000);
    expect(quotaOf(next)).toBe(100);
    orders.breaker.state = 'open';
    pass(250);
    // One that has no `when` any more is what is written.
    expect(quotaOf(again(sliding))).toBe(10);
  });

  test('is smaller than what an operator makes of it', () => {
    const limit = watch(open);
    limit.scale(0.4);
    orders.breaker.state = 'open';
    pass(250);
    expect(quotaOf(limit)).toBe(2);
    limit.scale(1);
    expect(quotaOf(limit)).toBe(5);
  });

  test('says in a metric how many times what is written it is', () => {
    let observed = () => [] as unknown[];
    const meter: Meter = {
      ...noMeter,
      observe(name, _options, observe) {
        if (name !== 'weir.limits.scale') return;
        observed = () => {
          const seen: unknown[] = [];
          observe((value, attributes) => seen.push([value, attributes]));
          return seen;
        };
      },
    };
    watch(open, meter);
    expect(observed()).toEqual([[1, { 'weir.limit': 'minute' }]]);
    orders.breaker.state = 'open';
    pass(250);
    expect(observed()).toEqual([[0.5, { 'weir.limit': 'minute' }]]);
  });
});

describe.each(['memory', 'Redis'])('While it is smaller, in %s', (kind) => {
  let redis: RedisUnderClock;

  beforeAll(async () => {
    redis = await RedisUnderClock.start();
  });

  afterAll(() => redis.stop());

  test.each(['sliding-window', 'token-bucket', 'fixed-window'])(
    'a %s admits its part and counts what was used; recovered it admits the rest',
    async (algorithm) => {
      const place: TestStore = kind === 'memory' ? memory(clock) : await redis.at(clock);
      // Nothing comes back while this looks.
      const limit = watch({ ...failing, algorithm, quota: 10, window: '30d' });
      const admitted = async (): Promise<number> => {
        let count = 0;
        while ((await ask(place.store, [limit], 1_000)).admitted) count++;
        return count;
      };
      expect((await ask(place.store, [limit], 1_000)).admitted).toBe(true);
      orders.calls(40, 40);
      pass(250);
      expect(await admitted()).toBe(1);
      expect((await ask(place.store, [limit], 3_000)).waitMs).toEqual([Number.POSITIVE_INFINITY]);
      pass(7 * minute);
      expect(await admitted()).toBe(8);
    },
  );
});

let upstream: TestUpstream;
let sick = false;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => {
    response.statusCode = sick ? 500 : 200;
    response.end('thing');
  });
});

afterAll(() => upstream.close());

const quick = { when: { errorRate: '>50%', over: '1s', minCalls: 5, upstream: 'things' }, scale: 0.2, for: '1s' };

const configuration = (limit: object = quick, more: object = {}) => ({
  upstreams: { things: { endpoints: [upstream.url], breaker: { failures: 1_000 } } },
  routes: [{ path: '/things', upstream: 'things' }],
  consumers: [{ id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] }],
  tiers: { pro: { limits: [{ ...sliding, quota: 100, window: '1h', ...limit }] } },
  ...more,
});

const key = { headers: { 'x-api-key': 'acme-key' } };

async function fail(url: string, times = 10): Promise<void> {
  sick = true;
  for (let turn = 0; turn < times; turn++) await send(`${url}/things`, key);
  sick = false;
}

async function limitAt(url: string): Promise<Record<string, unknown>> {
  const { limits } = (await send(`${url}/limits`, key)).json() as { limits: Record<string, unknown>[] };
  return limits[0]!;
}

/** A busy machine takes its time. */
const patient = { timeout: 15_000 };

describe('A gateway whose upstream fails', { timeout: 60_000 }, () => {
  let gateway: TestGateway;

  afterEach(() => gateway.stop());

  test('makes the limit smaller, and says so to everybody', async () => {
    gateway = await startGateway(configuration({ ...quick, for: '1h' }));
    await fail(gateway.url);
    await expect.poll(() => limitAt(gateway.url), patient).toMatchObject({ limit: 20, scale: 0.2 });
    expect(await limitAt(gateway.url)).toMatchObject({ remaining: 10, description: '20 upstream calls in 3600s' });
    const { headers } = await send(`${gateway.url}/things`, key);
    expect(headers['ratelimit-policy']).toBe('"minute";q=20;w=3600;qu="upstream-calls"');
    expect(headers['x-ratelimit-limit']).toBe('20');
    const status = await weirAt(gateway.adminUrl)('status');
    expect(status.stdout).toMatch(
      /! the limit tier\.pro\.minute is 0\.2 times what is written, until \S+Z or longer: \d+ % of the calls to 'things' fail/,
    );
    expect((await send(`${gateway.adminUrl}/metrics`)).text).toContain('weir_limits_scale{weir_limit="minute"} 0.2');
    const { processes } = (await send(`${gateway.adminUrl}/admin/status`)).json() as { processes: object[] };
    expect(processes[0]).toMatchObject({ scaledLimits: [{ limit: 'tier.pro.minute', scale: 0.2 }] });
  });

  test('makes it what is written again once `for` has passed, and says that', async () => {
    gateway = await startGateway(configuration());
    await fail(gateway.url);
    const said = (msg: string) => gateway.log.some((line) => line.msg === msg);
    await expect.poll(() => said('a limit is made smaller'), patient).toBe(true);
    await expect.poll(() => said('a limit is what is written again'), patient).toBe(true);
    expect(await limitAt(gateway.url)).toMatchObject({ limit: 100, remaining: 90 });
    expect(await limitAt(gateway.url)).not.toHaveProperty('scale');
    expect((await send(`${gateway.adminUrl}/metrics`)).text).toContain('weir_limits_scale{weir_limit="minute"} 1');
    expect((await weirAt(gateway.adminUrl)('status')).stdout).not.toContain('times what is written');
  });

  test('refuses what the smaller limit never holds with 429 for as long as it is smaller, not with 400', async () => {
    const long = { ...quick, for: '1h' };
    gateway = await startGateway(
      configuration(long, {
        routes: [
          { path: '/things', upstream: 'things' },
          { path: '/fifty', upstream: 'things', cost: 50 },
        ],
      }),
    );
    await fail(gateway.url);
    await expect.poll(() => limitAt(gateway.url), patient).toMatchObject({ limit: 20 });
    const refused = await send(`${gateway.url}/fifty`, key);
    expect(refused.status).toBe(429);
    expect(refused.json().detail).toContain('minute (20 upstream calls in 3600s)');
    const retryAfter = Number(refused.headers['retry-after']);
    expect(retryAfter).toBeGreaterThan(3_500);
    expect(retryAfter).toBeLessThanOrEqual(3_600);
  });

  test('by its breaker, which an operator may open too', async () => {
    gateway = await startGateway(
      configuration({ when: { breaker: 'open', upstream: 'things' }, scale: 0.5, for: '1s' }),
    );
    const weir = weirAt(gateway.adminUrl);
    await weir('upstream', 'things', 'open', '--for', '10m');
    await expect.poll(() => limitAt(gateway.url), patient).toMatchObject({ limit: 50, scale: 0.5 });
    await weir('upstream', 'things', 'auto');
    await expect.poll(() => limitAt(gateway.url), patient).toMatchObject({ limit: 100 });
  });
});

test('Instances on one Redis all do what one of them has seen, and recover together', { timeout: 60_000 }, async () => {
  const redis = await startRedis();
  const shared = configuration({ ...quick, for: '5s' }, { redis: { url: redis.url, timeout: '1s' } });
  const gateways = [await startGateway(shared), await startGateway(shared)] as const;
  try {
    for (const { adminUrl } of gateways)
      await expect
        .poll(async () => (await send(`${adminUrl}/readyz`)).json().limits, patient)
        .toEqual({ counted: 'redis', instances: 2 });
    await fail(gateways[0].url);
    for (const { url } of gateways)
      await expect.poll(() => limitAt(url), patient).toMatchObject({ limit: 20, scale: 0.2 });
    for (const { url } of gateways)
      await expect.poll(() => limitAt(url), patient).toMatchObject({ limit: 100, remaining: 90 });
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    await redis.close();
  }
});

test('A reload while a limit is smaller keeps it smaller', { timeout: 30_000 }, async () => {
  const gateway = await FileGateway.start(configuration({ ...quick, for: '1h' }));
  try {
    await fail(gateway.url);
    await expect.poll(() => limitAt(gateway.url), patient).toMatchObject({ limit: 20 });
    expect((await gateway.change(configuration({ ...quick, quota: 200, for: '1h' }))).ok).toBe(true);
    expect(await limitAt(gateway.url)).toMatchObject({ limit: 40, scale: 0.2 });
    expect((await gateway.change(configuration({ when: undefined, scale: undefined, for: undefined }))).ok).toBe(true);
    expect(await limitAt(gateway.url)).toMatchObject({ limit: 100 });
  } finally {
    await gateway.stop();
  }
});

describe('As it is written', () => {
  const things = `upstreams: { things: { endpoints: ['http://127.0.0.1:9'] } }
routes: [{ path: /things, upstream: things }]
`;
  const tier = (limit: string) =>
    `${things}tiers: { pro: { limits: [{ name: minute, algorithm: sliding-window, window: 1m, ${limit} }] } }`;

  test.each([
    ['quota: 5, when: { errorRate: ">50%" }', 'scale', 'is missing'],
    ['quota: 5, scale: 0.2', 'when', 'is missing'],
    ['quota: 5, for: 5m', 'when', 'is missing'],
    ['quota: 5, when: { over: 1m }, scale: 0.2', 'when', 'either errorRate or breaker'],
    ['quota: 5, when: { errorRate: ">50%", breaker: open, upstream: things }, scale: 0.2', 'when', 'either errorRate'],
    ['quota: 5, when: { breaker: open }, scale: 0.2', 'when.upstream', 'write whose breaker it is'],
    ['quota: 5, when: { breaker: closed, upstream: things }, scale: 0.2', 'when.breaker', 'write open'],
    ['quota: 5, when: { errorRate: 0.5 }, scale: 0.2', 'when.errorRate', 'write it in quotes'],
    ['quota: 5, when: { errorRate: "<50%" }, scale: 0.2', 'when.errorRate', 'from ">0%"'],
    ['quota: 5, when: { errorRate: ">50%" }, scale: 2', 'scale', ''],
    ['unit: requests, quota: 4, when: { errorRate: ">50%" }, scale: 0.2', 'scale', 'leaves less than one request'],
  ])('{ %s } is refused', (limit, path, message) => {
    const found = problemsOf(tier(limit)).map((problem) => [problem.path, `${problem.message}; ${problem.fix}`]);
    expect(found).toEqual([[`tiers.pro.limits[0].${path}`, expect.stringContaining(message)]]);
  });

  test('an upstream that does not exist is named with those that do', async () => {
    const text = tier('quota: 5, when: { breaker: open, upstream: thing }, scale: 0.5');
    await expect(startGateway(text)).rejects.toThrow(
      /tiers\.pro\.limits\.0\.when\.upstream \(.*\): names the upstream 'thing', which does not exist\. Fix: correct the name \(there is things\)/,
    );
  });
});
