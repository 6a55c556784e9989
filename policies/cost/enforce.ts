import type { Estimate } from '#core/price.ts';
import { WeirError } from '#core/errors.ts';
import type { Variables } from './arguments.ts';
import { inCalls, type FieldPrice, type ItemizedPrice } from './cost.ts';
import type { CostSettings } from './settings.ts';

/** An operation that may run. */
export interface AdmittedCost {
  /** Without what is left out. */
  readonly estimate: Estimate;
  /** Upstreams whose fields are null, since the calls to them would cost too much; undefined where there are none. */
  readonly leftOut: ReadonlySet<string> | undefined;
}

/** Fields that a refusal names. */
const maxNamed = 3;

/**
 * Holds an operation to what one may cost.
 * @param divisible fields may be left out of it
 * @throws {WeirError} `COST_LIMIT_EXCEEDED`, with the fields that make the price
 */
export function admitCost(
  price: ItemizedPrice,
  variables: Variables,
  { maxCost, maxCostPerUpstream }: CostSettings,
  divisible: boolean,
): AdmittedCost {
  let estimate = price.estimate(variables);
  let leftOut: Set<string> | undefined;
  for (const upstream in maxCostPerUpstream) {
    const { max, skip } = maxCostPerUpstream[upstream]!;
    const cost = estimate.byUpstream.get(upstream) ?? 0;
    if (cost <= max) continue;
    if (!skip || !divisible)
      throw exceeded(fieldsBy(price, variables, leftOut, upstream), cost, max, 'maxCostPerUpstream', upstream);
    (leftOut ??= new Set()).add(upstream);
    // What is below its fields goes with them.
    estimate = price.estimate(variables, leftOut);
  }
  if (estimate.total > maxCost)
    throw exceeded(fieldsBy(price, variables, leftOut), estimate.total, maxCost, 'maxCost', undefined);
  return { estimate, leftOut };
}

/** What stands at a field that is left out. */
export function leftOutError(upstream: string): WeirError {
  const detail = `The fields of '${upstream}' are left out, since all the calls to it would cost more than an operation may.`;
  return new WeirError('COST_LIMIT_EXCEEDED', { detail, upstream });
}

/** The dearest first. */
function fieldsBy(
  price: ItemizedPrice,
  variables: Variables,
  leftOut: ReadonlySet<string> | undefined,
  upstream?: string,
): readonly FieldPrice[] {
  const fields = price.fields(variables, leftOut);
  const own = upstream === undefined ? fields : fields.filter((field) => field.upstream === upstream);
  return own.toSorted((a, b) => b.cost - a.cost).slice(0, maxNamed);
}

function exceeded(
  fields: readonly FieldPrice[],
  cost: number,
  maximum: number,
  limit: string,
  upstream: string | undefined,
): WeirError {
  const parts = fields.map((field) => `${field.path} (${field.field}) ${amount(field.cost)}`);
  const named =
    parts.length > 0 ? ` Most of it: ${parts.join(', ')}.` : ' It has too many fields to be priced one by one.';
  const of = upstream === undefined ? '' : ` to '${upstream}'`;
  return new WeirError('COST_LIMIT_EXCEEDED', {
    detail: `The operation may cost ${amount(cost)} calls${of}; at most ${amount(maximum)} are allowed.${named}`,
    ...(upstream !== undefined && { upstream }),
    extensions: {
      limit,
      ...(upstream !== undefined && { upstream }),
      maximum: inCalls(maximum),
      estimated: inCalls(cost),
      fields: fields.map((field) => ({ path: field.path, field: field.field, cost: inCalls(field.cost) })),
    },
  });
}

/** To the hundredth, which is enough to see what is dear. */
function amount(thousandths: number): string {
  return String(Math.round(inCalls(thousandths) * 100) / 100);
}
