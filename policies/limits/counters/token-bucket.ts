import { perCall } from '#core/price.ts';
import type { Counter, Rule } from './counter.ts';

/** For how long the lowest level is remembered, at the least. */
const rememberMs = 2_000;

/**
 * GCRA: a bucket that is full at first and fills up at an even rate, told by what is missing of it. It admits at most
 * `burst + rate × time`. What is missing is whole; the part of a thousandth that has come back by now is `rest / per`.
 *
 * What a reservation gives back must not come back twice, since the bucket filled up meanwhile, and whoever is full gains
 * nothing by it. Had it not been taken, no more would be there now than the least that was missing at any time since. That
 * least is remembered for two stretches of time; of what is older, only what cannot have come back by itself is given back.
 */
export class TokenBucket implements Counter {
  #missing = 0;
  #at: number;
  #rest = 0;
  #least = 0;
  #leastSince = 0;
  #formerLeast = 0;
  #formerSince = 0;

  constructor(now: number) {
    this.#at = now;
  }

  room(rule: Rule, now: number): number {
    this.#fill(rule, now);
    return rule.capacity - this.#missing;
  }

  take(rule: Rule, amount: number, now: number): void {
    this.#fill(rule, now);
    if (this.#missing === 0) {
      // What was taken before has come back by itself, all of it.
      this.#least = amount;
      this.#formerLeast = amount;
      this.#leastSince = now;
      this.#formerSince = now;
    }
    this.#missing += amount;
    if (now - this.#leastSince < rememberMs) return;
    this.#formerLeast = this.#least;
    this.#formerSince = this.#leastSince;
    this.#least = this.#missing;
    this.#leastSince = now;
  }

  giveBack(rule: Rule, unused: number, taken: number, since: number, now: number): void {
    this.#fill(rule, now);
    const cameBack = ((now - since) * rule.drip) / rule.per;
    const sure = taken - Math.ceil(cameBack) - 1;
    const given = Math.min(unused, this.#missing, Math.max(0, sure, this.#leastMissing(since)));
    this.#missing -= given;
    this.#least = Math.max(0, this.#least - given);
    this.#formerLeast = Math.max(0, this.#formerLeast - given);
  }

  owe(rule: Rule, amount: number, now: number): void {
    this.take(rule, amount, now);
  }

  waitMs(rule: Rule, amount: number, now: number): number {
    if (amount > rule.capacity) return Number.POSITIVE_INFINITY;
    const lacking = amount - this.room(rule, now);
    return lacking <= 0 ? 0 : Math.ceil((lacking * rule.per - this.#rest) / rule.drip);
  }

  nextMs(rule: Rule, now: number): number {
    this.#fill(rule, now);
    return Math.ceil((Math.min(perCall, this.#missing) * rule.per - this.#rest) / rule.drip);
  }

  restMs(rule: Rule, now: number): number {
    this.#fill(rule, now);
    return Math.ceil((this.#missing * rule.per - this.#rest) / rule.drip);
  }

  #leastMissing(since: number): number {
    if (since >= this.#leastSince) return this.#least;
    return since >= this.#formerSince ? Math.min(this.#least, this.#formerLeast) : 0;
  }

  #fill({ drip, per }: Rule, now: number): void {
    const passedMs = now - this.#at;
    // Of a clock that was set back nothing comes back, and nothing is lost.
    if (passedMs !== 0) this.#at = now;
    if (passedMs > 0 && this.#missing > 0) {
      if (passedMs * (drip / per) > this.#missing + 1) {
        this.#missing = 0;
      } else {
        const whole = passedMs * drip + Math.min(this.#rest, per - 1);
        const back = Math.floor(whole / per);
        this.#rest = whole - back * per;
        this.#missing -= back;
      }
    }
    if (this.#missing <= 0) {
      this.#missing = 0;
      this.#rest = 0;
    }
    if (this.#missing < this.#least) this.#least = this.#missing;
  }
}
