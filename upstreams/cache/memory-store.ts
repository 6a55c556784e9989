import type { Headers } from '#core/headers.ts';
import { hashOf } from '#upstreams/balancing/hash.ts';
import type { Entry } from './entry.ts';
import type { Invalidation } from './invalidation.ts';
import type { Home, Kept } from './kept.ts';
import type { CacheSettings } from './settings.ts';

/** Answers of one URI for one audience that differ by `Vary`; of more, the oldest go. */
const maxVariants = 32;

/**
 * Places in which writes are remembered, two for each path by its hash: it counts as written only if both are, so that it is
 * hardly ever taken for another. A power of 2.
 */
const writePlaces = 8_192;
const placeMask = writePlaces - 1;

/** Who may be given an answer, as part of its key: everybody, or those whom the upstream knows by this. */
export type Partition = string;

/** The answers of one URI, by whom they may be given to. */
export class Resource {
  readonly path: string;
  readonly partitions = new Map<Partition, Entry[]>();

  constructor(path: string) {
    this.path = path;
  }

  find(partition: Partition, request: Headers): Entry | undefined {
    const entries = this.partitions.get(partition);
    if (entries) for (const entry of entries) if (entry.answers(request)) return entry;
    return undefined;
  }
}

/** What was read on a shelf at a moment; it holds until a write to it, or to one of its tags, is known. */
export class Mark {
  readonly #shelf: Shelf;
  readonly #hashes: readonly number[];
  readonly moment: number;

  constructor(shelf: Shelf, hashes: readonly number[], moment: number) {
    this.#shelf = shelf;
    this.#hashes = hashes;
    this.moment = moment;
  }

  holds(): boolean {
    return !this.#shelf.writtenSince(this.moment, this.#hashes);
  }
}

