import type { Counter, Rule } from './counter.ts';

/** The quota, from one full window of the clock to the next. Around such a moment twice the quota may pass. */
export class FixedWindow implements Counter {
  #used = 0;
  #window: number;

  constructor(rule: Rule, now: number) {
    this.#window = Math.floor(now / rule.windowMs);
  }

  room(rule: Rule, now: number): number {
    this.#move(rule, now);
    return rule.capacity - this.#used;
  }

  take(rule: Rule, amount: number, now: number): void {
    this.#move(rule, now);
    this.#used += amount;
  }

  giveBack(rule: Rule, unused: number, _taken: number, since: number, now: number): void {
    this.#move(rule, now);
    if (Math.floor(since / rule.windowMs) === this.#window) this.#used = Math.max(0, this.#used - unused);
  }

  owe(rule: Rule, amount: number, now: number): void {
    this.take(rule, amount, now);
  }

  waitMs(rule: Rule, amount: number, now: number): number {
    if (amount > rule.capacity) return Number.POSITIVE_INFINITY;
    const lacking = amount - this.room(rule, now);
    if (lacking <= 0) return 0;
    // A debt may take more than one window.
    const windows = Math.ceil(lacking / rule.capacity);
    return (this.#window + windows) * rule.windowMs - now;
  }

  nextMs(rule: Rule, now: number): number {
    this.#move(rule, now);
    return this.#used === 0 ? 0 : (this.#window + 1) * rule.windowMs - now;
  }

  restMs(rule: Rule, now: number): number {
    this.#move(rule, now);
    const windows = Math.ceil(this.#used / rule.capacity);
    return windows === 0 ? 0 : (this.#window + windows) * rule.windowMs - now;
  }

  #move({ windowMs, capacity }: Rule, now: number): void {
    const current = Math.floor(now / windowMs);
    const passed = current - this.#window;
    if (passed === 0) return;
    this.#window = current;
    // What was used beyond the quota is paid by the windows that follow. After a step back nothing has come back.
    if (passed > 0) this.#used = Math.max(0, this.#used - passed * capacity);
  }
}
