import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { newCall, type ResponseSink } from './call.ts';
import type { Endpoint } from './endpoint.ts';
import { ownContext } from './own-context.ts';
import type { Upstream } from './upstream.ts';

/**
 * Asks every endpoint of one upstream for its health, and takes it out of and back into the balancer's choice. A check is
 * a call like any other, but pinned to its endpoint: retry, breaker and bulkhead let it by, or an open breaker would keep
 * a service from being found well again.
 */
export class HealthChecks {
  readonly #upstream: Upstream;
  readonly #next = new Map<Endpoint, { readonly timer: NodeJS.Timeout; readonly atMs: number }>();
  #stopped = true;
  #unfollow = () => {};

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  start(): void {
    this.#stopped = false;
    this.#upstream.onEndpoints(() => this.#follow());
    this.#unfollow = this.#upstream.surroundings.verdicts?.onChange(() => this.#follow()) ?? this.#unfollow;
    this.#follow();
  }

  /** Goes on under other settings from the next check of each endpoint. */
  configure(): void {
    if (!this.#stopped) this.#follow();
  }

  stop(): void {
    this.#stopped = true;
    this.#unfollow();
    for (const { timer } of this.#next.values()) clearTimeout(timer);
    this.#next.clear();
  }

  /** When the endpoint is next to be asked, wall clock; past while it is being asked, undefined where nobody asks. */
  nextCheckMs(endpoint: Endpoint): number | undefined {
    return this.#next.get(endpoint)?.atMs;
  }

  /** Checks those endpoints that are there now, and no others. */
  #follow(): void {
    if (this.#stopped) return;
    const { settings, endpoints, surroundings, name } = this.#upstream;
    for (const [endpoint, { timer }] of this.#next) {
      if (settings.health && endpoints.includes(endpoint)) continue;
      clearTimeout(timer);
      this.#next.delete(endpoint);
    }
    if (!settings.health) {
      // What nobody asks any more cannot be found well again.
      for (const endpoint of endpoints) endpoint.healthy = true;
      return;
    }
    const { verdicts } = surroundings;
    if (verdicts) {
      for (const endpoint of endpoints) endpoint.healthy = verdicts.isHealthy(name, endpoint.key);
      return;
    }
    for (const endpoint of endpoints) {
      // Spread, so that the endpoints of a large upstream are not all asked in one moment.
      if (!this.#next.has(endpoint)) this.#schedule(endpoint, Math.random() * Math.min(settings.health.every, 1_000));
    }
  }

  #schedule(endpoint: Endpoint, delayMs: number): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => this.#check(endpoint), delayMs).unref();
    this.#next.set(endpoint, { timer, atMs: this.#upstream.surroundings.clock.epochMs() + delayMs });
  }

  #check(endpoint: Endpoint): void {
    const { settings, surroundings, send } = this.#upstream;
    if (!settings.health) return;
    const call = newCall(
      ownContext(surroundings.clock),
      'GET',
      settings.health.path,
      { accept: '*/*' },
      {
        own: true,
        pinned: endpoint,
        buffered: true,
        timeoutMs: settings.health.timeout,
      },
    );
    // The next one after this has ended, or checks of a hanging endpoint would pile up.
    const decide = (good: boolean, why: string) => {
      if (!this.#next.has(endpoint)) return;
      this.#note(endpoint, good, why);
      const { health } = this.#upstream.settings;
      if (health) this.#schedule(endpoint, health.every);
    };
    send(call, new Verdict(decide));
  }

  #note(endpoint: Endpoint, good: boolean, why: string): void {
    const { settings, surroundings, name } = this.#upstream;
    if (!settings.health) return;
    endpoint.streak = good === endpoint.healthy ? 0 : endpoint.streak + 1;
    if (endpoint.streak < (good ? settings.health.healthyAfter : settings.health.unhealthyAfter)) return;
    endpoint.streak = 0;
    endpoint.healthy = good;
    surroundings.healthChanged?.();
    const fields = { upstream: name, endpoint: endpoint.origin, why };
    if (good) surroundings.log.info(fields, 'endpoint healthy');
    else surroundings.log.warn(fields, 'endpoint unhealthy');
  }
}

/** RFC 9110 §15.3: 2xx is well; anything else, or nothing, is not. */
class Verdict implements ResponseSink {
  readonly #decide: (good: boolean, why: string) => void;
  #status = 0;

  constructor(decide: (good: boolean, why: string) => void) {
    this.#decide = decide;
  }

  onInformation(): void {}

  onHead(status: number, _headers: Headers): void {
    this.#status = status;
  }

  onData(): void {}

  onEnd(): void {
    this.#decide(this.#status >= 200 && this.#status < 300, `status ${this.#status}`);
  }

  onError(error: WeirError): void {
    this.#decide(false, error.code);
  }
}