/** What is stored of one upstream, by the targets that it is asked for. */
export class Shelf {
  readonly #store: MemoryStore;
  readonly #byTarget = new Map<string, Resource>();
  /** The same by path, since a write to a path changes what is read there with any query. */
  readonly #byPath = new Map<string, Set<string>>();
  readonly #byTag = new Map<string, Set<Entry>>();
  /** When paths were written last, so that a read which began before that does not bring back what was before. */
  readonly #writes = new Float64Array(writePlaces);
  #clock = 0;
  /** When everything was written last. */
  #horizon = 0;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  get maxEntryBytes(): number {
    return this.#store.maxEntryBytes;
  }

  /** What is stored of this URI, for whomever; undefined where that is nothing. */
  at(target: string): Resource | undefined {
    return this.#byTarget.get(target);
  }

  /** What is stored of this path, with whatever query and for whomever. */
  *storedOf(path: string): Generator<Entry> {
    for (const target of this.#byPath.get(pathOf(path)) ?? [])
      for (const entries of this.#byTarget.get(target)?.partitions.values() ?? []) yield* entries;
  }

  /** It has been given out. */
  touch(entry: Entry): void {
    this.#store.touch(entry);
  }

  /** Puts an answer in the place of the one that it supersedes. */
  put(entry: Entry): void {
    const { target, partition } = entry;
    let resource = this.#byTarget.get(target);
    if (!resource) {
      resource = new Resource(pathOf(target));
      this.#byTarget.set(target, resource);
      let targets = this.#byPath.get(resource.path);
      if (!targets) this.#byPath.set(resource.path, (targets = new Set()));
      targets.add(target);
    }
    let entries = resource.partitions.get(partition);
    if (!entries) resource.partitions.set(partition, (entries = []));
    const superseded = entries.filter(
      ({ vary, selected }) => selected === entry.selected && vary.join() === entry.vary.join(),
    );
    // The newest first: of several that match, it is the one to use (RFC 9111 §4).
    entries.unshift(entry);
    const surplus = entries.length - superseded.length - maxVariants;
    if (surplus > 0) superseded.push(...entries.filter((old) => !superseded.includes(old)).slice(-surplus));
    this.#tag(entry);
    this.#store.add(entry, this);
    for (const old of superseded) this.remove(old);
  }

  remove(entry: Entry): void {
    if (entry.gone) return;
    entry.gone = true;
    this.#store.drop(entry);
    this.#untag(entry);
    const resource = this.#byTarget.get(entry.target);
    const entries = resource?.partitions.get(entry.partition);
    if (!resource || !entries) return;
    const at = entries.indexOf(entry);
    if (at >= 0) entries.splice(at, 1);
    if (entries.length > 0) return;
    resource.partitions.delete(entry.partition);
    if (resource.partitions.size > 0) return;
    this.#byTarget.delete(entry.target);
    const targets = this.#byPath.get(resource.path);
    targets?.delete(entry.target);
    if (targets?.size === 0) this.#byPath.delete(resource.path);
  }

  /** Its fields and terms are renewed, and with them its tags and its size. */
  update(entry: Entry, change: () => void): void {
    if (entry.gone) return change();
    const before = entry.bytes;
    this.#untag(entry);
    change();
    this.#tag(entry);
    this.#store.resize(entry.bytes - before);
  }

  #tag(entry: Entry): void {
    for (const tag of entry.tags) {
      let tagged = this.#byTag.get(tag);
      if (!tagged) this.#byTag.set(tag, (tagged = new Set()));
      tagged.add(entry);
    }
  }

  #untag(entry: Entry): void {
    for (const tag of entry.tags) {
      const tagged = this.#byTag.get(tag);
      tagged?.delete(entry);
      if (tagged?.size === 0) this.#byTag.delete(tag);
    }
  }

  /** Now, in writes; to be compared with {@link lastWrite}. */
  get moment(): number {
    return this.#clock;
  }

  /** When this path was last written, or others that share both its places. */
  lastWrite(target: string): number {
    return Math.max(this.#horizon, this.#writtenAt(hashOf(pathOf(target))));
  }

  /** What is read here as of a moment, for who keeps something made of it. */
  mark(target: string, tags: readonly string[], moment = this.#clock): Mark {
    const hashes = [hashOf(pathOf(target))];
    for (const tag of tags) hashes.push(hashOf(placeName(tag)));
    return new Mark(this, hashes, moment);
  }

  #writtenAt(hash: number): number {
    return Math.min(this.#writes[hash & placeMask]!, this.#writes[otherPlace(hash)]!);
  }

  /** Whether what has one of these hashes was written after a moment, or everything was. */
  writtenSince(moment: number, hashes: readonly number[]): boolean {
    if (this.#horizon > moment) return true;
    for (const hash of hashes) if (this.#writtenAt(hash) > moment) return true;
    return false;
  }

  /** The path has been written: whatever was read there before, with whatever query and by whomever, is no longer so. */
  invalidatePath(written: string): number {
    const path = pathOf(written);
    this.#note(path);
    const targets = this.#byPath.get(path);
    if (!targets) return 0;
    let count = 0;
    for (const target of targets) {
      const resource = this.#byTarget.get(target);
      if (resource) count += this.#empty(resource);
    }
    return count;
  }

  #empty({ partitions }: Resource): number {
    let count = 0;
    for (const entries of partitions.values()) {
      // From its end, since it shrinks.
      for (let index = entries.length - 1; index >= 0; index--) {
        this.remove(entries[index]!);
        count++;
      }
    }
    return count;
  }

  /** In time of the entries that have the tag. */
  invalidateTag(tag: string): number {
    this.#note(placeName(tag));
    const tagged = this.#byTag.get(tag);
    if (!tagged) return 0;
    const entries = [...tagged];
    for (const entry of entries) {
      this.#note(pathOf(entry.target));
      this.remove(entry);
    }
    return entries.length;
  }

  /** Everything. */
  clear(): number {
    this.#horizon = ++this.#clock;
    let count = 0;
    for (const resource of this.#byTarget.values()) count += this.#empty(resource);
    return count;
  }

  #note(path: string): void {
    const hash = hashOf(path);
    this.#writes[hash & placeMask] = this.#writes[otherPlace(hash)] = ++this.#clock;
  }
}

/** A tag among paths, all of which begin with a slash. */
function placeName(tag: string): string {
  return `tag ${tag}`;
}

/** By bits of the hash that say nothing of the first. */
function otherPlace(hash: number): number {
  return (hash >>> 16) & placeMask;
}

/**
 * The path of a target, as paths are compared: in the normal form of RFC 3986 §6.2.2.1 and §6.2.2.2, in which `%c3` is `%C3` and
 * `%37` is `7`. Entries lie at their targets, as these go to the upstream.
 */
export function pathOf(target: string): string {
  const question = target.indexOf('?');
  const path = question < 0 ? target : target.slice(0, question);
  return path.includes('%') ? path.replaceAll(/%[\da-f]{2}/gi, normalOctet) : path;
}

/** RFC 3986 §2.3: letters, digits, `-`, `.`, `_` and `~` need no encoding. */
function normalOctet(encoded: string): string {
  const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
  return /[\w.~-]/.test(character) ? character : encoded.toUpperCase();
}

/**
 * Stored answers in this process's memory, of all upstreams, bounded by what they take: when a new one does not fit, the
 * least recently used go. It outlives configurations.
 */
export class MemoryStore {
  readonly #shelves = new Map<string, Shelf>();
  readonly #homes = new WeakMap<Kept, Home>();
  readonly #listeners = new Set<(news: Invalidation) => void>();
  #settings: CacheSettings;
  #newest: Kept | undefined;
  #oldest: Kept | undefined;
  #bytes = 0;
  #entries = 0;
  #evictions = 0;

  constructor(settings: CacheSettings) {
    this.#settings = settings;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Entries that made room for others. */
  get evictions(): number {
    return this.#evictions;
  }

  get maxEntryBytes(): number {
    return Math.min(this.#settings.maxEntryBytes, this.#settings.memory);
  }

  /** Upstreams that something may be stored of. */
  get upstreams(): Iterable<string> {
    return this.#shelves.keys();
  }

  configure(settings: CacheSettings): void {
    this.#settings = settings;
    this.#makeRoom();
  }

  /** What is stored of an upstream. Bounded by their number. */
  shelf(upstream: string): Shelf {
    let shelf = this.#shelves.get(upstream);
    if (!shelf) this.#shelves.set(upstream, (shelf = new Shelf(this)));
    return shelf;
  }

  /** Calls `listener` with each invalidation that this process has come to by itself. @returns ends that */
  onWritten(listener: (news: Invalidation) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** What this process has seen to be no longer so; the others are told. @returns entries that are gone */
  invalidate(written: Invalidation): number {
    const { paths } = written;
    // Keys in Redis are made of paths in their normal form.
    const news = paths ? { ...written, paths: paths.map((path) => pathOf(path)) } : written;
    for (const listener of this.#listeners) listener(news);
    return this.apply(news);
  }

  /** The same for what another process has seen. */
  apply({ upstream, paths = [], tags = [], all }: Invalidation): number {
    let count = 0;
    const shelves = upstream === undefined ? this.#shelves.values() : [this.#shelves.get(upstream)];
    for (const shelf of shelves) {
      if (!shelf) continue;
      if (all) count += shelf.clear();
      for (const path of paths) count += shelf.invalidatePath(path);
      for (const tag of tags) count += shelf.invalidateTag(tag);
    }
    return count;
  }

  add(entry: Kept, home: Home): void {
    this.#homes.set(entry, home);
    this.#link(entry);
    this.#bytes += entry.bytes;
    this.#entries++;
    this.#makeRoom();
  }

  drop(entry: Kept): void {
    this.#unlink(entry);
    this.#bytes -= entry.bytes;
    this.#entries--;
  }

  resize(bytes: number): void {
    this.#bytes += bytes;
    this.#makeRoom();
  }

  touch(entry: Kept): void {
    if (entry === this.#newest || entry.gone) return;
    this.#unlink(entry);
    this.#link(entry);
  }

  #makeRoom(): void {
    while (this.#bytes > this.#settings.memory && this.#oldest) {
      this.#evictions++;
      this.#homes.get(this.#oldest)!.remove(this.#oldest);
    }
  }

  #link(entry: Kept): void {
    entry.older = this.#newest;
    entry.newer = undefined;
    if (this.#newest) this.#newest.newer = entry;
    else this.#oldest = entry;
    this.#newest = entry;
  }

  #unlink({ older, newer }: Kept): void {
    if (older) older.newer = newer;
    else this.#oldest = newer;
    if (newer) newer.older = older;
    else this.#newest = older;
  }
}
