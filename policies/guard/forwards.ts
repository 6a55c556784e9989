import type { RequestContext } from '#core/context.ts';
import { refuse } from './refuse.ts';

/**
 * `Max-Forwards` of an OPTIONS (RFC 9110 §7.6.2): each hop takes one off, and at none answers itself.
 * @returns false when the request must not be forwarded
 */
export function checkForwards({ headers }: RequestContext): boolean {
  const value = headers['max-forwards'];
  if (value === undefined) return true;
  if (!/^\d{1,9}$/.test(String(value))) throw refuse('Max-Forwards is not a number.');
  const left = Number(value);
  if (left === 0) return false;
  headers['max-forwards'] = String(left - 1);
  return true;
}
