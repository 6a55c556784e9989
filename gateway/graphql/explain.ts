import type { TracedCalls } from '#core/call-trace.ts';
import type { RequestContext } from '#core/context.ts';
import type { Standing } from '#core/reservation.ts';
import { inCalls, type FieldPrice, type ItemizedPrice } from '#policies/cost/cost.ts';
import type { Variables } from '#policies/cost/arguments.ts';
import { costReport, type CostReport } from './cost-report.ts';
import type { ExplainedCaching } from './explain-caching.ts';
import type { ExplainMode } from './explain-mode.ts';

/** What of the gateway an explanation tells, besides the price. */
export interface ExplainSurroundings {
  /** Of the breaker of an upstream. */
  readonly breakerOf: (upstream: string) => string | undefined;
  /** How likely a read of an upstream is answered from the store. */
  readonly cachedOf: (upstream: string) => number | undefined;
  /** In thousandths. */
  readonly maxCost: number;
  /** What SDL says of keeping what a field gives, `Type.field`. */
  readonly cachingOf: (field: string) => ExplainedCaching | undefined;
  /** What the consumer has left; undefined where nobody can say. */
  readonly budget: readonly Standing[] | undefined;
}

/** One field of an operation, all amounts in upstream calls. */
export interface ExplainedField {
  readonly path: string;
  readonly field: string;
  readonly upstream?: string;
  /** Bounds: objects that it is asked of, in so many batches, with so many calls, giving so many objects. */
  readonly parents: number;
  readonly batch?: number;
  readonly batches?: number;
  readonly calls: number;
  readonly objects: number;
  readonly cost: number;
  readonly breaker?: string;
  /**
   * How likely the answer is in the cache: the part of the reads that fields had of the upstream in the last minutes which were
   * answered from the store; null where there were none.
   */
  readonly cached?: number | null;
  /** What SDL says of keeping it. */
  readonly caching?: ExplainedCaching;
  readonly actual?: ActualCalls;
}

export interface ActualCalls {
  readonly calls: number;
  readonly cost: number;
  readonly failed: number;
  /** Never sent, and not among the calls: the breaker was open, there was no place, no connection, or no time left. */
  readonly refused: number;
  readonly ms: number;
  readonly slowestMs: number;
}

export interface Explanation {
  readonly mode: ExplainMode;
  readonly maxCost: number;
  readonly cost: CostReport | undefined;
  /** What the consumer has left, as `GET /limits` tells it. */
  readonly budget?: readonly Standing[];
  /** By upstream. */
  readonly upstreams: Readonly<Record<string, { readonly estimated: number; readonly actual?: ActualCalls }>>;
  /** Upstreams whose fields are left out. */
  readonly leftOut?: readonly string[];
  readonly fields: readonly ExplainedField[];
}

/** What an operation costs, field by field; and what it came to, where it was run. */
export function explain(
  mode: ExplainMode,
  price: ItemizedPrice,
  variables: Variables,
  context: RequestContext,
  surroundings: ExplainSurroundings,
): Explanation {
  const { estimate, leftOut } = context;
  const { budget, maxCost } = surroundings;
  const trace = mode === 'run' ? context.calls.trace : undefined;
  const planned = price.fields(variables, leftOut).map((field): ExplainedField => {
    const actual = trace && sumOf(trace.fields.get(`${field.path} ${field.field}`)?.byUpstream.values());
    return { ...explained(field, surroundings), ...(trace && field.upstream && { actual: actual ?? none }) };
  });
  const known = new Set(planned.map(({ path, field }) => `${path} ${field}`));
  // Calls that SDL says nothing of.
  const unplanned = Array.from(trace?.fields ?? []).flatMap(([key, { path, field, byUpstream }]): ExplainedField[] => {
    const actual = sumOf(byUpstream.values());
    if (known.has(key) || !actual) return [];
    const [upstream] = byUpstream.keys();
    return [{ path, field, ...(upstream && { upstream }), parents: 0, calls: 0, objects: 0, cost: 0, actual }];
  });
  const byUpstream = Array.from(estimate?.byUpstream ?? [], ([name, thousandths]) => {
    const traced = Array.from(trace?.fields.values() ?? []).flatMap((field) => field.byUpstream.get(name) ?? []);
    const actual = trace && (sumOf(traced) ?? none);
    return [name, { estimated: inCalls(thousandths), ...(actual && { actual }) }] as const;
  });
  return {
    mode,
    maxCost: inCalls(maxCost),
    cost: costReport(context),
    ...(budget && { budget }),
    upstreams: Object.fromEntries(byUpstream),
    ...(leftOut && { leftOut: [...leftOut] }),
    fields: [...planned, ...unplanned],
  };
}

function explained(field: FieldPrice, { breakerOf, cachedOf, cachingOf }: ExplainSurroundings): ExplainedField {
  const { path, field: coordinate, upstream, batch, parents, calls, objects, cost } = field;
  const breaker = upstream === undefined ? undefined : breakerOf(upstream);
  const caching = cachingOf(coordinate);
  return {
    path,
    field: coordinate,
    ...(upstream !== undefined && { upstream }),
    parents,
    ...(batch !== undefined && { batch, batches: Math.ceil(parents / batch) }),
    calls,
    objects,
    cost: inCalls(cost),
    ...(breaker !== undefined && { breaker }),
    ...(upstream !== undefined && { cached: cachedOf(upstream) ?? null }),
    ...(caching && { caching }),
  };
}

const none: ActualCalls = { calls: 0, cost: 0, failed: 0, refused: 0, ms: 0, slowestMs: 0 };

function sumOf(traced: Iterable<TracedCalls> | undefined): ActualCalls | undefined {
  let sum: ActualCalls | undefined;
  for (const { calls, spent, failed, refused, ms, slowestMs } of traced ?? []) {
    const before: ActualCalls = sum ?? none;
    sum = {
      calls: before.calls + calls,
      cost: before.cost + inCalls(spent),
      failed: before.failed + failed,
      refused: before.refused + refused,
      ms: rounded(before.ms + ms),
      slowestMs: rounded(Math.max(before.slowestMs, slowestMs)),
    };
  }
  return sum;
}

/** To the microsecond. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
