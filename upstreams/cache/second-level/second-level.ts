import type { Clock } from '#core/clock.ts';
import type { Headers } from '#core/headers.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import { StoreUnavailable, type SharedStore } from '#core/shared-store.ts';
import type { Entry } from '#upstreams/cache/entry.ts';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import { pathOf, type Partition } from '#upstreams/cache/memory-store.ts';
import { selecting } from '#upstreams/cache/vary.ts';
import { encode, encodeVaried, type Stored } from './codec.ts';
import { Counts } from './counts.ts';
import { epochOf, type SharedState } from './epochs.ts';
import { identityOf, Keys, lock, variant } from './keys.ts';
import { Looks, type Place } from './looks.ts';
import { keptMs } from './lifespan.ts';
import { doom, put, release, tag } from './scripts.ts';

/** The longest from asking the upstream to storing what it said. */
const leaseMs = 60_000;
/** The clocks of a cluster's nodes may differ by this much. */
const skewMs = 1_000;
/** Bodies on their way to Redis; what is beyond is not stored there. */
const maxUnderWayBytes = 64 * 1024 * 1024;
/** What is purged in one step. */
const stepEntries = 500;
/** A Redis without memory is not sent anything for so long. */
const fullPauseMs = 1_000;

/** Who may store what the upstream says now. */
export interface Lease {
  readonly token: Buffer;
  readonly epoch: string;
  /** By the clock of Redis. */
  readonly sinceMs: number;
  /** The lock that is held with it, and by which id. */
  readonly lock: string;
  readonly holder: string;
}

export interface Question {
  readonly upstream: string;
  readonly target: string;
  /** Whose answers would do. */
  readonly partitions: readonly Partition[];
  readonly request: Headers;
  /** Now, in writes of its shelf. */
  readonly moment: number;
  /** A stale answer in whose place a fresh one is to be fetched, by one instance at a time for so long at most. */
  readonly stale?: { readonly entry: Pick<Entry, 'partition' | 'vary' | 'selected'>; readonly lockMs: number };
}

export interface Found {
  readonly partition: Partition;
  readonly stored: Stored;
}

export interface Look {
  /** When Redis was asked, in writes of the shelf. */
  readonly moment: number;
  /** Nothing can be stored where it is left out. */
  readonly lease: Lease | undefined;
  /** Another instance is fetching a fresh one. */
  readonly underWay: boolean;
  readonly found: readonly Found[];
  /** Something is stored, maybe for other request fields. */
  readonly known: boolean;
}

const nothing: Look = { moment: 0, lease: undefined, underWay: false, found: [], known: false };

export interface SecondLevelOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
  readonly maxEntryBytes: () => number;
  /** Names of all upstreams of which something may be stored. */
  readonly upstreams: () => Iterable<string>;
  /** Of records; default: the one that this version writes. */
  readonly format?: number;
}

/**
 * What instances share of what upstreams have answered: the level below memory. Nothing here fails: what cannot be had in the
 * store's own time is as if it were not there. One unanswered question is enough, and nobody asks any more until
 * {@link resume} says that Redis answers again.
 */
export class SecondLevel {
  readonly store: SharedStore;
  readonly keys: Keys;
  readonly #options: SecondLevelOptions;
  readonly #counts: Counts;
  readonly #looks: Looks;
  #state: SharedState | undefined;
  /** Redis has not been told yet of something that this instance knows. */
  #behind = false;
  #lost: () => void = () => {};
  #underWayBytes = 0;
  #puts = 0;
  #fullUntilMs = 0;

  constructor(store: SharedStore, options: SecondLevelOptions) {
    this.store = store;
    this.#options = options;
    this.keys = new Keys(store.prefix, options.format);
    this.#counts = new Counts(options.clock, options.log, options.meter);
    this.#looks = new Looks(store, options.maxEntryBytes, () => this.#counts.read('broken'));
    options.meter.observe(
      'weir.cache.redis.used',
      {
        kind: 'gauge',
        unit: '',
        description: '1 while Redis is the second level of the cache, 0 while the cache goes on without it.',
        across: 'each',
      },
      (report) => report(this.used ? 1 : 0, {}),
    );
  }

