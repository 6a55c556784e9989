import { firstValue, type Headers } from '#core/headers.ts';
import { cacheControl, type Directives } from './directives.ts';
import { httpDate } from './http-date.ts';
import type { Entry } from './entry.ts';
import type { Storing } from './storing.ts';

/** What a request says of how it may be answered from a store; for most requests, nothing. */
export interface Ask {
  readonly control: Directives;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  /** It says more than a store can judge (RFC 9110 §13.1.1, §13.1.4). */
  readonly beyond: boolean;
}

/** What a request asks of a cache; undefined where it says nothing. */
export function askOf(headers: Headers): Ask | undefined {
  const control = headers['cache-control'];
  const ifNoneMatch = headers['if-none-match'];
  const ifModifiedSince = headers['if-modified-since'];
  const { range } = headers;
  const beyond = headers['if-match'] !== undefined || headers['if-unmodified-since'] !== undefined;
  if (
    control === undefined &&
    ifNoneMatch === undefined &&
    ifModifiedSince === undefined &&
    range === undefined &&
    !beyond
  )
    return undefined;
  return {
    control: cacheControl(control),
    ifNoneMatch: ifNoneMatch === undefined ? undefined : String(ifNoneMatch),
    ifModifiedSince: firstValue(ifModifiedSince),
    range: firstValue(range),
    ifRange: firstValue(headers['if-range']),
    beyond,
  };
}

/** What is stored, as far as its age goes. */
interface Aged {
  readonly terms: Pick<Storing, 'noCache' | 'lifetimeMs' | 'strict'>;
  ageMs(nowMs: number): number;
  fresh(nowMs: number): boolean;
}

/** Whether the entry is what the client asks for, by its age (RFC 9111 §5.2.1); fresh or, where the client takes that, stale. */
export function satisfies(entry: Aged, ask: Ask | undefined, nowMs: number): boolean {
  if (!ask) return entry.fresh(nowMs);
  const { control } = ask;
  if (control.has('no-cache') || entry.terms.noCache) return false;
  const ageMs = entry.ageMs(nowMs);
  const { lifetimeMs, strict } = entry.terms;
  const maxAge = control.seconds('max-age');
  if (maxAge !== undefined && ageMs > maxAge * 1000) return false;
  const minFresh = control.seconds('min-fresh');
  if (minFresh !== undefined) return lifetimeMs - ageMs >= minFresh * 1000;
  if (ageMs < lifetimeMs) return true;
  if (strict || !control.has('max-stale')) return false;
  return control.whole('max-stale') || ageMs - lifetimeMs <= control.seconds('max-stale')! * 1000;
}

/** Whether the client has what the entry is (RFC 9110 §13.2.2): it needs no more than a 304. */
export function isUnchanged({ headers }: { readonly headers: Headers }, ask: Ask, nowMs: number): boolean {
  const { ifNoneMatch, ifModifiedSince } = ask;
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, firstValue(headers.etag));
  const since = httpDate(ifModifiedSince, nowMs);
  if (since === undefined) return false;
  // RFC 9111 §4.3.2: of what does not say when it was modified, the time at which it was made.
  const modified = httpDate(headers['last-modified'], nowMs) ?? httpDate(headers.date, nowMs);
  return modified !== undefined && modified <= since;
}

/** RFC 9110 §13.1.2: by weak comparison. */
function matches(list: string, etag: string | undefined): boolean {
  const trimmed = list.trim();
  if (trimmed === '*') return true;
  if (etag === undefined) return false;
  if (trimmed === etag) return true;
  const opaque = withoutWeakness(etag);
  for (const [tag] of list.matchAll(/(?:W\/)?"[^"]*"/g)) if (withoutWeakness(tag) === opaque) return true;
  return false;
}

function withoutWeakness(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}

/** RFC 9110 §13.1.5: by strong comparison, or the same date. */
export function rangeHolds({ headers }: Entry, ifRange: string | undefined): boolean {
  if (ifRange === undefined) return true;
  if (ifRange.endsWith('"')) return !ifRange.startsWith('W/') && ifRange === headers.etag;
  return ifRange === headers['last-modified'];
}

export interface ByteRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

/**
 * The one range of bytes that is asked for (RFC 9110 §14.1.2), within `length`; `unsatisfiable`; or undefined where the field
 * is to be left alone: another unit, several ranges, not by the grammar.
 */
export function byteRange(range: string, length: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(range.trim());
  if (!match) return undefined;
  const [, from = '', to = ''] = match;
  if (from === '') {
    if (to === '') return undefined;
    const suffix = Number(to);
    return suffix === 0 || length === 0 ? 'unsatisfiable' : { first: Math.max(0, length - suffix), last: length - 1 };
  }
  const first = Number(from);
  if (to !== '' && Number(to) < first) return undefined;
  if (first >= length) return 'unsatisfiable';
  return { first, last: to === '' ? length - 1 : Math.min(Number(to), length - 1) };
}
