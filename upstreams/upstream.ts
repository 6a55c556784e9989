import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { noDebugLog, type DebugLog } from '#core/debug.ts';
import type { ErrorCode } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import type { Propagate } from '#core/trace.ts';
import { Breaker } from './breaker.ts';
import type { Send } from './call.ts';
import type { MemoryStore } from './cache/memory-store.ts';
import type { SecondLevel } from './cache/second-level/second-level.ts';
import { RecentReads } from './cache/recent-reads.ts';
import { ConnectionSlots } from './connections.ts';
import type { Endpoint } from './endpoint.ts';
import { Discovery } from './discovery/discovery.ts';
import { HostNames } from './discovery/host-names.ts';
import { Ejection } from './ejection.ts';
import { Endpoints } from './endpoints.ts';
import { exchange } from './exchange/exchange.ts';
import { HealthChecks } from './health.ts';
import type { HealthVerdicts } from './health-verdicts.ts';
import { stack, type Layer } from './layer.ts';
import { RecentCalls } from './recent-calls.ts';
import { RetryBudget } from './retry-budget.ts';
import { Rotation } from './rotation.ts';
import type { UpstreamSettings } from './settings.ts';
import { transportOf } from './transport.ts';

/** What every upstream needs of the gateway around it. */
export interface Surroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
  readonly propagate: Propagate;
  /** Nothing is told in detail where it is left out. */
  readonly debug?: DebugLog;
  /** Where another process checks the health of endpoints: what it has found. Left out, this one checks. */
  readonly verdicts?: HealthVerdicts;
  /** Where answers are stored; nothing is where it is left out. */
  readonly cache?: MemoryStore;
  /** Where instances share what they store; each is on its own where it is left out. */
  readonly secondLevel?: SecondLevel | undefined;
  /** Called when a health check has changed what is known of an endpoint. */
  readonly healthChanged?: () => void;
  /** Told of each call that is sent for somebody, with its price in thousandths of a call. */
  readonly spent?: (context: RequestContext, upstream: string, price: number) => void;
}

/** How the upstream failed last, by any call but the gateway's own. */
export interface UpstreamFailure {
  readonly code: ErrorCode;
  /** Of an answer, where that was the failure. */
  readonly status: number | undefined;
  /** Where the last attempt went; undefined where none was made. */
  readonly endpoint: string | undefined;
  readonly atMs: number;
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
  /** Which endpoints calls go to. */
  readonly rotation: Rotation;
  readonly ejection: Ejection;
  readonly discovery: Discovery;
  readonly health: HealthChecks;
  readonly debug: DebugLog;
  /** What became of the calls of the last minute. */
  readonly recent: RecentCalls;
  /** What became of the reads that fields of operations had of it, where their answers may be stored. */
  readonly reads: RecentReads;
  lastError: UpstreamFailure | undefined;
  /** Calls between the bulkhead and the exchange. */
  inFlight = 0;
  /** Retries since the start. */
  retries = 0;
  readonly #layers: readonly Layer[];
  readonly #endpoints: Endpoints;
  readonly #hostNames: HostNames;
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
    this.debug = surroundings.debug ?? noDebugLog;
    this.recent = new RecentCalls(surroundings.clock);
    this.reads = new RecentReads(surroundings.clock);
    this.#layers = layers;
    this.#settings = settings;
    this.slots = new ConnectionSlots(settings.maxConnections);
    this.#endpoints = new Endpoints(surroundings.clock, transportOf(settings), settings.slowStart);
    this.rotation = new Rotation(this.#endpoints, settings.panicThreshold, name, surroundings.log);
    this.ejection = new Ejection(this.#endpoints, settings.ejection, name, surroundings);
    this.discovery = new Discovery(name, settings.discovery, surroundings, (found) => this.#endpoints.replace(found));
    this.#hostNames = new HostNames(name, settings.dns, surroundings, () => this.endpoints);
    this.#endpoints.replace(settings.endpoints ?? []);
    this.breaker = new Breaker(name, settings.breaker, surroundings);
    this.retryBudget = new RetryBudget(settings.retry.budget);
    this.health = new HealthChecks(this);
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

  noteError(code: ErrorCode, endpoint: Endpoint | undefined, status?: number): void {
    this.lastError = { code, status, endpoint: endpoint?.origin, atMs: this.surroundings.clock.epochMs() };
  }

  /** Calls `changed` whenever endpoints have come or gone. */
  onEndpoints(changed: () => void): void {
    this.#endpoints.onMembers(changed);
  }

  /** Starts what runs without being called: health checks, discovery, looking names up. */
  start(): void {
    this.health.start();
    this.discovery.start();
    this.#hostNames.start();
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
      this.#endpoints.configure(transport, settings.slowStart);
      this.rotation.configure(settings.panicThreshold);
      this.ejection.configure(settings.ejection);
      this.discovery.configure(settings.discovery);
      this.#hostNames.configure(settings.dns);
      // With discovery those that are known stay until it has an answer.
      if (settings.endpoints) this.#endpoints.replace(settings.endpoints);
      this.breaker.configure(settings.breaker);
      this.retryBudget.configure(settings.retry.budget);
      this.#send = stack(this, this.#layers, exchange(this));
      this.health.configure();
    };
  }

  /** Stops what runs by itself and cuts off what is in flight. */
  async destroy(): Promise<void> {
    this.health.stop();
    this.discovery.stop();
    this.#hostNames.stop();
    this.ejection.stop();
    await this.#endpoints.destroy();
  }
}
