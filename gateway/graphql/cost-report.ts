import type { RequestContext } from '#core/context.ts';
import { perCall } from '#core/price.ts';
import { costOf } from '#core/reservation.ts';

/** `extensions.cost`: what an operation costs, in upstream calls, and what its consumer has left. */
export interface CostReport {
  /** Before it began: an upper bound, of calls and of what its objects weigh. */
  readonly estimated: number;
  /** Of the calls that were sent so far; of what came from the cache at least `limits.cachedCost`. */
  readonly actual: number;
  /** Of the limit that leaves least, where the consumer has any that he is told of. */
  readonly limit?: number;
  readonly remaining?: number;
  readonly resetSeconds?: number;
  /** Limits of which much is used. */
  readonly warnings?: readonly string[];
}

/** What is told of the cost of an operation, wherever it is told. Undefined for what has neither price nor limit. */
export function costReport(context: RequestContext): CostReport | undefined {
  const { estimate, reservation } = context;
  const actual = costOf(context);
  const allowance = reservation?.allowance(actual);
  const estimated = estimate?.total ?? reservation?.estimated;
  if (estimated === undefined || (!estimate && !allowance)) return undefined;
  const report = { estimated: estimated / perCall, actual: actual / perCall };
  if (!allowance) return report;
  const { limit, remaining, resetSeconds } = allowance;
  const { warnings } = reservation!;
  return { ...report, limit, remaining, resetSeconds, ...(warnings.length > 0 && { warnings }) };
}

/** What of it stands in `extensions`, where somebody asked for it or has a limit; the header field says it too. */
export function costTold(
  context: RequestContext,
  asked: boolean,
): { readonly cost: CostReport | undefined } | undefined {
  const cost = costReport(context);
  const { reply, reservation } = context;
  const limited = reservation !== undefined && cost?.limit !== undefined;
  if (!limited && !asked) return undefined;
  if (cost && !reply.started) reply.headers['x-weir-cost'] = String(cost.actual);
  return { cost };
}
