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
import { askOf, satisfies, type Ask } from './ask.ts';
import { everybody, ownPartition, shownIdentity } from './audience.ts';
import { deliver } from './deliver.ts';
import type { Entry } from './entry.ts';
import { Fetch, noteStatus } from './fetch.ts';
import type { Shelf } from './memory-store.ts';
import { Outcomes } from './outcomes.ts';
import type { CacheRules } from './settings.ts';

/** Reads of one upstream: each is answered from the store where that is allowed, and else fetched. */
export class Reader {
  readonly upstream: Upstream;
  readonly shelf: Shelf;
  readonly next: Send;
  readonly outcomes: Outcomes;
  /** Statuses that a stored answer may stand in for: those of RFC 5861 §4, and those that count as failures. */
  readonly failing: ReadonlySet<number>;

  constructor(upstream: Upstream, shelf: Shelf, next: Send) {
    this.upstream = upstream;
    this.shelf = shelf;
    this.next = next;
    this.outcomes = new Outcomes(upstream);
    this.failing = new Set([500, 502, 503, 504, ...upstream.settings.breaker.on]);
  }

  read(call: UpstreamCall, rules: CacheRules, sink: ResponseSink): CallHandle {
    const ask = askOf(call.headers);
    if (ask && (ask.beyond || ask.control.has('no-store'))) {
      noteStatus(call, 'fwd=bypass');
      this.outcomes.count(call, 'bypass');
      return this.next(call, sink);
    }
    const nowMs = this.upstream.surroundings.clock.epochMs();
    const known = this.shelf.knows(call.path);
    const entry = known ? this.#find(call, rules, nowMs) : undefined;
    if (!entry) {
      if (ask?.control.has('only-if-cached')) return refuse(call, sink);
      return this.#fetch(call, rules, ask, known ? 'vary-miss' : 'uri-miss', undefined, sink);
    }
    if (satisfies(entry, ask, nowMs)) return this.#hit(entry, call, ask, entry.asHit(nowMs), nowMs, sink);
    const onlyIfCached = ask?.control.has('only-if-cached') === true;
    // RFC 5861 §3, unless the client wants it fresher than that.
    if (entry.bridges(nowMs) && !entry.terms.noCache && (!ask || !ask.control.has('no-cache'))) {
      if (ask?.control.has('max-age') !== true && ask?.control.has('min-fresh') !== true) {
        if (!onlyIfCached) this.#refresh(entry, call, rules, nowMs);
        return this.#hit(entry, call, ask, entry.asHit(nowMs), nowMs, sink);
      }
    }
    if (onlyIfCached) return refuse(call, sink);
    return this.#fetch(call, rules, ask, entry.fresh(nowMs) ? 'request' : 'stale', entry, sink);
  }

  /** What everybody may be given while that is fresh; else, of that and what this caller may, the newer. */
  #find(call: UpstreamCall, rules: CacheRules, nowMs: number): Entry | undefined {
    const { shelf } = this;
    const { path, headers } = call;
    const common = rules.scope === 'subject' ? undefined : shelf.find(path, everybody(call), headers);
    if (common?.fresh(nowMs)) return common;
    const own = shelf.find(path, ownPartition(this.upstream, call, rules), headers);
    if (!common || !own) return common ?? own;
    return own.terms.bornMs > common.terms.bornMs ? own : common;
  }

  #hit(
    entry: Entry,
    call: UpstreamCall,
    ask: Ask | undefined,
    headers: Headers,
    nowMs: number,
    sink: ResponseSink,
  ): CallHandle {
    call.context.calls.cached++;
    this.shelf.touch(entry);
    const bytes = deliver(entry, headers, call.method, ask, nowMs, sink);
    this.outcomes.count(call, entry.fresh(nowMs) ? 'hit' : 'stale', bytes);
    return endedHandle;
  }

  #fetch(
    call: UpstreamCall,
    rules: CacheRules,
    ask: Ask | undefined,
    why: string,
    entry: Entry | undefined,
    sink: ResponseSink,
  ): CallHandle {
    const audience = {
      everybody: everybody(call),
      own: ownPartition(this.upstream, call, rules),
      identified: shownIdentity(this.upstream, call) !== '',
    };
    return new Fetch(this, call, { rules, ask, why, entry, audience }, sink).start();
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
    const own = newCall(ownContext(clock), 'GET', call.path, headers, { own: true, labels: call.labels });
    own.deadlineMs = clock.monotonicMs() + this.upstream.settings.timeout;
    const audience = {
      everybody: everybody(call),
      own: ownPartition(this.upstream, call, rules),
      identified: shownIdentity(this.upstream, call) !== '',
    };
    const done = (): void => {
      entry.refreshing = false;
      // Where it lies there still, nothing better has come.
      entry.retryAtMs = clock.epochMs() + pauseMs;
    };
    const sink = { onInformation() {}, onHead() {}, onData() {}, onEnd: done, onError: done };
    new Fetch(this, own, { rules, ask: undefined, why: 'stale', entry, audience }, sink).start();
  }
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