  /** Whether Redis answers, and is known to know all that this instance does. */
  get used(): boolean {
    return this.#state !== undefined && !this.#behind && this.store.up;
  }

  /** Names of all upstreams of which this instance may store something. */
  get upstreams(): readonly string[] {
    return [...this.#options.upstreams()];
  }

  /** Answers on their way to Redis. */
  get puts(): number {
    return this.#puts;
  }

  /** Redis has answered. */
  resume(state: SharedState): void {
    this.#state = state;
  }

  /** Calls `lost` when something was not answered, so that it is soon tried again. */
  onLost(lost: () => void): void {
    this.#lost = lost;
  }

  /** It is not asked until it has answered again. */
  suspend(): void {
    this.#state = undefined;
  }

  /** Redis has not been told yet what this instance knows, so that nothing is read there; or it has. */
  hold(behind: boolean): void {
    this.#behind = behind;
  }

  /** It would have been asked. */
  skip(): void {
    this.#counts.read('skipped');
  }

  /** What Redis has of this, and the right to store what the upstream says. Never fails. */
  async look(question: Question): Promise<Look> {
    const state = this.#state;
    if (!state) return nothing;
    const { upstream, target, partitions, request, moment, stale } = question;
    const keys = this.keys.path(upstream, pathOf(target));
    const epoch = epochOf(state, upstream);
    const places = partitions.map((partition) => ({
      key: keys.entry(epoch, target, partition),
      identity: identityOf(upstream, target, partition),
    }));
    const held = stale && lockOf(keys.entry(epoch, target, stale.entry.partition), stale.entry);
    try {
      let looked = await this.#looks.look({
        lease: keys.lease,
        leaseMs,
        places,
        lock: held,
        lockMs: stale?.lockMs ?? 0,
        moment,
      });
      const { holder, free, moment: askedAt } = looked;
      const records = [...looked.records];
      const varied = new Map<number, Place>();
      for (const [index, record] of records.entries()) {
        if (!record || !('vary' in record)) continue;
        const selected = selecting(record.vary, request);
        const identity = identityOf(upstream, target, partitions[index]!, record.vary, selected);
        varied.set(index, { key: variant(places[index]!.key, record.vary, selected), identity });
      }
      if (varied.size > 0) {
        looked = await this.#looks.look({
          lease: keys.lease,
          leaseMs,
          places: [...varied.values()],
          lockMs: 0,
          moment,
        });
        for (const [nth, index] of [...varied.keys()].entries()) records[index] = looked.records[nth];
      }
      const known = varied.size > 0;
      const found: Found[] = [];
      for (const [index, stored] of records.entries())
        if (stored && !('vary' in stored)) found.push({ partition: partitions[index]!, stored });
      this.#counts.read(found.length > 0 ? 'hit' : 'miss');
      const { token, sinceMs } = looked;
      if (!token) this.#counts.write('full');
      const lease = token && { token, epoch, sinceMs, lock: held ?? '', holder: free ? holder : '' };
      return { moment: Math.min(askedAt, looked.moment), lease, underWay: !free, found, known };
    } catch (error) {
      this.#fail(error);
      this.#counts.read('failed', error);
      return nothing;
    }
  }

  /** Stores an answer that was asked for with the lease. Never fails, and nobody waits for it. */
  async put(lease: Lease, upstream: string, entry: Entry): Promise<void> {
    const { clock, maxEntryBytes } = this.#options;
    const lastsMs = Math.round(keptMs(entry, clock.epochMs()));
    const { length } = entry.body;
    if (lastsMs <= 0 || length > maxEntryBytes()) return this.release(lease);
    if (!this.used || clock.monotonicMs() < this.#fullUntilMs || this.#underWayBytes + length > maxUnderWayBytes) {
      this.#counts.write('skipped');
      return;
    }
    this.#underWayBytes += length;
    this.#puts++;
    try {
      this.#counts.write((await this.#put(lease, upstream, entry, lastsMs)) ? 'stored' : 'late');
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('OOM')) {
        this.#fullUntilMs = clock.monotonicMs() + fullPauseMs;
        this.#counts.write('full', error);
      } else {
        // Nobody has waited for it, and it may have been too large for the time; whether Redis answers, looks tell.
        this.#counts.write('failed', error);
      }
    } finally {
      this.#underWayBytes -= length;
      this.#puts--;
    }
  }

  async #put(lease: Lease, upstream: string, entry: Entry, lastsMs: number): Promise<boolean> {
    const { target, partition, tags, shown, vary, selected, status, body, terms } = entry;
    const keys = this.keys.path(upstream, pathOf(target));
    const base = keys.entry(lease.epoch, target, partition);
    const several = vary.length > 0;
    const key = several ? variant(base, vary, selected) : base;
    const identity = several
      ? identityOf(upstream, target, partition, vary, selected)
      : identityOf(upstream, target, partition);
    const record = await encode(
      { status, body, tags, shown, terms: { ...terms, headers: entry.headers } },
      { lease: lease.token, identity },
    );
    const sinceMs = this.store.clustered ? lease.sinceMs - skewMs : lease.sinceMs;
    const tagged = tags.map((name) => {
      const [entries, purged] = this.keys.tag(upstream, name);
      return this.store.run(tag, [entries, purged], [sinceMs, lastsMs, key]);
    });
    if ((await Promise.all(tagged)).includes(0)) return false;
    const instead = several
      ? encodeVaried({ vary }, { lease: lease.token, identity: identityOf(upstream, target, partition) })
      : '';
    const held = lease.lock === '' ? lock(base) : lease.lock;
    return (
      (await this.store.run(
        put,
        [keys.lease, held, key, base],
        [lease.token, lastsMs, record, instead, lease.holder],
      )) === 1
    );
  }

  /** The answer that was to be fetched with it has not come, or is not stored. */
  release(lease: Lease | undefined): void {
    if (!lease || lease.holder === '' || !this.used) return;
    this.store.run(release, [lease.lock], [lease.holder]).catch((error: unknown) => this.#fail(error));
  }

  /** The upstream has something else now. */
  remove(upstream: string, { target, partition, vary, selected }: Entry): void {
    const state = this.#state;
    if (!state || !this.used) return;
    const base = this.keys.path(upstream, pathOf(target)).entry(epochOf(state, upstream), target, partition);
    const key = vary.length > 0 ? variant(base, vary, selected) : base;
    this.store.call('UNLINK', key).catch((error: unknown) => this.#fail(error));
  }

  /**
   * Makes invalid what has been written or purged, whoever has stored it. Of all of an upstream see {@link SharedState}.
   * @param all upstreams that are meant where none is named
   * @throws {StoreUnavailable}
   */
  async forget(
    { upstream, paths = [], tags = [] }: Invalidation,
    all: readonly string[] = this.upstreams,
  ): Promise<void> {
    const names = upstream === undefined ? all : [upstream];
    const leases = names.flatMap((name) => paths.map((path) => this.keys.path(name, path).lease));
    await this.#unlink(leases);
    for (const name of names) for (const tagName of tags) await this.#purge(name, tagName);
  }

  /** In time of the entries that have the tag. */
  async #purge(upstream: string, tagName: string): Promise<void> {
    const places = this.keys.tag(upstream, tagName);
    const doomed = places[2];
    // Whoever asked before this is not let in with it any more.
    if ((await this.store.run(doom, places, [leaseMs + skewMs])) === 0) return;
    for (;;) {
      const step = (await this.store.call('ZRANGE', doomed, 0, stepEntries - 1)) as string[];
      if (step.length === 0) return;
      await this.#unlink(step);
      await this.store.call('ZREM', doomed, ...step);
    }
  }

  async #unlink(keys: readonly string[]): Promise<void> {
    for (let at = 0; at < keys.length; at += stepEntries)
      // One by one, for they lie on different nodes; they go out together.
      await Promise.all(keys.slice(at, at + stepEntries).map((key) => this.store.call('UNLINK', key)));
  }

  #fail(error: unknown): void {
    if (!(error instanceof StoreUnavailable) || !this.#state) return;
    this.suspend();
    this.#lost();
  }
}

function lockOf(base: string, { vary, selected }: Pick<Entry, 'vary' | 'selected'>): string {
  return lock(vary.length > 0 ? variant(base, vary, selected) : base);
}
