import { connectionTokens, hopByHop, type Headers } from '#core/headers.ts';
import { takesCommon } from './audience.ts';
import { deltaSeconds, ruling, type Directives } from './directives.ts';
import { httpDate } from './http-date.ts';
import type { CacheRules } from './settings.ts';
import { variedBy } from './vary.ts';

/** RFC 9110 §15.1: may be stored although nothing says so. */
const storableByDefault: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/** Of these, what a `ttl` of the configuration is meant for: what the resource is, not what went wrong. */
const storableByRule: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308, 404, 410]);

/** RFC 9111 §5.2.2.3: statuses whose rules of caching this cache knows; 206 and 304 have rules of their own. */
const understood: ReadonlySet<number> = new Set([
  ...storableByDefault,
  201,
  202,
  302,
  303,
  307,
  400,
  401,
  402,
  403,
  406,
  408,
  409,
  411,
  413,
  415,
  417,
  421,
  422,
  425,
  426,
  428,
  429,
  431,
  451,
  500,
  502,
  503,
  505,
  504,
  511,
]);

/** The greatest of the share of its age that an unsaid lifetime is guessed to be (RFC 9111 §4.2.2). */
const heuristicShare = 0.1;
const longestGuessMs = 86_400_000;

/** How an answer may be stored and given out again. */
export interface Storing {
  /** May be given to others than those whose identity the upstream was shown, by its own word (RFC 9111 §3.5). */
  readonly shared: boolean;
  /** Epoch time at which the answer was made, as far as anyone can say: now less its age. */
  readonly bornMs: number;
  readonly lifetimeMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** Never given out without asking (RFC 9111 §5.2.2.4). */
  readonly noCache: boolean;
  /** Never given out stale (RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10). */
  readonly strict: boolean;
  /** Names of the request fields that the answer depends on. */
  readonly vary: readonly string[];
  /** What is stored of its fields. */
  readonly headers: Headers;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  /** Epoch times of the request going out and the answer coming in. */
  readonly askedMs: number;
  readonly nowMs: number;
  /** The upstream was shown who asks. */
  readonly identified: boolean;
}

/** Whether an answer to a GET may be stored, and for how long it is good (RFC 9111 §3, §4.2); undefined where it may not. */
export function storing(answered: Answered, rules: CacheRules): Storing | undefined {
  const { status, headers, nowMs } = answered;
  const { control, targeted } = ruling(headers);
  if (!mayStore(status, control)) return undefined;
  if (headers['set-cookie'] !== undefined && !saysShared(control)) return undefined;
  if (String(headers['content-type']).startsWith('text/event-stream')) return undefined;
  const vary = variedBy(headers.vary);
  if (!vary) return undefined;
  const lifetimeMs = lifetime(answered, control, targeted, rules);
  if (lifetimeMs === undefined) return undefined;
  const windows = {
    staleWhileRevalidateMs: windowMs(control, 'stale-while-revalidate', rules.staleWhileRevalidate),
    staleIfErrorMs: windowMs(control, 'stale-if-error', rules.staleIfError),
  };
  // What is never fresh and cannot be validated is of no use to anyone.
  const validator = headers.etag !== undefined || headers['last-modified'] !== undefined;
  const noCache = control.whole('no-cache');
  if (
    !validator &&
    (noCache || (lifetimeMs <= 0 && windows.staleIfErrorMs === 0 && windows.staleWhileRevalidateMs === 0))
  )
    return undefined;
  return {
    shared: takesCommon(rules) && isCommon(control, answered.identified),
    bornMs: nowMs - initialAgeMs(answered),
    lifetimeMs,
    ...windows,
    noCache,
    strict: forbidsStale(control) || control.has('s-maxage'),
    vary,
    headers: kept(headers, control),
  };
}

/** RFC 9111 §3. */
function mayStore(status: number, control: Directives): boolean {
  if (status < 200 || status === 304) return false;
  if (control.has('must-understand')) {
    // §5.2.2.3: who understands the status goes by it and leaves no-store alone.
    if (!understood.has(status)) return false;
  } else if (control.has('no-store')) {
    return false;
  }
  return !control.whole('private');
}

