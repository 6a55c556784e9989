/** Endpoints that fail their health checks, by the upstream's name: plain data. An endpoint is told by its key. */
export type Unhealthy = ReadonlyMap<string, readonly string[]>;

/**
 * What the health checks of another process have found. Where several processes are one gateway one of them checks, so that
 * a service is asked no more often for their number, and tells the others.
 */
export class HealthVerdicts {
  #unhealthy: Unhealthy = new Map();
  readonly #listeners = new Set<() => void>();

  tell(unhealthy: Unhealthy): void {
    this.#unhealthy = unhealthy;
    for (const listener of this.#listeners) listener();
  }

  isHealthy(upstream: string, endpoint: string): boolean {
    return !this.#unhealthy.get(upstream)?.includes(endpoint);
  }

  /** Calls `changed` whenever something was told. @returns a function that ends it */
  onChange(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => void this.#listeners.delete(changed);
  }
}
