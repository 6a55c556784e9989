/** What a client is told of the limit that leaves it least, in whole units. */
export interface Allowance {
  readonly name: string;
  readonly limit: number;
  readonly remaining: number;
  /** Until nothing of it is used any more. */
  readonly resetSeconds: number;
}

/** What a request was charged before its work began, until it is known what it really cost. All in thousandths of a call. */
export interface Reservation {
  readonly estimated: number;
  /** Undefined where the client is told of no limit. @param actual what it has cost */
  allowance(actual: number): Allowance | undefined;
  /** Limits of which much is used, by name. */
  readonly warnings: readonly string[];
  /** Of what has no end of its own: what it has cost by now counts as soon as it is more than was reserved. */
  progress(actual: number): void;
  /** It is over: gives back what was not used, or owes what is missing. Only the first time counts. */
  settle(actual: number): void;
}
