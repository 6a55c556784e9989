import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import {
  endedHandle,
  newCall,
  type CallHandle,
  type ResponseSink,
  type Send,
  type UpstreamCall,
} from '#upstreams/call.ts';
import { ownContext } from '#upstreams/own-context.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { hashOf } from '#upstreams/balancing/hash.ts';
import { askOf, satisfies, type Ask } from './ask.ts';
import { everybody, isIdentified, ownPartition, takesCommon } from './audience.ts';
import { Deferred } from './deferred.ts';
import { deliver } from './deliver.ts';
import { Entry } from './entry.ts';
import { Fetch, noteStatus, type Audience } from './fetch.ts';
import type { Shelf } from './memory-store.ts';
import { Outcomes } from './outcomes.ts';
import { isOfOne } from './private.ts';
import { tellReading } from './reading.ts';
import type { Lease, Look, Question, SecondLevel } from './second-level/second-level.ts';
import type { CacheRules } from './settings.ts';
import { selecting } from './vary.ts';

/** Targets are remembered by their hash; two in one place count as one. A power of 2. */
const places = 65_536;

/** One instance at a time fetches a fresh answer, and for so long at most. */
const maxLockMs = 10_000;

/** When it is looked again whether another instance has fetched it. */
const glanceMs = 200;

/**
 * Reads of one upstream: each is answered from memory where that is allowed, then from what instances share, and else fetched.
 * What memory has is given out at once, and waits for nothing.
 */
export class Reader {
  readonly upstream: Upstream;
  readonly shelf: Shelf;
  readonly next: Send;
  readonly outcomes: Outcomes;
  /** Statuses that a stored answer may stand in for: those of RFC 5861 §4, and those that count as failures. */
  readonly failing: ReadonlySet<number>;
  readonly second: SecondLevel | undefined;
  /** Targets whose last answer could not be stored: 1. They are not worth a look. */
  readonly #unstorable: Uint8Array;

  constructor(upstream: Upstream, shelf: Shelf, next: Send) {
    this.upstream = upstream;
    this.shelf = shelf;
    this.next = next;
    this.outcomes = new Outcomes(upstream);
    this.failing = new Set([500, 502, 503, 504, ...upstream.settings.breaker.on]);
    this.second = upstream.surroundings.secondLevel;
    this.#unstorable = new Uint8Array(this.second ? places : 0);
  }

  read(call: UpstreamCall, rules: CacheRules, sink: ResponseSink): CallHandle {
    const ask = askOf(call.headers);
    const alone = ask?.control.has('only-if-cached') === true;
    // RFC 9111 §5.2.1.7: who wants what is stored alone is told that nothing is, whatever keeps it from being looked at.
    if (ask?.beyond === true && alone) return refuse(call, sink);
    if (ask && (ask.beyond || ask.control.has('no-store')) && !alone) {
      noteStatus(call, 'fwd=bypass');
      this.outcomes.count(call, 'bypass');
      call.context.provenance?.refuse('bypass');
      return this.next(call, sink);
    }
    const nowMs = this.upstream.surroundings.clock.epochMs();
    const entry = this.#find(call, rules, nowMs);
    const served = entry && this.#serve(entry, call, rules, ask, nowMs, sink);
    if (served) return served;
    const { second } = this;
    if (second) {
      if (!second.used) second.skip();
      else if (this.#isWorthALook(call.path, entry)) return this.#consult(second, call, rules, ask, entry, sink);
    }
    return this.#onward(call, rules, ask, entry, nothingThere, sink);
  }

  /** Gives out what memory has, where it may be given out as it is. */
  #serve(
    entry: Entry,
    call: UpstreamCall,
    rules: CacheRules,
    ask: Ask | undefined,
    nowMs: number,
    sink: ResponseSink,
  ): CallHandle | undefined {
    if (satisfies(entry, ask, nowMs)) return this.#hit(entry, call, rules, ask, nowMs, sink);
    // RFC 5861 §3, unless the client wants it fresher than that.
    if (!entry.bridges(nowMs) || entry.terms.noCache) return undefined;
    if (ask && (ask.control.has('no-cache') || ask.control.has('max-age') || ask.control.has('min-fresh')))
      return undefined;
    if (!ask?.control.has('only-if-cached')) this.#refresh(entry, call, rules, nowMs);
    return this.#hit(entry, call, rules, ask, nowMs, sink);
  }

