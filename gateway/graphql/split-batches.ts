import type { CallTrace } from '#core/call-trace.ts';
import type { FieldPrice } from '#policies/cost/cost.ts';

/** A field that called its upstream more often than it need have. */
export interface SplitBatch {
  readonly field: string;
  readonly path: string;
  readonly upstream: string;
  readonly calls: number;
  /** The most that the price of the operation allows for. */
  readonly expected: number;
  readonly message: string;
}

/**
 * Fields whose loaders were dispatched more often than their keys can explain. The price is an upper bound for resolvers that
 * load at once, so something must have waited in between: an `await` before `load()`, in the field's resolver or above.
 */
export function splitBatches(fields: readonly FieldPrice[], trace: CallTrace): readonly SplitBatch[] {
  return Array.from(trace.fields.values()).flatMap(({ path, field, byUpstream }) =>
    Array.from(byUpstream).flatMap(([upstream, { calls }]): SplitBatch[] => {
      const planned = fields.find((one) => one.path === path && one.field === field && one.upstream === upstream);
      const expected = planned?.calls ?? 0;
      // One call that SDL says nothing of is no pattern.
      if (calls <= Math.max(expected, 1)) return [];
      const message = planned?.batch === undefined ? unbatched(field, upstream, planned) : awaited(field, path, fields);
      return [{ field, path, upstream, calls, expected, message }];
    }),
  );
}

function unbatched(field: string, upstream: string, planned: FieldPrice | undefined): string {
  return planned
    ? `${field} calls '${upstream}' more than once for each parent, so it costs more than its @upstream says; add @cost, or load by a loader`
    : `${field} calls '${upstream}' for each parent, and SDL says nothing of it; load by a batch() loader, and add @upstream`;
}

function awaited(field: string, path: string, fields: readonly FieldPrice[]): string {
  const above = fields.findLast((one) => path.startsWith(`${one.path}.`));
  const further = above ? `, or in that of ${above.field} above it` : '';
  return `the batches of ${field} are split: look for an await before load() in its resolver${further}`;
}
