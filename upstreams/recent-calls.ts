import type { Clock } from '#core/clock.ts';

/** The last minute is twelve slots of five seconds, of which the oldest is emptied for the next. */
const slotMs = 5_000;
const slotCount = 12;

/**
 * Buckets of a logarithmic histogram, from 1/16 ms to 262 s, eight for each doubling: a percentile is off by 4.5 % at most.
 */
const perDoubling = 8;
const leastLog2 = -4;
const bucketCount = perDoubling * 22;

/** What became of the calls of the last minute, as numbers that can be added to those of another process. */
export interface RecentSnapshot {
  /** All calls, the refused ones too. */
  readonly calls: number;
  /** Calls a second. */
  readonly rate: number;
  /** Calls that failed, and answers with 5xx. */
  readonly errors: number;
  /** Calls that were refused before they reached the upstream: breaker open, bulkhead full. */
  readonly refused: number;
  /** How many calls took how long; see {@link percentileMs}. Trailing zeros are left out. */
  readonly buckets: readonly number[];
}

/**
 * The calls of one upstream in the last minute, in constant memory and without an allocation per call: a call is one
 * addition to each of two arrays, a refused or failed one to three.
 */
export class RecentCalls {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #calls = new Uint32Array(slotCount);
  readonly #errors = new Uint32Array(slotCount);
  readonly #refused = new Uint32Array(slotCount);
  readonly #buckets = new Uint32Array(slotCount * bucketCount);
  #allCalls = 0;
  #allErrors = 0;
  /** Counted from the clock's beginning, not round the ring. */
  #slot: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
    this.#slot = Math.floor(this.#startedMs / slotMs);
  }

  /** All calls since the start, and of these the ones that failed, were answered with 5xx, or were refused. */
  get totals(): { readonly calls: number; readonly errors: number } {
    return { calls: this.#allCalls, errors: this.#allErrors };
  }

  /** A call came to its answer, or ran out of time, after `tookMs`. */
  took(nowMs: number, tookMs: number, failed: boolean): void {
    const index = this.#turnTo(nowMs);
    this.#allCalls++;
    this.#calls[index]!++;
    if (failed) {
      this.#allErrors++;
      this.#errors[index]!++;
    }
    this.#buckets[index * bucketCount + bucketOf(tookMs)]!++;
  }

  /** A call failed otherwise than by time, which says nothing of how fast the upstream is. */
  failed(nowMs: number): void {
    const index = this.#turnTo(nowMs);
    this.#allCalls++;
    this.#allErrors++;
    this.#calls[index]!++;
    this.#errors[index]!++;
  }

  /** A call was not let through. */
  refused(nowMs: number): void {
    const index = this.#turnTo(nowMs);
    this.#allCalls++;
    this.#allErrors++;
    this.#calls[index]!++;
    this.#refused[index]!++;
  }

  /** A call ended by its caller's wish. */
  abandoned(nowMs: number): void {
    this.#allCalls++;
    this.#calls[this.#turnTo(nowMs)]!++;
  }

  /** An answer that was counted as good at its head broke off. */
  brokeOff(nowMs: number): void {
    this.#allErrors++;
    this.#errors[this.#turnTo(nowMs)]!++;
  }

  snapshot(): RecentSnapshot {
    const now = this.#clock.monotonicMs();
    this.#turnTo(now);
    const calls = sum(this.#calls);
    // The slot at hand is not over yet, and the process may be younger than a minute.
    const coveredMs = Math.min(now - this.#startedMs, (slotCount - 1) * slotMs + (now % slotMs));
    const buckets: number[] = [];
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      let count = 0;
      for (let slot = 0; slot < slotCount; slot++) count += this.#buckets[slot * bucketCount + bucket]!;
      if (count > 0) while (buckets.length < bucket) buckets.push(0);
      if (count > 0) buckets.push(count);
    }
    return {
      calls,
      rate: calls / (Math.max(1_000, coveredMs) / 1_000),
      // What broke off may have been counted as good in a slot that is gone.
      errors: Math.min(calls, sum(this.#errors)),
      refused: sum(this.#refused),
      buckets,
    };
  }

  /** Empties the slots that time has passed over. @returns where the one at hand is */
  #turnTo(nowMs: number): number {
    const slot = Math.floor(nowMs / slotMs);
    const passed = slot - this.#slot;
    for (let back = 0; back < Math.min(passed, slotCount); back++) {
      const index = (slot - back) % slotCount;
      this.#calls[index] = 0;
      this.#errors[index] = 0;
      this.#refused[index] = 0;
      this.#buckets.fill(0, index * bucketCount, (index + 1) * bucketCount);
    }
    if (passed > 0) this.#slot = slot;
    return this.#slot % slotCount;
  }
}

/** One that says what two say together. */
export function addRecent(a: RecentSnapshot, b: RecentSnapshot): RecentSnapshot {
  const [long, short] = a.buckets.length >= b.buckets.length ? [a.buckets, b.buckets] : [b.buckets, a.buckets];
  return {
    calls: a.calls + b.calls,
    rate: a.rate + b.rate,
    errors: a.errors + b.errors,
    refused: a.refused + b.refused,
    buckets: long.map((count, bucket) => count + (short[bucket] ?? 0)),
  };
}

/** The time within which a share of the calls were answered; undefined where there were none. */
export function percentileMs(buckets: readonly number[], share: number): number | undefined {
  const total = buckets.reduce((all, count) => all + count, 0);
  if (total === 0) return undefined;
  let below = 0;
  for (const [bucket, count] of buckets.entries()) {
    below += count;
    if (below >= total * share) return 2 ** (leastLog2 + (bucket + 0.5) / perDoubling);
  }
  return undefined;
}

function bucketOf(ms: number): number {
  if (ms <= 2 ** leastLog2) return 0;
  return Math.min(bucketCount - 1, Math.floor((Math.log2(ms) - leastLog2) * perDoubling));
}

function sum(counts: Uint32Array): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}
