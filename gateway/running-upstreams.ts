import type { Upstream } from '#upstreams/upstream.ts';

/** A configuration that serves no longer, and the upstreams that it was the last to have. */
interface Former {
  readonly gone: readonly Upstream[];
  /** Its last request has left. */
  empty: boolean;
}

/** The upstreams that run, of the configuration that serves and of those before it, as long as requests of theirs do. */
export class RunningUpstreams {
  readonly #running = new Set<Upstream>();
  /** Oldest first. */
  #former: Former[] = [];

  /** Starts those that do not run yet. */
  start(upstreams: Iterable<Upstream>): void {
    for (const upstream of upstreams) {
      if (this.#running.has(upstream)) continue;
      this.#running.add(upstream);
      upstream.start();
    }
  }

  /**
   * A configuration has been replaced.
   * @param gone its upstreams that the next one does not have
   * @returns to be called when its last request has left. Requests of the configurations before it may call the same
   *   upstreams, so they end when those have left too.
   */
  retire(gone: readonly Upstream[]): () => void {
    const former: Former = { gone, empty: false };
    this.#former.push(former);
    return () => {
      former.empty = true;
      this.#sweep();
    };
  }

  /** Ends them all, whatever is under way. */
  async destroy(): Promise<void> {
    await Promise.all(Array.from(this.#running, (upstream) => upstream.destroy()));
  }

  #sweep(): void {
    let blocked = false;
    this.#former = this.#former.filter(({ gone, empty }) => {
      blocked ||= !empty;
      if (!empty || (blocked && gone.length > 0)) return true;
      for (const upstream of gone) this.#end(upstream);
      return false;
    });
  }

  #end(upstream: Upstream): void {
    this.#running.delete(upstream);
    void upstream.destroy();
  }
}
