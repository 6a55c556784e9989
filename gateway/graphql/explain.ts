import type { TracedCalls } from '#core/call-trace.ts';
import type { RequestContext } from '#core/context.ts';
import { inCalls, type FieldPrice, type ItemizedPrice } from '#policies/cost/cost.ts';
import type { Variables } from '#policies/cost/arguments.ts';
import { costReport, type CostReport } from './cost-report.ts';
import type { ExplainMode } from './explain-mode.ts';

/** What of the gateway an explanation tells, besides the price. */
export interface ExplainSurroundings {
  /** Of the breaker of an upstream. */
  readonly breakerOf: (upstream: string) => string | undefined;
  /** In thousandths. */
  readonly maxCost: number;
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
  /** How likely the answer is in the cache; null where that is not known. */
  readonly cached?: number | null;
  readonly actual?: ActualCalls;
}

export interface ActualCalls {
  readonly calls: number;
  readonly cost: number;
  readonly failed: number;
  readonly ms: number;
  readonly slowestMs: number;
}

export interface Explanation {
  readonly mode: ExplainMode;
  readonly maxCost: number;
  readonly cost: CostReport | undefined;
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
    maxCost: inCalls(surroundings.maxCost),
    cost: costReport(context),
    upstreams: Object.fromEntries(byUpstream),
    ...(leftOut && { leftOut: [...leftOut] }),
    fields: [...planned, ...unplanned],
  };
}

function explained(field: FieldPrice, { breakerOf }: ExplainSurroundings): ExplainedField {
  const { path, field: coordinate, upstream, batch, parents, calls, objects, cost } = field;
  const breaker = upstream === undefined ? undefined : breakerOf(upstream);
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
    ...(upstream !== undefined && { cached: null }),
  };
}

const none: ActualCalls = { calls: 0, cost: 0, failed: 0, ms: 0, slowestMs: 0 };

function sumOf(traced: Iterable<TracedCalls> | undefined): ActualCalls | undefined {
  let sum: ActualCalls | undefined;
  for (const { calls, spent, failed, ms, slowestMs } of traced ?? []) {
    const { calls: before, cost, failed: failures, ms: time, slowestMs: slowest } = sum ?? none;
    sum = {
      calls: before + calls,
      cost: cost + inCalls(spent),
      failed: failures + failed,
      ms: rounded(time + ms),
      slowestMs: rounded(Math.max(slowest, slowestMs)),
    };
  }
  return sum;
}

/** To the microsecond. */
function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}
