import type { Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import type { Propagate } from '#core/trace.ts';
import { Breaker } from './breaker.ts';
import type { Send } from './call.ts';
import { ConnectionSlots, connect } from './connections.ts';
import type { Endpoint } from './endpoint.ts';
import { exchange } from './exchange/exchange.ts';
import { stack, type Layer } from './layer.ts';
import { RetryBudget } from './retry-budget.ts';
import type { UpstreamSettings } from './settings.ts';

/** What every upstream needs of the gateway around it. */
export interface Surroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
  readonly propagate: Propagate;
}

/** A service behind the gateway: its endpoints, the state its layers keep, and the way to call it. */
export class Upstream {
  readonly name: string;
  /** The team that answers for it, where a module says so. */
  readonly owner: string | undefined;
  readonly settings: UpstreamSettings;
  readonly surroundings: Surroundings;
  readonly endpoints: readonly Endpoint[];
  readonly slots: ConnectionSlots;
  readonly breaker: Breaker;
  readonly retryBudget: RetryBudget;
  /** Calls between the bulkhead and the exchange. */
  inFlight = 0;
  /** Retries since the start. */
  retries = 0;
  /** Sends a call through all layers. */
  readonly send: Send;

  constructor(
    name: string,
    settings: UpstreamSettings,
    surroundings: Surroundings,
    layers: readonly Layer[],
    owner?: string,
  ) {
    this.name = name;
    this.owner = owner;
    this.settings = settings;
    this.surroundings = surroundings;
    this.slots = new ConnectionSlots(settings.maxConnections);
    this.endpoints = connect(settings);
    this.breaker = new Breaker(name, settings.breaker, surroundings);
    this.retryBudget = new RetryBudget(settings.retry.budget);
    this.send = stack(this, layers, exchange(this));
  }

  /** Closes the connections once what is in flight has ended; the second call, or a deadline, is the caller's matter. */
  async close(): Promise<void> {
    await Promise.all(
      this.endpoints.map(async (endpoint) => {
        endpoint.agent.destroy();
        await endpoint.pool.close();
      }),
    );
  }

  async destroy(): Promise<void> {
    await Promise.all(
      this.endpoints.map(async (endpoint) => {
        endpoint.agent.destroy();
        await endpoint.pool.destroy();
      }),
    );
  }
}
