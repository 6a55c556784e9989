import { Concurrent } from './concurrent.ts';
import type { Counter, Rule } from './counter.ts';
import { FixedWindow } from './fixed-window.ts';
import { SlidingWindow } from './sliding-window.ts';
import { TokenBucket } from './token-bucket.ts';

/** Counters that are looked at for one to take the place of. */
const looks = 16;

/**
 * The counters of one limit, by who pays. Their number is bounded, and nobody gets a fresh quota by it: when it is full, a
 * newcomer takes over a counter that has nothing left to count, or else the one that has used least of those looked at, with
 * what it has used. So whoever floods the table with new names finds used counters, and a payer that is throttled is not
 * forgotten as long as another has used less.
 */
export class Table {
  readonly #counters = new Map<string, Counter>();
  readonly #max: number;
  #looking: MapIterator<[string, Counter]>;

  constructor(max: number) {
    this.#max = max;
    this.#looking = this.#counters.entries();
  }

  get size(): number {
    return this.#counters.size;
  }

  of(key: string, rule: Rule, now: number): Counter {
    const known = this.#counters.get(key);
    if (known !== undefined) return known;
    const counter = this.#counters.size < this.#max ? newCounter(rule, now) : this.#succeed(rule, now);
    this.#counters.set(key, counter);
    return counter;
  }

  #succeed(rule: Rule, now: number): Counter {
    let least: [string, Counter] | undefined;
    let most = Number.NEGATIVE_INFINITY;
    for (let look = 0; look < looks; look++) {
      const entry = this.#next();
      const room = entry[1].room(rule, now);
      if (least && room <= most) continue;
      least = entry;
      most = room;
      if (entry[1].restMs(rule, now) === 0) break;
    }
    const [key, counter] = least!;
    this.#counters.delete(key);
    return counter;
  }

  #next(): [string, Counter] {
    let step = this.#looking.next();
    if (step.done) {
      this.#looking = this.#counters.entries();
      step = this.#looking.next();
    }
    return step.value!;
  }
}

function newCounter(rule: Rule, now: number): Counter {
  switch (rule.algorithm) {
    case 'token-bucket':
      return new TokenBucket(now);
    case 'sliding-window':
      return new SlidingWindow(rule, now);
    case 'fixed-window':
      return new FixedWindow(rule, now);
    default:
      return new Concurrent();
  }
}
