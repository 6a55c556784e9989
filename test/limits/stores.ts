import type { SharedStore, StoreScript } from '#core/shared-store.ts';
import { silentLogger } from '#core/log.ts';
import { RedisStore } from '#gateway/redis/redis-store.ts';
import { redisSchema } from '#gateway/redis/settings.ts';
import { Charge, type LimitStore } from '#policies/limits/charge.ts';
import { Limit } from '#policies/limits/limit.ts';
import { MemoryStore } from '#policies/limits/memory-store.ts';
import { limitList } from '#policies/limits/settings.ts';
import { SharedCounters } from '#policies/limits/shared/shared-counters.ts';
import type { TestClock } from '../support/clock.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

/** A place to count in, on the clock of the test. */
export interface TestStore {
  readonly store: LimitStore;
  /** The same place, seen by another instance. */
  another(): LimitStore;
  /** Waits for settlements. */
  settled(): Promise<void>;
}

/** Limits as a configuration has them; their counters are their own. */
export function limitsOf(...settings: readonly object[]): Limit[] {
  return limitList.parse(settings).map((each) => {
    const place = {
      scope: 'test',
      settings: each,
      usualPayer: 'consumer',
      share: 1,
      warnAt: 1,
      throttleAt: 1,
    } as const;
    return new Limit(place, new Map(), new Map());
  });
}

/** Asks for so many thousandths of each limit, for one payer. */
export async function ask(
  store: LimitStore,
  limits: readonly Limit[],
  amount: number,
  payer = 'acme',
): Promise<Charge> {
  const charge = new Charge(limits, 'local-share');
  for (const [index, limit] of limits.entries()) {
    charge.payers[index] = payer;
    charge.amounts[index] = limit.amountOf(amount);
  }
  await store.charge(charge);
  return charge;
}

export function memory(clock: TestClock): TestStore {
  const store = new MemoryStore(clock);
  return { store, another: () => store, settled: () => Promise.resolve() };
}

/** Redis under the clock of a test: the scripts are the gateway's own, all but where they look at the time. */
export class RedisUnderClock {
  readonly #redis: TestRedis;
  readonly #store: RedisStore;

  private constructor(redis: TestRedis, store: RedisStore) {
    this.#redis = redis;
    this.#store = store;
  }

  static async start(): Promise<RedisUnderClock> {
    const redis = await startRedis();
    const store = new RedisStore(redisSchema.parse({ url: redis.url, timeout: '10s' }), silentLogger);
    store.start();
    while (!store.up) await new Promise((resolve) => setTimeout(resolve, 5));
    return new RedisUnderClock(redis, store);
  }

  /** Empty, and at the time of the clock. */
  async at(clock: TestClock, clustered = false): Promise<TestStore> {
    await this.#redis.client.flushall();
    const shared = timed(this.#store, clock, clustered);
    const all: SharedCounters[] = [];
    const another = () => {
      const counters = new SharedCounters(shared, clock, 10_000, () => {});
      counters.hear(clock.epochMs(), clock.monotonicMs());
      all.push(counters);
      return counters;
    };
    return {
      store: another(),
      another,
      settled: async () => void (await Promise.all(all.map((counters) => counters.stop()))),
    };
  }

  async stop(): Promise<void> {
    this.#store.stop();
    await this.#redis.close();
  }
}

function timed(store: RedisStore, clock: TestClock, clustered: boolean): SharedStore {
  return {
    up: true,
    timeoutMs: 10_000,
    clustered,
    prefix: store.prefix,
    call: (command, ...args) => store.call(command, ...args),
    run({ lua }: StoreScript, keys, args) {
      const now = clock.epochMs();
      const time = `{ '${Math.floor(now / 1_000)}', '${(now % 1_000) * 1_000}' }`;
      return store.call('EVAL', lua.replaceAll("redis.call('TIME')", time), keys.length, ...keys, ...args);
    },
    read: (script, keys, args) => store.read(script, keys, args),
    listen: (channel, listener) => store.listen(channel, listener),
  };
}
