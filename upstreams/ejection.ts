import type { Endpoint } from './endpoint.ts';
import type { Endpoints } from './endpoints.ts';
import type { UpstreamSettings } from './settings.ts';
import type { Surroundings } from './upstream.ts';

/**
 * Outlier ejection: leaves an endpoint out for a while whose calls keep failing, whatever its health checks say, and they
 * do not bring it back early: a `/health` that answers says little of a service that cannot. Each ejection lasts twice as
 * long as the one before, and one is forgotten for every `for` that the endpoint stays in use. No more than `maxEjected` of
 * the endpoints are out at once, and never the last that is up: what is left has to carry the load.
 */
export class Ejection {
  /** Ejections since the start. */
  count = 0;
  #settings: UpstreamSettings['ejection'];
  readonly #endpoints: Endpoints;
  readonly #upstream: string;
  readonly #surroundings: Surroundings;
  readonly #timers = new Map<Endpoint, NodeJS.Timeout>();

  constructor(
    endpoints: Endpoints,
    settings: UpstreamSettings['ejection'],
    upstream: string,
    surroundings: Surroundings,
  ) {
    this.#endpoints = endpoints;
    this.#settings = settings;
    this.#upstream = upstream;
    this.#surroundings = surroundings;
    endpoints.onMembers(() => this.#forgetLeft());
  }

  /** Those that are out stay out for as long as they were told, unless there is no ejection any more. */
  configure(settings: UpstreamSettings['ejection']): void {
    this.#settings = settings;
    if (settings.failures === 0) for (const endpoint of this.#timers.keys()) this.#readmit(endpoint);
  }

  /** How a call ended, if its end says anything. */
  judge(endpoint: Endpoint, good: boolean): void {
    if (good) {
      endpoint.failures = 0;
      return;
    }
    const { failures } = this.#settings;
    if (failures === 0 || endpoint.left || endpoint.ejectedUntilMs !== undefined) return;
    endpoint.failures++;
    if (endpoint.failures >= failures && this.#mayLeave(endpoint)) this.#eject(endpoint);
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #mayLeave(endpoint: Endpoint): boolean {
    const members = this.#endpoints.current.filter(({ weight, drained }) => weight > 0 && !drained);
    const out = members.filter(({ ejectedUntilMs }) => ejectedUntilMs !== undefined).length;
    return (
      out < Math.max(1, Math.floor(members.length * this.#settings.maxEjected)) &&
      members.some((other) => other !== endpoint && other.up)
    );
  }

  #eject(endpoint: Endpoint): void {
    const { for: forMs, maxFor } = this.#settings;
    const { clock, log } = this.#surroundings;
    const forgotten = Math.floor(endpoint.returnedForMs / forMs);
    const level = Math.max(0, endpoint.ejectionLevel - forgotten);
    const outMs = Math.min(maxFor, forMs * 2 ** level);
    endpoint.ejectionLevel = level + 1;
    endpoint.ejections++;
    this.count++;
    endpoint.ejectedUntilMs = clock.epochMs() + outMs;
    this.#timers.set(endpoint, setTimeout(() => this.#readmit(endpoint), outMs).unref());
    log.warn(
      { upstream: this.#upstream, endpoint: endpoint.origin, forMs: outMs, lastError: endpoint.lastError?.code },
      'endpoint ejected',
    );
  }

  #readmit(endpoint: Endpoint): void {
    clearTimeout(this.#timers.get(endpoint));
    this.#timers.delete(endpoint);
    endpoint.ejectedUntilMs = undefined;
    this.#surroundings.log.info({ upstream: this.#upstream, endpoint: endpoint.origin }, 'endpoint readmitted');
  }

  #forgetLeft(): void {
    for (const [endpoint, timer] of this.#timers) {
      if (!endpoint.left) continue;
      clearTimeout(timer);
      this.#timers.delete(endpoint);
    }
  }
}
