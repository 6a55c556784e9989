/**
 * Work is priced in upstream calls, counted in integer thousandths of one, so that sums are exact in every store
 *.
 */
export const perCall = 1_000;

/** What an operation may come to, an upper bound: what it really cost is known when it has ended. */
export interface Estimate {
  /** In thousandths of a call, upstream calls and everything else. */
  readonly total: number;
  /** The same of the calls to each upstream. */
  readonly byUpstream: ReadonlyMap<string, number>;
}

/** The price of a prepared operation, worked out once; what it comes to depends on the variables. */
export interface OperationPrice {
  /** @param variables coerced, with their defaults filled in */
  estimate(variables: Readonly<Record<string, unknown>>): Estimate;
}
