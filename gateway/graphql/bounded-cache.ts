/** What the cache may keep. */
export interface CacheBounds {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** Least recently used first out, bounded by entries and by bytes, for keys that clients choose. */
export class BoundedCache<T extends { readonly bytes: number }> {
  readonly #bounds: CacheBounds;
  /** A Map keeps the order of insertion, and what is used is inserted anew. */
  readonly #entries = new Map<string, T>();
  #bytes = 0;

  constructor(bounds: CacheBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  /** To look is not to use. */
  peek(key: string): T | undefined {
    return this.#entries.get(key);
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    return entry;
  }

  /** An entry that alone is beyond the bounds is not kept. */
  add(key: string, entry: T): void {
    const { maxBytes, maxEntries } = this.#bounds;
    if (entry.bytes > maxBytes || this.#entries.has(key)) return;
    this.#entries.set(key, entry);
    this.#bytes += entry.bytes;
    for (const [oldest, { bytes }] of this.#entries) {
      if (this.#entries.size <= maxEntries && this.#bytes <= maxBytes) return;
      this.#entries.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}
