import type { RequestContext } from '#core/context.ts';
import { perCall } from '#core/price.ts';

/** `extensions.cost`: what an operation costs, in upstream calls, and what its consumer has left. */
export interface CostReport {
  /** Before it began: an upper bound, of calls and of what its objects weigh. */
  readonly estimated: number;
  /** Of the calls that were sent so far. */
  readonly actual: number;
  /** Of the limit that leaves least, where the consumer has any that he is told of. */
  readonly limit?: number;
  readonly remaining?: number;
  readonly resetSeconds?: number;
  /** Limits of which much is used. */
  readonly warnings?: readonly string[];
}

/** What is told of the cost of an operation, wherever it is told. Undefined for what has neither price nor limit. */
export function costReport({ estimate, calls, reservation }: RequestContext): CostReport | undefined {
  const allowance = reservation?.allowance(calls.spent);
  const estimated = estimate?.total ?? reservation?.estimated;
  if (estimated === undefined || (!estimate && !allowance)) return undefined;
  const report = { estimated: estimated / perCall, actual: calls.spent / perCall };
  if (!allowance) return report;
  const { limit, remaining, resetSeconds } = allowance;
  const { warnings } = reservation!;
  return { ...report, limit, remaining, resetSeconds, ...(warnings.length > 0 && { warnings }) };
}
