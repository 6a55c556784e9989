import type { Logger } from '#core/log.ts';
import type { SharedStore, StoreScript } from '#core/shared-store.ts';
import { Reporter } from '#gateway/reporter.ts';
import { maxUses, others, UseSums, type Use } from './sums.ts';

/** Longer than the longest notice that anybody gives. */
const keptMs = 400 * 86_400_000;

/**
 * KEYS: counts, first and last times. ARGV: the time to keep them, the bound on fields, then thing, consumer, count, first,
 * last of each.
 */
const report: StoreScript = {
  name: 'report-uses',
  lua: `for i = 3, #ARGV, 5 do
  local field = ARGV[i] .. '\\n' .. ARGV[i + 1]
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[2]) and redis.call('HEXISTS', KEYS[1], field) == 0 then
    field = ARGV[i] .. '\\n${others}'
  end
  redis.call('HINCRBY', KEYS[1], field, ARGV[i + 2])
  redis.call('HSETNX', KEYS[2], field, ARGV[i + 3])
  local last = redis.call('HGET', KEYS[3], field)
  if not last or tonumber(last) < tonumber(ARGV[i + 4]) then redis.call('HSET', KEYS[3], field, ARGV[i + 4]) end
end
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[1]) end
return 1`,
};

const read: StoreScript = {
  name: 'read-uses',
  lua: `local all = {}
local counts = redis.call('HGETALL', KEYS[1])
for i = 1, #counts, 2 do
  all[#all + 1] = counts[i]
  all[#all + 1] = counts[i + 1]
  all[#all + 1] = redis.call('HGET', KEYS[2], counts[i]) or '0'
  all[#all + 1] = redis.call('HGET', KEYS[3], counts[i]) or '0'
end
return all`,
};

/** What all instances on one store have seen used. It may be counted twice where the store answers late, and is never lost. */
export class SharedUses {
  readonly #store: SharedStore;
  readonly #keys: readonly string[];
  readonly #reporter: Reporter<Use>;
  #unreported = new UseSums();

  constructor(store: SharedStore, log: Logger) {
    this.#store = store;
    this.#keys = ['count', 'first', 'last'].map((part) => `${store.prefix}{uses}:${part}`);
    this.#reporter = new Reporter({
      take: () => {
        const all = this.#unreported.list();
        this.#unreported = new UseSums();
        return all;
      },
      giveBack: (uses) => {
        for (const { what, consumer, count, firstMs, lastMs } of uses)
          this.#unreported.add(what, consumer, count, firstMs, lastMs);
      },
      tell: (uses) => {
        const args = uses.flatMap(({ what, consumer, count, firstMs, lastMs }) => [
          what,
          consumer,
          count,
          firstMs,
          lastMs,
        ]);
        return store.run(report, this.#keys, [keptMs, maxUses, ...args]);
      },
      failed: (err) => log.debug({ err }, 'what was used could not be reported'),
    });
  }

  start(): void {
    this.#reporter.start();
  }

  stop(): Promise<void> {
    return this.#reporter.stop();
  }

  add(what: string, consumer: string, nowMs: number): void {
    this.#unreported.add(what, consumer, 1, nowMs, nowMs);
  }

  /** @throws {StoreUnavailable} */
  async read(): Promise<Use[]> {
    await this.#reporter.report();
    const answer = (await this.#store.run(read, this.#keys, [])) as readonly string[];
    const uses: Use[] = [];
    for (let at = 0; at + 3 < answer.length; at += 4) {
      const [what = '', consumer = ''] = answer[at]!.split('\n');
      const [count, firstMs, lastMs] = [answer[at + 1], answer[at + 2], answer[at + 3]].map(Number) as [
        number,
        number,
        number,
      ];
      uses.push({ what, consumer, count, firstMs, lastMs });
    }
    return uses;
  }
}
