import type { ErrorCode } from '#core/errors.ts';
import { facets, shownInHeaders, type Provenance } from '#core/provenance.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { cacheControl } from './directives.ts';
import type { Mark } from './memory-store.ts';
import type { CacheRules } from './settings.ts';
import type { Storing } from './storing.ts';

/** The answer to a read, as far as it may be given out again. */
export interface Reading {
  readonly upstream: Upstream;
  readonly call: UpstreamCall;
  readonly rules: CacheRules;
  readonly status: number;
  /** Undefined where nobody says how long it is fresh, and whoever asked takes that as it comes. */
  readonly terms: Storing | undefined;
  readonly tags: readonly string[];
  /** What was read, as of when it was asked for. */
  readonly mark: Mark;
  /** It came from the store. */
  readonly hit: boolean;
}

/** A last good answer, and what it stood in for. */
export interface StaleAnswer {
  readonly upstream: string;
  readonly code: ErrorCode;
  readonly ageMs: number;
}

/** Tells of an answer whoever made the call, and notes it for what the call is for. */
export function tellReading(reading: Reading): void {
  const { call } = reading;
  call.purpose?.answered(reading);
  const { provenance } = call.context;
  if (provenance) noteReading(provenance, reading);
}

/** The same of one that nobody else may be given. */
export function tellUnstorable({ purpose, context }: UpstreamCall): void {
  purpose?.answered(undefined);
  context.provenance?.refuse('not storable');
}

/** Tells that the answer is an old one, for want of a good one. */
export function tellStale({ purpose, context }: UpstreamCall, answer: StaleAnswer): void {
  purpose?.stoodIn(answer);
  context.provenance?.refuse('stale');
}

/** Notes for an answer that it is made of this one, too. */
export function noteReading(provenance: Provenance, { upstream, rules, terms, mark, tags }: Reading): void {
  if (terms) {
    if (terms.noCache) return provenance.refuse('no-cache');
    const untilMs = terms.bornMs + terms.lifetimeMs;
    provenance.lasts(untilMs, clientUntilMs(terms, untilMs));
  }
  provenance.takes(mark, tags);
  provenance.read(audienceOf(upstream, rules, terms));
}

/** RFC 9111 §5.2.2.10, RFC 9213: what is said to shared caches is not said to those of clients. */
function clientUntilMs({ bornMs, headers }: Storing, untilMs: number): number {
  const control = headers['cache-control'];
  if (headers['cdn-cache-control'] === undefined && (control === undefined || !String(control).includes('s-maxage')))
    return untilMs;
  return Math.min(untilMs, bornMs + 1000 * (cacheControl(control).seconds('max-age') ?? 0));
}

/** Those of the identity's facets that the answer may depend on. */
function audienceOf(upstream: Upstream, rules: CacheRules, terms: Storing | undefined): number {
  if (terms && (terms.shared || rules.scope === 'shared')) return terms.vary.length === 0 ? 0 : variedBy(terms.vary);
  if (terms && rules.scope === 'consumer') return facets.consumer | variedBy(terms.vary);
  // That somebody is nobody is shown by showing nothing, too.
  const { identity } = upstream.settings;
  return identity === 'headers' ? shownInHeaders : identity === 'token' ? facets.token : 0;
}

/** Other fields of a call are those that a module gave it, and what it read of the request for them is noted where it did. */
function variedBy(vary: readonly string[]): number {
  let audience = 0;
  for (const name of vary) audience |= shown.get(name) ?? 0;
  return audience;
}

const shown: ReadonlyMap<string, number> = new Map([
  ['x-weir-consumer', facets.consumer],
  ['x-weir-tier', facets.tier],
  ['x-weir-roles', facets.roles],
  ['x-weir-scopes', facets.scopes],
  ['x-weir-subject', facets.subject],
  ['authorization', facets.token],
]);
