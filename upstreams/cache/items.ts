import type { RequestContext } from '#core/context.ts';
import type { Headers } from '#core/headers.ts';
import { newCall, type UpstreamCall } from '#upstreams/call.ts';
import { canonicalAccept, canonicalAcceptEncoding } from '#upstreams/canonical.ts';
import type { Target } from '#upstreams/client/target.ts';
import { parseJson } from '#upstreams/client/json.ts';
import { showing } from '#upstreams/layers/identity.ts';
import type { Key } from '#upstreams/loaders/loader.ts';
import type { Purpose } from '#upstreams/purpose.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { askOf, satisfies, type Ask } from './ask.ts';
import { everybody, isIdentified, ownPartition, shownInputs, takesCommon } from './audience.ts';
import { Entry } from './entry.ts';
import type { Partition, Shelf } from './memory-store.ts';
import { Outcomes } from './outcomes.ts';
import { isOfOne } from './private.ts';
import { noteReading, type Reading } from './reading.ts';
import type { CacheRules } from './settings.ts';
import type { Storing } from './storing.ts';

/** Fields of an answer to many that are as true of each. What any other says, it may say of the many. */
const ofEach: ReadonlySet<string> = new Set([
  'cache-control',
  'cache-groups',
  'cdn-cache-control',
  'content-language',
  'content-type',
  'date',
  'expires',
  'surrogate-control',
  'surrogate-key',
]);

/** Where loaders ask for something else than what is read of one alone. Bounded by the paths that modules have written down. */
const unfit = new WeakSet<Target>();

const outcomes = new WeakMap<Upstream, Outcomes>();

/**
 * Objects that a loader gets by key, as answers to whoever reads them alone: what a proxied `GET /products/7` has stored need not be
 * loaded, and what was loaded is a hit for it. Both are stored under the same key, for the same readers.
 */
export class StoredItems {
  readonly #upstream: Upstream;
  readonly #target: Target;
  readonly #shelf: Shelf;
  /** What a call for any of them would be. */
  readonly #call: UpstreamCall;
  readonly #rules: CacheRules;
  readonly #ask: Ask | undefined;
  readonly #everybody: Partition;
  readonly #own: Partition;
  /** No longer fresh, but better than nothing. */
  readonly #stale = new Map<Key, Entry>();

  private constructor(upstream: Upstream, target: Target, shelf: Shelf, call: UpstreamCall, rules: CacheRules) {
    this.#upstream = upstream;
    this.#target = target;
    this.#shelf = shelf;
    this.#call = call;
    this.#rules = rules;
    this.#ask = askOf(call.headers);
    this.#everybody = everybody(call);
    this.#own = ownPartition(upstream, call, rules);
  }

  /** @returns undefined where nothing may be stored, or given from the store */
  static open(
    upstream: Upstream,
    target: Target,
    rules: CacheRules,
    context: RequestContext,
    purpose: Purpose,
  ): StoredItems | undefined {
    const { cache } = upstream.surroundings;
    if (!cache || purpose.personal || unfit.has(target)) return undefined;
    const headers: Headers = { accept: canonicalAccept(undefined), 'accept-encoding': canonicalAcceptEncoding };
    const control = context.headers['cache-control'];
    if (control !== undefined) headers['cache-control'] = control;
    const call = newCall(context, 'GET', '', headers, { buffered: true, purpose });
    call.identityKey = showing(upstream.settings.identity)?.(call) ?? '';
    const items = new StoredItems(upstream, target, cache.shelf(upstream.name), call, rules);
    return items.#ask?.control.has('no-store') === true ? undefined : items;
  }

