import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { SharedStore } from '#core/shared-store.ts';
import { SharedUses } from './shared.ts';
import { UseSums, type Use } from './sums.ts';

/** Who uses what is on its way out, or has several versions: in this process, or in all that share a store. */
export class Uses {
  readonly #clock: Clock;
  readonly #sums = new UseSums();
  readonly #shared: SharedUses | undefined;

  constructor(clock: Clock, store: SharedStore | undefined, log: Logger) {
    this.#clock = clock;
    this.#shared = store && new SharedUses(store, log);
  }

  start(): void {
    this.#shared?.start();
  }

  stop(): Promise<void> {
    return this.#shared?.stop() ?? Promise.resolve();
  }

  /** Counts one use. */
  count(what: string, consumer: string): void {
    const now = this.#clock.epochMs();
    this.#sums.add(what, consumer, 1, now, now);
    this.#shared?.add(what, consumer, now);
  }

  /** What this process knows of itself. */
  own(): Use[] {
    return this.#sums.list();
  }

  /** Who used what, the latest first; of all instances that share a store, or of this one alone. */
  async report(own = () => Promise.resolve<readonly Use[]>(this.own())): Promise<UseReport> {
    try {
      if (this.#shared) return told(await this.#shared.read(), 'all');
    } catch {
      // The store is gone, and this is better than nothing.
    }
    return told(await own(), 'this');
  }
}

/** For people and programs: times as ISO 8601. */
export interface UseReport {
  /** Of all instances that share a store, for 400 days; or of this one alone, since it started. */
  readonly instances: 'all' | 'this';
  readonly uses: readonly UseLine[];
}

export interface UseLine {
  readonly what: string;
  readonly consumer: string;
  readonly count: number;
  readonly first: string;
  readonly last: string;
}

function told(uses: readonly Use[], instances: UseReport['instances']): UseReport {
  const sums = new UseSums();
  for (const { what, consumer, count, firstMs, lastMs } of uses) sums.add(what, consumer, count, firstMs, lastMs);
  const lines = sums
    .list()
    .sort((a, b) => b.lastMs - a.lastMs)
    .map(({ what, consumer, count, firstMs, lastMs }) => ({
      what,
      consumer,
      count,
      first: new Date(firstMs).toISOString(),
      last: new Date(lastMs).toISOString(),
    }));
  return { instances, uses: lines };
}
