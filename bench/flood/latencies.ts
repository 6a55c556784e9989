/** Latencies in buckets that are 2 % wide, so that they can be added up over seconds and processes. */
const perDoubling = 35;
const smallestMs = 0.01;

export class Latencies {
  readonly #counts = new Map<number, number>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    this.addBucket(Math.round(Math.log2(Math.max(ms, smallestMs) / smallestMs) * perDoubling), 1);
  }

  addBucket(bucket: number, count: number): void {
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
    this.#count += count;
  }

  counts(): [bucket: number, count: number][] {
    return [...this.#counts];
  }

  /** @returns milliseconds, NaN where there are none */
  quantile(share: number): number {
    let left = this.#count * share;
    const sorted = this.counts().sort(([a], [b]) => a - b);
    for (const [bucket, count] of sorted) {
      left -= count;
      if (left <= 0) return smallestMs * 2 ** (bucket / perDoubling);
    }
    return Number.NaN;
  }
}

export function merged(all: readonly (readonly (readonly [bucket: number, count: number])[])[]): Latencies {
  const latencies = new Latencies();
  for (const counts of all) for (const [bucket, count] of counts) latencies.addBucket(bucket, count);
  return latencies;
}
