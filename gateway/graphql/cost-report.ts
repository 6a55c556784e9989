import type { RequestContext } from '#core/context.ts';
import { perCall } from '#core/price.ts';

/** `extensions.cost`: what an operation costs, in upstream calls. */
export interface CostReport {
  /** Before it began: an upper bound, of calls and of what its objects weigh. */
  readonly estimated: number;
  /** Of the calls that were sent so far. */
  readonly actual: number;
}

/** What is told of the cost of an operation, wherever it is told. Undefined for what has no price. */
export function costReport({ estimate, calls }: RequestContext): CostReport | undefined {
  return estimate && { estimated: estimate.total / perCall, actual: calls.spent / perCall };
}
