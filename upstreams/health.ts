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
  readonly #timers = new Map<Endpoint, NodeJS.Timeout>();
  #stopped = true;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  start(): void {
    this.#stopped = false;
    this.#upstream.onEndpoints(() => this.#follow());
    this.#follow();
  }

  /** Goes on under other settings from the next check of each endpoint. */
  configure(): void {
    if (!this.#stopped) this.#follow();
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Checks those endpoints that are there now, and no others. */
  #follow(): void {
    if (this.#stopped) return;
    const { settings, endpoints } = this.#upstream;
    for (const [endpoint, timer] of this.#timers) {
      if (settings.health && endpoints.includes(endpoint)) continue;
      clearTimeout(timer);
      this.#timers.delete(endpoint);
    }
    if (!settings.health) return;
    for (const endpoint of endpoints) {
      // Spread, so that the endpoints of a large upstream are not all asked in one moment.
      if (!this.#timers.has(endpoint)) this.#schedule(endpoint, Math.random() * Math.min(settings.health.every, 1_000));
    }
  }

  #schedule(endpoint: Endpoint, delayMs: number): void {
    if (this.#stopped) return;
    this.#timers.set(endpoint, setTimeout(() => this.#check(endpoint), delayMs).unref());
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
      if (!this.#timers.has(endpoint)) return;
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
