import type { Clock } from '#core/clock.ts';
import { WeirError } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';
import type { Counter, Histogram, Meter } from '#core/meter.ts';
import type { SharedStore } from '#core/shared-store.ts';
import type { Charge, LimitStore } from '../charge.ts';
import { MemoryStore } from '../memory-store.ts';
import { Instances } from './instances.ts';
import { SharedCounters } from './shared-counters.ts';

/** How often an instance says that it is there. */
const beatEveryMs = 2_000;
/** How often it is tried whether the store answers again, more or less: not all instances in one moment. */
const tryEveryMs = 150;
/** A store that has not answered yet is told of after this long. */
const startsWithinMs = 1_000;

/** Nothing was counted, so there is nothing to settle. */
const nowhere: LimitStore = { charge() {}, settle() {} };

/**
 * Counts in the store that instances share, and without it while that does not answer. One unanswered question is enough:
 * from then on nobody waits for it, until it has answered again. What was decided without it is settled without it, so nothing
 * is charged twice.
 */
export class GuardedStore implements LimitStore {
  readonly #store: SharedStore;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #counters: SharedCounters;
  readonly #instances: Instances;
  readonly #local: MemoryStore;
  readonly #durations: Histogram;
  readonly #failures: Counter;
  #answers = false;
  #told = false;
  #startedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = true;

  constructor(store: SharedStore, clock: Clock, log: Logger, meter: Meter, workers: number) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#durations = meter
      .histogram('weir.limits.store.duration', {
        unit: 's',
        description: 'From a question to Redis about limits to its answer.',
        bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05],
      })
      .with({});
    this.#failures = meter
      .counter('weir.limits.store.failures', {
        unit: '{request}',
        description: 'Charges and settlements that Redis did not answer in time.',
      })
      .with({});
    meter.observe(
      'weir.limits.store.shared',
      {
        kind: 'gauge',
        unit: '',
        description: '1 while limits are counted in Redis, 0 while they are not.',
        across: 'each',
      },
      (report) => report(this.shared ? 1 : 0, {}),
    );
    this.#counters = new SharedCounters(store, clock, store.timeoutMs, () => this.#failures.add(1));
    this.#instances = new Instances(store, clock, workers);
    this.#local = new MemoryStore(clock, {
      table: ({ table }) => table,
      rule: (limit) => limit.shareOf(this.#instances.live),
    });
  }

  /** Whether all instances count together now. */
  get shared(): boolean {
    return this.#answers && this.#store.up;
  }

  /** As many as have been heard of. */
  get instances(): number {
    return this.#instances.live;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#startedMs = this.#clock.monotonicMs();
    void this.#beat();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#counters.stop();
    if (this.#store.up) await this.#instances.leave();
  }

  charge(charge: Charge): void | Promise<void> {
    if (!this.#answers) return this.#without(charge);
    const askedMs = this.#clock.monotonicMs();
    return this.#counters.charge(charge).then(
      () => this.#durations.record((this.#clock.monotonicMs() - askedMs) / 1_000),
      (error: unknown) => {
        this.#failures.add(1);
        this.#fail(error);
        return this.#without(charge);
      },
    );
  }

  settle(charge: Charge, changes: readonly number[]): void {
    charge.store!.settle(charge, changes);
  }

  /** @throws {WeirError} `LIMITS_UNAVAILABLE` */
  #without(charge: Charge): void {
    if (charge.onStoreFailure === 'local-share') {
      this.#local.charge(charge);
      return;
    }
    if (charge.onStoreFailure === 'closed' && charge.limits.some(({ shadow }) => !shadow))
      throw new WeirError('LIMITS_UNAVAILABLE', { retryAfterS: 1 });
    charge.store = nowhere;
    for (const [index, { capacity }] of charge.limits.entries()) {
      charge.room[index] = capacity;
      charge.waitMs[index] = 0;
      charge.nextMs[index] = 0;
      charge.restMs[index] = 0;
    }
  }

  async #beat(): Promise<void> {
    clearTimeout(this.#timer);
    const askedMs = this.#clock.monotonicMs();
    try {
      this.#counters.hear(await this.#instances.beat(), askedMs);
      this.#succeed();
    } catch (error) {
      this.#fail(error);
    }
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), this.#answers ? beatEveryMs : this.#tryInMs()).unref();
  }

  #tryInMs(): number {
    return tryEveryMs * (0.5 + Math.random());
  }

  #succeed(): void {
    if (this.#answers) return;
    this.#answers = true;
    if (this.#told) this.#log.info({ instances: this.#instances.live }, 'limits are counted in redis again');
    this.#told = false;
  }

  #fail(error: unknown): void {
    const had = this.#answers;
    this.#answers = false;
    if (had && !this.#stopped) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#beat(), this.#tryInMs()).unref();
    }
    if (this.#told || this.#stopped) return;
    if (!had && this.#clock.monotonicMs() - this.#startedMs < startsWithinMs) return;
    this.#told = true;
    this.#log.warn(
      { cause: (error as Error).message, instances: this.#instances.live },
      'limits are not counted in redis: it does not answer',
    );
  }
}
