import type { Counter, Rule } from './counter.ts';

/** A window is looked at in so many slices. More of them give back sooner, and take more memory. */
export const slices = 30;
const kept = slices + 1;

/**
 * At most the quota in any window of time, counted at reservation. The past is kept in slices of a thirtieth of the window, and
 * a slice counts in full for as long as any moment of it is within the window. So it never admits too much, and what was
 * used comes back up to a thirtieth of the window late.
 */
export class SlidingWindow implements Counter {
  /** A ring: the slice `n` of the clock stands at `n % kept`. */
  readonly #used: number[] = Array.from({ length: kept }, () => 0);
  #sum = 0;
  /** The newest slice. */
  #last: number;
  /** In none before this one anything is used. */
  #first = 0;

  constructor(rule: Rule, now: number) {
    this.#last = Math.floor(now / rule.sliceMs);
  }

  room(rule: Rule, now: number): number {
    this.#move(rule, now);
    return rule.capacity - this.#sum;
  }

  take(rule: Rule, amount: number, now: number): void {
    this.#move(rule, now);
    if (this.#sum === 0) this.#first = this.#last;
    this.#used[this.#last % kept]! += amount;
    this.#sum += amount;
  }

  giveBack(rule: Rule, unused: number, _taken: number, since: number, now: number): void {
    this.#move(rule, now);
    const slice = Math.floor(since / rule.sliceMs);
    // What has left the window counts no more.
    if (slice > this.#last || slice < this.#last - slices) return;
    const given = Math.min(unused, this.#used[slice % kept]!);
    this.#used[slice % kept]! -= given;
    this.#sum -= given;
  }

  owe(rule: Rule, amount: number, now: number): void {
    this.take(rule, amount, now);
  }

  waitMs(rule: Rule, amount: number, now: number): number {
    if (amount > rule.capacity) return Number.POSITIVE_INFINITY;
    let lacking = amount - this.room(rule, now);
    for (let slice = this.#last - slices; slice <= this.#last && lacking > 0; slice++) {
      if (slice < 0) continue;
      lacking -= this.#used[slice % kept]!;
      if (lacking <= 0) return (slice + kept) * rule.sliceMs - now;
    }
    return 0;
  }

  nextMs(rule: Rule, now: number): number {
    this.#move(rule, now);
    if (this.#sum === 0) return 0;
    let oldest = Math.max(this.#first, this.#last - slices);
    while (this.#used[oldest % kept] === 0) oldest++;
    this.#first = oldest;
    return (oldest + kept) * rule.sliceMs - now;
  }

  restMs(rule: Rule, now: number): number {
    this.#move(rule, now);
    if (this.#sum === 0) return 0;
    let newest = this.#last;
    while (this.#used[newest % kept] === 0) newest--;
    return (newest + kept) * rule.sliceMs - now;
  }

  #move({ sliceMs }: Rule, now: number): void {
    const current = Math.floor(now / sliceMs);
    const steps = current - this.#last;
    if (steps === 0) return;
    if (steps < 0) {
      this.#turn(current);
      return;
    }
    this.#last = current;
    if (this.#sum === 0) return;
    if (steps >= kept) {
      this.#used.fill(0);
      this.#sum = 0;
      return;
    }
    for (let slice = current - steps + 1; slice <= current; slice++) {
      this.#sum -= this.#used[slice % kept]!;
      this.#used[slice % kept] = 0;
    }
  }

  /** The clock was set back: what was used counts as if it were as long ago as it was before. */
  #turn(current: number): void {
    const former = [...this.#used];
    for (let back = 0; back < kept; back++) {
      const [from, to] = [this.#last - back, current - back];
      if (to >= 0 && from >= 0) this.#used[to % kept] = former[from % kept]!;
    }
    this.#last = current;
    this.#first = Math.max(0, current - slices);
  }
}
