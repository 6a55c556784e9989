import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import type { Propagate } from '#core/trace.ts';
import { Breaker } from './breaker.ts';
import type { Send } from './call.ts';
import { ConnectionSlots } from './connections.ts';
import type { Endpoint } from './endpoint.ts';
import { Endpoints } from './endpoints.ts';
import { exchange } from './exchange/exchange.ts';
import { HealthChecks } from './health.ts';
import { stack, type Layer } from './layer.ts';
import { RetryBudget } from './retry-budget.ts';
import type { UpstreamSettings } from './settings.ts';
import { transportOf } from './transport.ts';

/** What every upstream needs of the gateway around it. */
export interface Surroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
  readonly propagate: Propagate;
}

/**
 * A service behind the gateway: its endpoints, the state its layers keep, and the way to call it. There is one for each
 * name as long as the process runs; a reload gives it other settings, and what it knows stays.
 */
export class Upstream {
  readonly name: string;
  /** The team that answers for it, where a module says so. */
  readonly owner: string | undefined;
  readonly surroundings: Surroundings;
  readonly slots: ConnectionSlots;
  readonly breaker: Breaker;
  readonly retryBudget: RetryBudget;
  /** Calls between the bulkhead and the exchange. */
  inFlight = 0;
  /** Retries since the start. */
  retries = 0;
  readonly #layers: readonly Layer[];
  readonly #endpoints: Endpoints;
  readonly #health: HealthChecks;
  #settings: UpstreamSettings;
  #send: Send;

  /** @throws {Error} when a TLS file cannot be read */
  constructor(
    name: string,
    settings: UpstreamSettings,
    surroundings: Surroundings,
    layers: readonly Layer[],
    owner?: string,
  ) {
    this.name = name;
    this.owner = owner;
    this.surroundings = surroundings;
    this.#layers = layers;
    this.#settings = settings;
    this.slots = new ConnectionSlots(settings.maxConnections);
    this.#endpoints = new Endpoints(transportOf(settings));
    this.#endpoints.replace(settings.endpoints);
    this.breaker = new Breaker(name, settings.breaker, surroundings);
    this.retryBudget = new RetryBudget(settings.retry.budget);
    this.#health = new HealthChecks(this);
    this.#send = stack(this, layers, exchange(this));
  }

  get settings(): UpstreamSettings {
    return this.#settings;
  }

  /** Those that calls may go to; others may still be finishing. */
  get endpoints(): readonly Endpoint[] {
    return this.#endpoints.current;
  }

  /** Sends a call through all layers. */
  get send(): Send {
    return this.#send;
  }

  /** Calls `changed` whenever endpoints have come or gone. */
  onEndpoints(changed: () => void): void {
    this.#endpoints.onChange(changed);
  }

  /** Starts what runs without being called: health checks. */
  start(): void {
    this.#health.start();
  }

  /**
   * Reads what other settings need, and changes nothing yet. The returned function does, all of it: calls under way go on,
   * and breaker, health, budget and counters stay.
   * @throws {Error} when a TLS file cannot be read
   */
  prepare(settings: UpstreamSettings): () => void {
    const transport = transportOf(settings);
    return () => {
      this.#settings = settings;
      this.slots.resize(settings.maxConnections);
      this.#endpoints.replace(settings.endpoints, transport);
      this.breaker.configure(settings.breaker);
      this.retryBudget.configure(settings.retry.budget);
      this.#send = stack(this, this.#layers, exchange(this));
      this.#health.configure();
    };
  }

  /** Stops what runs by itself and cuts off what is in flight. */
  async destroy(): Promise<void> {
    this.#health.stop();
    await this.#endpoints.destroy();
  }
}
