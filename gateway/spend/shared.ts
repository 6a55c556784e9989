import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { SharedStore, StoreScript } from '#core/shared-store.ts';
import { Reporter } from '#gateway/reporter.ts';
import { maxKeys, maxMinutes, minuteMs, minuteOf, others, SpentSums, type Spent } from './ledger.ts';

/** Of each minute, what is read: the dearest. */
const maxRead = 50;

/** ARGV: the time to keep it, the bound on keys, then key, price, calls of each. KEYS: prices and calls of the minute. */
const report: StoreScript = {
  name: 'report-spend',
  lua: `for i = 3, #ARGV, 3 do
  local key = ARGV[i]
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) and not redis.call('ZSCORE', KEYS[1], key) then
    key = '${others}\\n${others}\\n' .. string.match(key, '[^\\n]*$')
  end
  redis.call('ZINCRBY', KEYS[1], ARGV[i + 1], key)
  redis.call('HINCRBY', KEYS[2], key, ARGV[i + 2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return 1`,
};

/** KEYS: prices and calls of each minute, in turn. */
const read: StoreScript = {
  name: 'read-spend',
  lua: `local all = {}
for i = 1, #KEYS, 2 do
  local dearest = redis.call('ZREVRANGE', KEYS[i], 0, ARGV[1], 'WITHSCORES')
  for j = 1, #dearest, 2 do
    all[#all + 1] = dearest[j]
    all[#all + 1] = dearest[j + 1]
    all[#all + 1] = redis.call('HGET', KEYS[i + 1], dearest[j]) or '0'
  end
end
return all`,
};

/** What all instances on one store have spent in the last hour. What the store does not take at once goes under a later minute. */
export class SharedSpend {
  readonly #store: SharedStore;
  readonly #clock: Clock;
  readonly #reporter: Reporter<readonly [key: string, calls: number, price: number]>;
  #unreported = new SpentSums();

  constructor(store: SharedStore, clock: Clock, log: Logger) {
    this.#store = store;
    this.#clock = clock;
    this.#reporter = new Reporter({
      take: () => {
        const all = [...this.#unreported];
        this.#unreported = new SpentSums();
        return all;
      },
      giveBack: (items) => {
        for (const [key, calls, price] of items) this.add(key, calls, price);
      },
      tell: (items) => {
        const args = items.flatMap(([key, calls, price]) => [key, price, calls]);
        const keys = this.#keysOf(minuteOf(clock.epochMs()));
        return store.run(report, keys, [(maxMinutes + 5) * minuteMs, maxKeys, ...args]);
      },
      failed: (err) => log.debug({ err }, 'what was spent could not be reported'),
    });
  }

  start(): void {
    this.#reporter.start();
  }

  stop(): Promise<void> {
    return this.#reporter.stop();
  }

  add(key: string, calls: number, price: number): void {
    this.#unreported.add(key, calls, price);
  }

  /**
   * Of so many whole minutes and the one that has begun, the dearest of each.
   * @throws {StoreUnavailable}
   */
  async since(minutes: number): Promise<Spent[]> {
    await this.#reporter.report();
    const now = minuteOf(this.#clock.epochMs());
    const keys = Array.from({ length: minutes + 1 }, (_, back) => this.#keysOf(now - back)).flat();
    const answer = (await this.#store.run(read, keys, [maxRead - 1])) as readonly string[];
    const total = new SpentSums();
    for (let at = 0; at + 2 < answer.length; at += 3)
      total.add(answer[at]!, Number(answer[at + 2]), Number(answer[at + 1]));
    return total.list();
  }

  /** One hash tag for all minutes: a script of a cluster has its keys in one place. */
  #keysOf(minute: number): string[] {
    const key = `${this.#store.prefix}{spend}:${minute}`;
    return [`${key}:price`, `${key}:calls`];
  }
}