  /** What cannot be stored is not there, and what is never given out without asking is not there in a better form. */
  #isWorthALook(target: string, entry: Entry | undefined): boolean {
    return this.#unstorable[placeOf(target)] === 0 && (!entry || entry.renewable);
  }

  /** Looks into what instances share, as long as Redis may take, and goes on with what is there. */
  #consult(
    second: SecondLevel,
    call: UpstreamCall,
    rules: CacheRules,
    ask: Ask | undefined,
    stale: Entry | undefined,
    sink: ResponseSink,
  ): CallHandle {
    const { clock } = this.upstream.surroundings;
    const waits = stale && !stale.fresh(clock.epochMs()) ? stale : undefined;
    const go = (look: Look): CallHandle => {
      this.#adopt(look, call, isOfOne(call, isIdentified(this.upstream, call), rules));
      const nowMs = clock.epochMs();
      const entry = this.#find(call, rules, nowMs);
      const served = entry && this.#serve(entry, call, rules, ask, nowMs, sink);
      if (!served) return this.#onward(call, rules, ask, entry, look, sink);
      second.release(look.lease);
      return served;
    };
    const looked = this.#look(second, this.#question(call, rules, waits));
    return new Deferred(sink, looked, go, ({ lease }) => second.release(lease));
  }

  #question(call: UpstreamCall, rules: CacheRules, stale: Entry | undefined): Question {
    const { name } = this.upstream;
    const own = ownPartition(this.upstream, call, rules);
    return {
      upstream: name,
      target: call.path,
      partitions: takesCommon(rules) ? [everybody(call), own] : [own],
      request: call.headers,
      moment: this.shelf.moment,
      ...(stale && { stale: { entry: stale, lockMs: this.#lockMs } }),
    };
  }

  /** Where another instance is about to fetch a fresh one, that is waited for as long as for Redis itself. */
  async #look(second: SecondLevel, question: Question): Promise<Look> {
    const { clock } = this.upstream.surroundings;
    const untilMs = clock.monotonicMs() + second.store.timeoutMs;
    let asked = question;
    let look = await second.look(asked);
    const stale = asked.stale ? undefined : this.#staleOf(look, question);
    if (stale) {
      asked = { ...question, stale };
      look = await second.look(asked);
    }
    for (let pauseMs = 2; look.underWay && clock.monotonicMs() + pauseMs < untilMs; pauseMs *= 2) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      look = await second.look(asked);
    }
    return look;
  }

  /** What is there that has to be validated before anybody gets it. */
  #staleOf({ found }: Look, { request }: Question): Question['stale'] {
    const nowMs = this.upstream.surroundings.clock.epochMs();
    const [newest] = found.toSorted((a, b) => b.stored.terms.bornMs - a.stored.terms.bornMs);
    if (!newest) return undefined;
    const { partition, stored } = newest;
    const { bornMs, lifetimeMs, staleWhileRevalidateMs, noCache, vary } = stored.terms;
    if (noCache || lifetimeMs <= 0 || nowMs < bornMs + lifetimeMs + staleWhileRevalidateMs) return undefined;
    return { entry: { partition, vary, selected: selecting(vary, request) }, lockMs: this.#lockMs };
  }

  get #lockMs(): number {
    return Math.min(this.upstream.settings.timeout, maxLockMs);
  }

  /** Takes into memory what Redis had, unless it has been made invalid since. */
  #adopt({ found, moment }: Look, call: UpstreamCall, personal: boolean): void {
    const { shelf } = this;
    const { path, headers } = call;
    if (found.length === 0) return;
    for (const { partition, stored } of found) {
      const { terms, tags } = stored;
      if (!shelf.mark(path, tags, moment).holds()) continue;
      const known = shelf.at(path)?.find(partition, headers);
      if (!known || known.terms.bornMs < terms.bornMs)
        shelf.put(new Entry(path, partition, { ...stored, personal }, terms, headers));
    }
  }

  /** Whether answers from there can be stored, as the last one says. */
  note(target: string, storable: boolean): void {
    if (this.second) this.#unstorable[placeOf(target)] = storable ? 0 : 1;
  }

  /** What is stored does not do. */
  #onward(
    call: UpstreamCall,
    rules: CacheRules,
    ask: Ask | undefined,
    entry: Entry | undefined,
    { lease, known }: Pick<Look, 'lease' | 'known'>,
    sink: ResponseSink,
  ): CallHandle {
    if (ask?.control.has('only-if-cached')) {
      this.second?.release(lease);
      return refuse(call, sink);
    }
    const audience = this.#audience(call, rules);
    const fresh = entry?.fresh(this.upstream.surroundings.clock.epochMs());
    const missed = known || this.shelf.at(call.path) ? 'vary-miss' : 'uri-miss';
    // RFC 9211 §2.2.
    const why = !entry ? missed : fresh ? 'request' : 'stale';
    return new Fetch(this, call, { rules, ask, why, entry, audience, lease }, sink).start();
  }

  #audience(call: UpstreamCall, rules: CacheRules): Audience {
    const identified = isIdentified(this.upstream, call);
    return {
      everybody: everybody(call),
      own: ownPartition(this.upstream, call, rules),
      identified,
      personal: isOfOne(call, identified, rules),
    };
  }

  /** What everybody may be given while that is fresh; else, of that and what this caller may, the newer. */
  #find(call: UpstreamCall, rules: CacheRules, nowMs: number): Entry | undefined {
    const resource = this.shelf.at(call.path);
    if (!resource) return undefined;
    const { headers } = call;
    const common = takesCommon(rules) ? resource.find(everybody(call), headers) : undefined;
    if (common?.fresh(nowMs)) return common;
    const own = resource.find(ownPartition(this.upstream, call, rules), headers);
    if (!common || !own) return common ?? own;
    return own.terms.bornMs > common.terms.bornMs ? own : common;
  }

  #hit(
    entry: Entry,
    call: UpstreamCall,
    rules: CacheRules,
    ask: Ask | undefined,
    nowMs: number,
    sink: ResponseSink,
  ): CallHandle {
    call.context.calls.cached++;
    this.shelf.touch(entry);
    if (call.context.provenance || call.purpose) {
      const { status, terms, tags } = entry;
      const mark = this.shelf.mark(entry.target, tags);
      tellReading({ upstream: this.upstream, call, rules, status, terms, tags, mark, hit: true });
    }
    const bytes = deliver(entry, entry.asHit(nowMs), call.method, ask, nowMs, sink);
    this.outcomes.count(call, entry.fresh(nowMs) ? 'hit' : 'stale', bytes);
    return endedHandle;
  }

  /**
   * Fetches a fresh answer while the stale one is given out: one at a time, on the upstream's own time, and at nobody's cost.
   * The upstream is shown the identity of whoever the answer is for.
   */
  #refresh(entry: Entry, call: UpstreamCall, rules: CacheRules, nowMs: number): void {
    if (entry.refreshing || nowMs < entry.retryAtMs) return;
    entry.refreshing = true;
    const { clock } = this.upstream.surroundings;
    const { forwarded } = call.context;
    const headers: Headers = { 'x-forwarded-proto': forwarded.proto, 'x-forwarded-host': forwarded.host };
    for (const name in call.headers) if (!clientsOwn.has(name)) headers[name] = call.headers[name];
    const { labels, shows, keyed } = call;
    const own = newCall(ownContext(clock), 'GET', call.path, headers, { own: true, labels, shows, keyed });
    const audience = this.#audience(call, rules);
    const again = (inMs: number): void => {
      entry.refreshing = false;
      // Where it lies there still, nothing better has come.
      entry.retryAtMs = clock.epochMs() + inMs;
    };
    const done = (): void => again(pauseMs);
    const sink = { onInformation() {}, onHead() {}, onData() {}, onEnd: done, onError: done };
    const fetch = (lease: Lease | undefined): void => {
      own.deadlineMs = clock.monotonicMs() + this.upstream.settings.timeout;
      new Fetch(this, own, { rules, ask: undefined, why: 'stale', entry, audience, lease }, sink).start();
    };
    const { second } = this;
    if (!second?.used) return fetch(undefined);
    void second.look(this.#question(call, rules, entry)).then((look) => {
      this.#adopt(look, own, audience.personal);
      const better = look.found.some(({ stored }) => stored.terms.bornMs > entry.terms.bornMs);
      if (better) second.release(look.lease);
      else if (look.underWay) again(glanceMs);
      else fetch(look.lease);
    });
  }
}

const nothingThere = { lease: undefined, known: false };

function placeOf(target: string): number {
  return hashOf(target) & (places - 1);
}

/** Between two attempts to fetch in the background what could not be fetched. */
const pauseMs = 1_000;

/** What the client has said of its own copy, and no part of what is stored. */
const clientsOwn: ReadonlySet<string> = new Set([
  'if-none-match',
  'if-modified-since',
  'range',
  'if-range',
  'cache-control',
]);

/** RFC 9111 §5.2.1.7. */
function refuse(call: UpstreamCall, sink: ResponseSink): CallHandle {
  noteStatus(call, 'detail="only-if-cached"');
  sink.onError(new WeirError('NOT_STORED'));
  return endedHandle;
}
