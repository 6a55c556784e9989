import type { Clock } from '#core/clock.ts';
import type { OperationFacts, RequestContext } from '#core/context.ts';
import type { Logger } from '#core/log.ts';
import type { SharedStore } from '#core/shared-store.ts';
import { keyOf, minuteMs, minuteOf, SpendLedger, type Spent } from './ledger.ts';
import { spendReport, type SpendQuestion, type SpendReport } from './report.ts';
import { SharedSpend } from './shared.ts';

/** Longer names of operations, which clients choose, are cut. */
const maxName = 64;

/** Who spends what on which upstream, in this process or in all that share a store. */
export class Spend {
  readonly #clock: Clock;
  readonly #ledger: SpendLedger;
  readonly #shared: SharedSpend | undefined;

  constructor(clock: Clock, store: SharedStore | undefined, log: Logger) {
    this.#clock = clock;
    this.#ledger = new SpendLedger(clock);
    this.#shared = store && new SharedSpend(store, clock, log);
  }

  start(): void {
    this.#shared?.start();
  }

  stop(): Promise<void> {
    return this.#shared?.stop() ?? Promise.resolve();
  }

  /**
   * Counts a call that is sent.
   * @param price in thousandths of a call
   */
  count({ identity, operation, route }: RequestContext, upstream: string, price: number): void {
    const key = keyOf(identity.consumer, operation ? nameOf(operation) : (route?.name ?? ''), upstream);
    this.#ledger.add(key, 1, price);
    this.#shared?.add(key, 1, price);
  }

  /** What this process knows of itself. */
  own(minutes: number): Spent[] {
    return this.#ledger.since(minutes);
  }

  async report(question: SpendQuestion, own = () => Promise.resolve(this.own(question.minutes))): Promise<SpendReport> {
    const since = new Date((minuteOf(this.#clock.epochMs()) - question.minutes) * minuteMs).toISOString();
    try {
      if (this.#shared) return spendReport(await this.#shared.since(question.minutes), question, since, 'all');
    } catch {
      // The store is gone, and this is better than nothing.
    }
    return spendReport(await own(), question, since, 'this');
  }
}

function nameOf({ name, type }: OperationFacts): string {
  return name === undefined ? type : name.length > maxName ? name.slice(0, maxName) : name;
}
