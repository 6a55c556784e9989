import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';

/**
 * Takes the client's own deadline, `x-weir-deadline-ms`: milliseconds from now. It can only bring the end forward; the
 * routes' and upstreams' timeouts hold beside it.
 */
export function deadline(context: RequestContext): void {
  const value = firstValue(context.headers['x-weir-deadline-ms']);
  if (value === undefined) return;
  if (!/^\d{1,12}$/.test(value)) {
    throw new WeirError('BAD_REQUEST', { detail: 'x-weir-deadline-ms must be a whole number of milliseconds.' });
  }
  context.deadlineMs = Math.min(context.deadlineMs, context.startedMs + Number(value));
  context.clientDeadline = true;
}