  /** Those of the keys that need not be asked for, with what is stored of them. */
  find(keys: readonly Key[]): Map<Key, unknown> {
    const found = new Map<Key, unknown>();
    const nowMs = this.#nowMs();
    for (const key of keys) {
      const path = this.#pathOf(key);
      const entry = path === undefined ? undefined : this.#entry(path, nowMs);
      if (entry?.status !== 200) continue;
      if (satisfies(entry, this.#ask, nowMs)) this.#give(key, entry, found);
      else if (entry.standsIn(nowMs)) this.#stale.set(key, entry);
    }
    return found;
  }

  /** Old answers for keys that could not be loaded, with their age in milliseconds. */
  standIns(): ReadonlyMap<Key, { readonly value: unknown; readonly ageMs: number }> {
    const nowMs = this.#nowMs();
    const found = new Map<Key, { value: unknown; ageMs: number }>();
    for (const [key, entry] of this.#stale) {
      const value = valueOf(entry);
      if (value === undefined || entry.gone || !entry.standsIn(nowMs)) continue;
      this.#shelf.touch(entry);
      this.#outcomes.count(this.#call, 'stale', entry.body.length);
      found.set(key, { value, ageMs: entry.ageMs(nowMs) });
    }
    return found;
  }

  /** What is loaded depends on who asks, by what else than the identity that all calls show: from now on nothing is looked up. */
  refuse(): void {
    unfit.add(this.#target);
  }

  /** Stores what one answer has brought of many, if it may be given out again. */
  put(values: ReadonlyMap<Key, unknown>, { upstream, call, status, terms, tags, mark, hit }: Reading): void {
    if (!terms || hit || status !== 200 || upstream !== this.#upstream || call.transform || !mark.holds()) return;
    if (terms.noCache || (terms.lifetimeMs <= 0 && terms.staleIfErrorMs <= 0)) return;
    // Which fields it depends on is not known of what reads one alone.
    if (!isPlain(terms.vary) || call.shows.length > 0 || terms.headers['content-encoding'] !== undefined) return;
    const partition = terms.shared ? everybody(call) : ownPartition(upstream, call, this.#rules);
    const personal = isOfOne(call, isIdentified(upstream, call), this.#rules);
    const shown = shownInputs(upstream, call);
    for (const [key, value] of values) {
      if (typeof value !== 'object' || value === null || value instanceof Error) continue;
      const path = this.#pathOf(key);
      // It may have been written while the many were read.
      if (path === undefined || !this.#shelf.mark(path, tags, mark.moment).holds()) continue;
      const body = Buffer.from(JSON.stringify(value));
      if (body.length > this.#shelf.maxEntryBytes) continue;
      this.#shelf.put(new Entry(path, partition, { status, body, tags, shown, personal }, ofOne(terms), call.headers));
    }
  }

  /** As a read of this path would find it. */
  #entry(path: string, nowMs: number): Entry | undefined {
    const resource = this.#shelf.at(path);
    if (!resource) return undefined;
    const { headers } = this.#call;
    const common = takesCommon(this.#rules) ? plain(resource.find(this.#everybody, headers)) : undefined;
    if (common?.fresh(nowMs)) return common;
    return plain(resource.find(this.#own, headers)) ?? common;
  }

  #give(key: Key, entry: Entry, found: Map<Key, unknown>): void {
    const value = valueOf(entry);
    if (value === undefined) return;
    found.set(key, value);
    this.#shelf.touch(entry);
    const call = this.#call;
    const { context } = call;
    context.calls.cached++;
    this.#outcomes.count(call, 'hit', entry.body.length);
    if (!context.provenance) return;
    const { status, terms, tags, target } = entry;
    const mark = this.#shelf.mark(target, tags);
    noteReading(context.provenance, {
      upstream: this.#upstream,
      call,
      rules: this.#rules,
      status,
      terms,
      tags,
      mark,
      hit: true,
    });
  }

  get #outcomes(): Outcomes {
    let counts = outcomes.get(this.#upstream);
    if (!counts) outcomes.set(this.#upstream, (counts = new Outcomes(this.#upstream)));
    return counts;
  }

  /** Undefined for a key that no path can carry. */
  #pathOf(key: Key): string | undefined {
    try {
      return this.#target.fillOne(String(key));
    } catch {
      return undefined;
    }
  }

  #nowMs(): number {
    return this.#upstream.surroundings.clock.epochMs();
  }
}

/** What depends on fields of the request that the loader may send in its own way is not looked at. */
function plain(entry: Entry | undefined): Entry | undefined {
  return entry && isPlain(entry.vary) ? entry : undefined;
}

/** The fields are those that the gateway itself writes, in the same way for both. */
function isPlain(vary: readonly string[]): boolean {
  return vary.every((name) => name === 'accept' || name === 'accept-encoding' || name.startsWith('x-weir-'));
}

/** An answer that is no object is as good as none: a service may have others for people. */
function valueOf({ body, headers }: Entry): unknown {
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(String(headers['content-type']))) return undefined;
  try {
    return parseJson(body);
  } catch {
    return undefined;
  }
}

function ofOne(terms: Storing): Storing {
  const headers: Headers = {};
  for (const name in terms.headers) if (ofEach.has(name)) headers[name] = terms.headers[name];
  return { ...terms, headers };
}
