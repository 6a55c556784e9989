import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { Counter, Meter } from '#core/meter.ts';

/** What became of a look into Redis: `broken`, there was something that cannot be read; `skipped`, Redis does not answer just now. */
export type ReadOutcome = 'hit' | 'miss' | 'broken' | 'failed' | 'skipped';

/** What became of an answer that was to be stored there: `late`, it was made invalid meanwhile; `full`, Redis has no memory left. */
export type WriteOutcome = 'stored' | 'late' | 'full' | 'failed' | 'skipped';

type Trouble = 'failed' | 'broken' | 'full';

const sentences: Readonly<Record<Trouble, string>> = {
  failed: 'the cache goes on without Redis',
  broken: 'what Redis has of the cache cannot be read, and is not used',
  full: 'Redis has no memory left for the cache',
};

/** A trouble that goes on is told of again after this long, with how often it was met since. */
const silenceMs = 60_000;

/** Counts what the second level does, and tells of what it cannot do: seldom, however often that is. */
export class Counts {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #reads: Readonly<Record<ReadOutcome, Counter>>;
  readonly #writes: Readonly<Record<WriteOutcome, Counter>>;
  readonly #troubles = new Map<Trouble, { times: number; toldMs: number }>();

  constructor(clock: Clock, log: Logger, meter: Meter) {
    this.#clock = clock;
    this.#log = log;
    const reads = meter.counter('weir.cache.redis.reads', {
      unit: '{read}',
      description: 'Looks into Redis for what is not in memory, by what became of them.',
    });
    const writes = meter.counter('weir.cache.redis.writes', {
      unit: '{entry}',
      description: 'Answers that were to be stored in Redis, by what became of them.',
    });
    const read = (outcome: ReadOutcome) => reads.with({ 'weir.cache.outcome': outcome });
    const write = (outcome: WriteOutcome) => writes.with({ 'weir.cache.outcome': outcome });
    this.#reads = {
      hit: read('hit'),
      miss: read('miss'),
      broken: read('broken'),
      failed: read('failed'),
      skipped: read('skipped'),
    };
    this.#writes = {
      stored: write('stored'),
      late: write('late'),
      full: write('full'),
      failed: write('failed'),
      skipped: write('skipped'),
    };
  }

  read(outcome: ReadOutcome, error?: unknown): void {
    this.#reads[outcome].add(1);
    if (outcome === 'failed' || outcome === 'broken') this.#trouble(outcome, error);
  }

  write(outcome: WriteOutcome, error?: unknown): void {
    this.#writes[outcome].add(1);
    if (outcome === 'failed' || outcome === 'full') this.#trouble(outcome, error);
  }

  #trouble(what: Trouble, err: unknown): void {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#troubles.get(what);
    const times = (known?.times ?? 0) + 1;
    const tell = !known || nowMs - known.toldMs >= silenceMs;
    this.#troubles.set(what, tell ? { times: 0, toldMs: nowMs } : { times, toldMs: known.toldMs });
    if (tell) this.#log.warn({ times, ...(err !== undefined && { err }) }, sentences[what]);
  }
}
