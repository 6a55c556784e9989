/** What the budget starts with and never exceeds, so that a quiet service may retry, and a busy one cannot save up a storm. */
const reserve = 10;

/**
 * Bounds retries to a share of the calls over time: each call earns `ratio`, each retry spends one. Over n calls there are
 * at most `n × ratio + 10` retries, so a failing upstream is never hit with a multiple of its load
 * (finagle's RetryBudget; SRE book, "Handling Overload").
 */
export class RetryBudget {
  #ratio: number;
  #balance: number;

  constructor(ratio: number) {
    this.#ratio = ratio;
    this.#balance = ratio === 0 ? 0 : reserve;
  }

  /** What has been saved stays, as far as the new share allows any. */
  configure(ratio: number): void {
    if (ratio === 0) this.#balance = 0;
    this.#ratio = ratio;
  }

  earn(): void {
    this.#balance = Math.min(reserve, this.#balance + this.#ratio);
  }

  spend(): boolean {
    if (this.#balance < 1) return false;
    this.#balance--;
    return true;
  }
}