/** RFC 9111 §7.3: a cookie does not keep an answer out of a cache, but it often is for one client only. */
function saysShared(control: Directives): boolean {
  return control.has('public') || control.has('s-maxage');
}

/** Whether an answer may be given to others than those whose identity the upstream was shown. */
export function mayBeShared(control: Directives, identified: boolean, rules: CacheRules | false): boolean {
  if (rules !== false && rules.scope === 'shared') return true;
  return (rules === false || takesCommon(rules)) && isCommon(control, identified);
}

/** RFC 9111 §3.5. */
function isCommon(control: Directives, identified: boolean): boolean {
  return !identified || control.has('public') || control.has('s-maxage') || control.has('must-revalidate');
}

/** RFC 9111 §4.2.4. */
function forbidsStale(control: Directives): boolean {
  return control.has('must-revalidate') || control.has('proxy-revalidate') || control.whole('no-cache');
}

/** RFC 9111 §4.2.1; undefined where nothing says that the answer may be stored. */
function lifetime(
  { status, headers, nowMs }: Answered,
  control: Directives,
  targeted: boolean,
  rules: CacheRules,
): number | undefined {
  if (status === 206) return undefined;
  const seconds = control.seconds('s-maxage') ?? control.seconds('max-age');
  if (seconds !== undefined) return seconds * 1000;
  if (headers.expires !== undefined && !targeted) {
    const expires = httpDate(headers.expires, nowMs);
    // §5.3: an invalid one, such as 0, is in the past.
    return expires === undefined ? 0 : expires - (httpDate(headers.date, nowMs) ?? nowMs);
  }
  const byDefault = storableByDefault.has(status);
  if (rules.heuristic === true && (byDefault || control.has('public'))) {
    const modified = httpDate(headers['last-modified'], nowMs);
    if (modified !== undefined) {
      const agedMs = (httpDate(headers.date, nowMs) ?? nowMs) - modified;
      return Math.min(Math.max(0, agedMs * heuristicShare), longestGuessMs);
    }
  }
  // The configuration speaks where the upstream is silent, and no-cache is a word too.
  if (control.has('no-cache')) return 0;
  if (rules.ttl !== undefined && storableByRule.has(status)) return rules.ttl;
  if (control.has('public') && byDefault) return 0;
  // Never fresh, and kept as the last good answer.
  return rules.staleIfError !== undefined && storableByRule.has(status) ? 0 : undefined;
}

/**
 * RFC 5861. `s-maxage` forbids stale answers too (RFC 9111 §5.2.2.10); who says beside it for how long they are good has been
 * more particular.
 */
function windowMs(control: Directives, name: string, unsaidMs = 0): number {
  if (forbidsStale(control)) return 0;
  const seconds = control.seconds(name);
  if (seconds !== undefined) return seconds * 1000;
  return control.has('s-maxage') ? 0 : unsaidMs;
}

/** RFC 9111 §4.2.3. */
function initialAgeMs({ headers, askedMs, nowMs }: Answered): number {
  const date = httpDate(headers.date, nowMs);
  const apparentMs = date === undefined ? 0 : Math.max(0, nowMs - date);
  const correctedMs = ageMs(headers.age) + (nowMs - askedMs);
  // Dates count whole seconds, so that less than one is no age.
  return Math.max(apparentMs < 1000 ? 0 : apparentMs, correctedMs);
}

/** RFC 9111 §5.1: the first member counts, and what is no number of seconds is left out. */
function ageMs(value: string | string[] | undefined): number {
  if (value === undefined) return 0;
  const first = (Array.isArray(value) ? value[0]! : value).split(',', 1)[0]!.trim();
  return (deltaSeconds(first) ?? 0) * 1000;
}

/** RFC 9111 §3.1: all fields but those of the connection, and those that the answer wants kept out. */
function kept(headers: Headers, control: Directives): Headers {
  const stored: Headers = {};
  const named = connectionTokens(headers.connection);
  const without = new Set([...named, ...control.fields('no-cache'), ...control.fields('private')]);
  for (const name in headers) {
    if (!hopByHop.has(name) && name !== 'age' && !without.has(name)) stored[name] = headers[name];
  }
  return stored;
}
