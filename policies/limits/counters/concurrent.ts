import type { Counter, Rule } from './counter.ts';

/** What is under way at once. It comes back when it ends, and only then. */
export class Concurrent implements Counter {
  #underWay = 0;

  room({ capacity }: Rule): number {
    return capacity - this.#underWay;
  }

  take(_rule: Rule, amount: number): void {
    this.#underWay += amount;
  }

  giveBack(_rule: Rule, unused: number): void {
    this.#underWay -= unused;
  }

  owe(): void {}

  /** When something ends nobody knows; soon is worth a try. */
  waitMs(rule: Rule, amount: number): number {
    if (amount > rule.capacity) return Number.POSITIVE_INFINITY;
    return this.room(rule) >= amount ? 0 : 1_000;
  }

  nextMs(): number {
    return this.restMs();
  }

  restMs(): number {
    return this.#underWay === 0 ? 0 : 1_000;
  }
}
