/** What a limit counts by, in thousandths and milliseconds: the same for all that have a counter of their own in it. */
export interface Rule {
  readonly algorithm: 'sliding-window' | 'token-bucket' | 'fixed-window' | 'concurrent';
  /** The most that may be taken at once: the quota, of a token bucket its burst. */
  readonly capacity: number;
  readonly windowMs: number;
  /** Of a token bucket: `drip / per` thousandths come back in each millisecond. */
  readonly drip: number;
  readonly per: number;
  /** Of a sliding window: it moves on in steps of this long. */
  readonly sliceMs: number;
}

/**
 * How much one payer has used of one limit. All times are whole milliseconds of the store's clock, all amounts whole
 * thousandths, so that what is admitted can be said to the unit. A rule may change between two calls; what was used stays.
 */
export interface Counter {
  /** What may still be taken; below zero where more was used than allowed. */
  room(rule: Rule, now: number): number;
  /** @param amount no more than there is room for */
  take(rule: Rule, amount: number, now: number): void;
  /**
   * Gives back what was taken and not used, as far as it still counts. What has come back by itself is not given back again.
   * @param unused no more than `taken`
   * @param since when it was taken
   */
  giveBack(rule: Rule, unused: number, taken: number, since: number, now: number): void;
  /** Counts what was used beyond what was taken, whether or not there is room: it is a debt. */
  owe(rule: Rule, amount: number, now: number): void;
  /** Milliseconds until there is room for so much if nobody else takes any; infinite for what there never is. */
  waitMs(rule: Rule, amount: number, now: number): number;
  /** Milliseconds until more comes back if nobody takes any, a whole unit where it comes evenly; 0 where all is there. */
  nextMs(rule: Rule, now: number): number;
  /** Milliseconds until nothing is used any more; 0 for a counter that might as well be forgotten. */
  restMs(rule: Rule, now: number): number;
}
