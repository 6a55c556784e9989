import type { Attributes, Counter, Meter } from '#core/meter.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { MemoryStore } from './memory-store.ts';
import type { RecentReads } from './recent-reads.ts';

/**
 * What became of a read: `hit`; `stale`, given out although it was no longer fresh; `revalidated`, a 304; `collapsed`, the answer
 * to another's call under way; `miss`; `bypass`, of which nothing is looked up or stored.
 */
export type Outcome = 'hit' | 'stale' | 'revalidated' | 'collapsed' | 'miss' | 'bypass';

type Bound = Partial<Record<Outcome, Counter>> & { bytes?: Counter };

/** Counts reads by route and outcome; both are bounded by the configuration. */
export class Outcomes {
  readonly #upstream: string;
  readonly #recent: RecentReads;
  readonly #reads: ReturnType<Meter['counter']>;
  readonly #bytes: ReturnType<Meter['counter']>;
  readonly #byRoute = new Map<string | undefined, Bound>();

  constructor({ name, reads, surroundings: { meter } }: Upstream) {
    this.#upstream = name;
    this.#recent = reads;
    this.#reads = meter.counter('weir.cache.reads', {
      unit: '{read}',
      description: 'Reads that could have been answered from the store, by what became of them.',
    });
    this.#bytes = meter.counter('weir.cache.served', {
      unit: 'By',
      description: 'Content that came from the store instead of an upstream.',
    });
  }

  /** @param bytes content that came from the store */
  count(call: UpstreamCall, outcome: Outcome, bytes = 0): void {
    // The gateway's own are nobody's reads.
    if (call.own) return;
    if (call.context.operation) this.#recent.count(outcome === 'hit' || outcome === 'stale');
    const route = call.context.routeName;
    let bound = this.#byRoute.get(route);
    if (!bound) this.#byRoute.set(route, (bound = {}));
    (bound[outcome] ??= this.#reads.with({ ...this.#of(route), 'weir.cache.outcome': outcome })).add(1);
    if (bytes > 0) (bound.bytes ??= this.#bytes.with(this.#of(route))).add(bytes);
  }

  #of(route: string | undefined): Attributes {
    return { 'weir.upstream': this.#upstream, ...(route !== undefined && { 'http.route': route }) };
  }
}

/** What is read off the store at each collection. */
export function observeCache(meter: Meter, cache: MemoryStore): void {
  const sum = { across: 'sum' } as const;
  meter.observe(
    'weir.cache.size',
    { kind: 'gauge', unit: 'By', description: 'What stored answers take.', ...sum },
    (report) => report(cache.bytes, {}),
  );
  meter.observe(
    'weir.cache.entries',
    { kind: 'gauge', unit: '{entry}', description: 'Stored answers.', ...sum },
    (report) => report(cache.entries, {}),
  );
  meter.observe(
    'weir.cache.evictions',
    { kind: 'counter', unit: '{entry}', description: 'Stored answers that made room for others.', ...sum },
    (report) => report(cache.evictions, {}),
  );
}
