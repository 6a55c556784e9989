import { isIdentified } from '#upstreams/cache/audience.ts';
import { towardsClient } from '#upstreams/cache/private.ts';
import { tellUnstorable } from '#upstreams/cache/reading.ts';
import { Reader } from '#upstreams/cache/reader.ts';
import { rulesOf, rulesOfField, type CacheRules } from '#upstreams/cache/settings.ts';
import { Write } from '#upstreams/cache/write.ts';
import { Relay, type ResponseSink, type UpstreamCall } from '#upstreams/call.ts';
import type { Headers } from '#core/headers.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Purpose } from '#upstreams/purpose.ts';

/**
 * A shared cache (RFC 9111) that every reader of an upstream goes through: what a resolver has fetched is a hit for a proxied
 * path. The configuration says what of upstreams that say nothing may be stored. A write makes what it changes invalid even
 * where nothing is stored by the route that it came by.
 */
export const cache: Layer = {
  name: 'cache',
  over: (upstream, next) => {
    const { cache: store } = upstream.surroundings;
    if (!store) return next;
    const reader = new Reader(upstream, store.shelf(upstream.name), next);
    const unsaid = rulesOf(upstream.settings.cache);
    const ofFields = new FieldRules(unsaid);
    return (call, sink) => {
      if (call.own || call.pinned || call.stream?.kind === 'upgrade') return next(call, sink);
      const rules = call.cache ?? (call.purpose ? ofFields.of(call.purpose) : unsaid);
      if (reads.has(call.method)) {
        if (call.mirrored) return next(call, sink);
        if (rules !== false && isStorable(call)) return reader.read(call, rules, sink);
        tellUnstorable(call);
        return next(call, new Unstored(upstream, call, rules, sink));
      }
      if (!call.mirrored) tellUnstorable(call);
      if (harmless.has(call.method)) return next(call, sink);
      // What it changes is stored by others, whether or not anything is by the route that it comes by.
      const { tags = [] } = rules || unsaid || {};
      return next(call, new Write(store, upstream, call, tags, sink));
    };
  },
};

/** The rules of fields, each made once. */
class FieldRules {
  readonly #unsaid: CacheRules | false;
  readonly #known = new WeakMap<CacheRules, CacheRules | false>();

  constructor(unsaid: CacheRules | false) {
    this.#unsaid = unsaid;
  }

  of({ caching, personal }: Purpose): CacheRules | false {
    if (!caching) return this.#unsaid;
    let rules = this.#known.get(caching.rules);
    if (rules === undefined) this.#known.set(caching.rules, (rules = rulesOfField(this.#unsaid, caching.rules)));
    return personal && rules && rules.scope === 'shared' ? { ...rules, scope: 'subject' } : rules;
  }
}

const reads: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** RFC 9110 §9.2.1: safe methods whose answers are not stored. Of any other, also one that nobody knows, the worst is assumed. */
const harmless: ReadonlySet<string> = new Set(['OPTIONS', 'TRACE']);

/** What has content of its own, or asks for a stream without an end, is nobody else's. */
function isStorable({ body, stream, headers }: UpstreamCall): boolean {
  if (body || stream) return false;
  const { accept } = headers;
  return typeof accept !== 'string' || !accept.includes('text/event-stream');
}

/** Not stored here; whether others may store it is told them all the same. */
class Unstored extends Relay {
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  readonly #rules: CacheRules | false;

  constructor(upstream: Upstream, call: UpstreamCall, rules: CacheRules | false, sink: ResponseSink) {
    super(sink);
    this.#upstream = upstream;
    this.#call = call;
    this.#rules = rules;
  }

  override onHead(status: number, headers: Headers): void {
    const identified = isIdentified(this.#upstream, this.#call);
    this.sink.onHead(status, towardsClient(headers, this.#call, identified, this.#rules));
  }
}
