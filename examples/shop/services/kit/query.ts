/** Reading of query parameters. What is given but unusable is a 400, never a quiet default. */
import { Problem } from './problem.ts';

/** No list is longer than this, whoever asks. */
const MAX_FIRST = 100;

export function first(query: URLSearchParams, fallback: number): number {
  return integer(query, 'first', 1, MAX_FIRST) ?? fallback;
}

export function integer(query: URLSearchParams, name: string, min: number, max: number): number | undefined {
  const given = query.get(name);
  if (given === null) return undefined;
  const value = /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw refused(name, `must be an integer, ${min} to ${max}`);
}

/**
 * A list, `ids=1,2,3` or `ids=1&ids=2` or both; duplicates count once. What could not be an id stays in the list and
 * is simply not found: callers batch the ids of many clients, and one client's typo must not fail the others.
 */
export function list(query: URLSearchParams, name: string, max: number): string[] {
  const given = query.getAll(name);
  const values = (given.length === 1 ? given[0]! : given.join(',')).split(',');
  const distinct = [...new Set(values)].filter((value) => value !== '');
  if (distinct.length > max) throw refused(name, `takes at most ${max} values, got ${distinct.length}`);
  return distinct;
}

/**
 * A cursor names the row after which to go on, so a page does not shift when rows before it are deleted. It is opaque
 * to callers, which keeps us free to sort by something else one day.
 */
export function cursorOf(row: number): string {
  return Buffer.from(`row:${row}`).toString('base64url');
}

export function after(query: URLSearchParams): number {
  const given = query.get('after');
  if (given === null) return 0;
  const row = /^row:(\d{1,9})$/.exec(Buffer.from(given.slice(0, 64), 'base64url').toString('latin1'))?.[1];
  if (row === undefined || cursorOf(Number(row)) !== given) throw refused('after', 'is not a cursor of this service');
  return Number(row);
}

function refused(at: string, detail: string): Problem {
  return new Problem(400, `Query parameter ${at} ${detail}.`, { issues: [{ at, detail }] });
}
