import type { AddressInfo } from 'node:net';
import { systemClock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Load } from '#policies/overload/overload.ts';
import { HealthChecks } from '#upstreams/health.ts';
import { AdminServer } from './admin/server.ts';
import { assemble, type Assembly } from './assembly.ts';
import { createDoors } from './doors.ts';
import { createGraphqlDoor, type GraphqlDoor } from './graphql/door.ts';
import { readExamples } from './graphql/examples.ts';
import { ClientAddresses } from './http/client-address.ts';
import { HttpHost } from './http/host.ts';
import { errorPages } from './pages/error-pages.ts';
import type { Project } from './project.ts';
import { documentPhases } from './pipeline.ts';
import { Readiness } from './readiness.ts';
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts';
import { version } from './version.ts';
import { observeUpstreams } from './upstream-metrics.ts';

export interface GatewayOptions {
  /** Where log lines go instead of stdout. */
  readonly logDestination?: { write(line: string): void } | undefined;
}

/** Where a gateway listens. */
export interface Addresses {
  readonly address: AddressInfo;
  readonly admin: AddressInfo;
}

/** The longest that requests in flight may take to finish once nothing new is accepted. */
const finishTimeoutMs = 30_000;

/** A gateway, from a project to listening, and back. */
export class Gateway {
  readonly project: Project;
  readonly assembly: Assembly;
  readonly telemetry: Telemetry;
  readonly readiness = new Readiness();
  readonly #host: HttpHost;
  readonly #admin: AdminServer;
  readonly #graphql: GraphqlDoor | undefined;
  readonly #health: readonly HealthChecks[];

  /**
   * Builds everything and connects nothing.
   * @throws {ModuleError | ProblemsError} with all that does not fit together
   */
  constructor(project: Project, options: GatewayOptions = {}) {
    this.project = project;
    const { config } = project.loaded;
    this.telemetry = createTelemetry(config.telemetry, {
      destination: options.logDestination,
      resource: { 'service.version': version },
    });
    const { telemetry } = this;
    const { log, meter, propagate } = telemetry;
    const load: Load = { inFlight: 0 };
    this.assembly = assemble(project, { clock: systemClock, log, meter, propagate }, load);
    const { upstreams, execution, stages } = this.assembly;
    observeUpstreams(meter, () => upstreams.values());
    this.#health = [...upstreams.values()].map((upstream) => new HealthChecks(upstream));
    this.#graphql =
      execution &&
      createGraphqlDoor({
        settings: config.graphql,
        phases: documentPhases,
        execution,
        clock: systemClock,
        log,
        meter,
        examples: readExamples(project.modulesDir),
      });
    this.#host = new HttpHost({
      settings: config.listen,
      pipeline: { stages, doors: createDoors(this.#graphql) },
      arrivals: {
        clock: systemClock,
        addresses: new ClientAddresses(config.listen.trustedProxies),
        bodyTimeoutMs: config.listen.bodyTimeout,
        startServerSpan: (request) => telemetry.startServerSpan(request),
      },
      load,
      pages: errorPages(),
      log,
      connections: this.telemetry.connections,
      begun: (context) => this.telemetry.begun(context),
      settled: (context) => this.#settled(context),
    });
    this.#admin = new AdminServer({
      settings: config.admin,
      readiness: this.readiness,
      upstreams: () => upstreams.values(),
      prometheus: () => this.telemetry.prometheus(),
    });
  }

  #settled(context: RequestContext): void {
    this.telemetry.settled(context, systemClock.monotonicMs() - context.startedMs);
  }

  /** @throws {Error} when an address cannot be listened at; nothing is left open then */
  async start(): Promise<Addresses> {
    try {
      const admin = await this.#admin.listen();
      const address = await this.#host.listen();
      for (const checks of this.#health) checks.start();
      this.readiness.phase = 'ready';
      return { address, admin };
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /**
   * Stops without losing a request: says that it wants no more traffic, goes on accepting for `drainDelayMs` until load
   * balancers have noticed, finishes what is in flight, flushes telemetry.
   */
  async stop(drainDelayMs = this.project.loaded.config.listen.drainDelay): Promise<void> {
    this.readiness.phase = 'draining';
    this.#host.drain();
    await new Promise((resolve) => setTimeout(resolve, drainDelayMs));
    // Subscriptions and WebSockets say goodbye first; the host cuts off what has not left.
    await this.#graphql?.close();
    await this.#host.close(finishTimeoutMs);
    this.readiness.phase = 'stopped';
    for (const checks of this.#health) checks.stop();
    await Promise.all([...this.assembly.upstreams.values()].map((upstream) => upstream.destroy()));
    await this.#admin.close();
    await this.telemetry.shutdown();
  }
}

/** An address as a URL, for people and for the log. */
export function urlOf({ address, family, port }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
