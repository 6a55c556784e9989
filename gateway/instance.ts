import type { AddressInfo } from 'node:net';
import { systemClock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Load } from '#policies/overload/overload.ts';
import type { Surroundings, Upstream } from '#upstreams/upstream.ts';
import { assemble, type Assembly } from './assembly.ts';
import type { Control } from './control/control.ts';
import { createDoors } from './doors.ts';
import { createGraphqlDoor, type GraphqlDoor } from './graphql/door.ts';
import { readExamples } from './graphql/examples.ts';
import { ClientAddresses } from './http/client-address.ts';
import { HttpHost } from './http/host.ts';
import { Pipeline } from './http/pipeline.ts';
import { errorPages } from './pages/error-pages.ts';
import type { Project } from './project.ts';
import { documentPhases } from './pipeline.ts';
import { LocalControl } from './control/local-control.ts';
import { Readiness } from './control/readiness.ts';
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts';
import { version } from './version.ts';
import { observeUpstreams } from './upstream-metrics.ts';

export interface InstanceOptions {
  /** Where log lines go instead of stdout. */
  readonly logDestination?: { write(line: string): void } | undefined;
}

/** The longest that requests in flight may take to finish once nothing new is accepted. */
const finishTimeoutMs = 30_000;

/** One process that serves: from a project to listening, and back. */
export class Instance {
  readonly telemetry: Telemetry;
  readonly readiness = new Readiness();
  readonly control: Control;
  readonly #load: Load = { inFlight: 0 };
  readonly #surroundings: Surroundings;
  readonly #host: HttpHost;
  readonly #graphql: GraphqlDoor | undefined;
  /** Those of former configurations too, as long as requests of theirs are under way. */
  readonly #upstreams = new Set<Upstream>();
  #project: Project;
  #assembly: Assembly;
  #started = false;

  /**
   * Builds everything and connects nothing.
   * @throws {ModuleError | ProblemsError} with all that does not fit together
   */
  constructor(project: Project, options: InstanceOptions = {}) {
    this.#project = project;
    const { config } = project.loaded;
    this.telemetry = createTelemetry(config.telemetry, {
      destination: options.logDestination,
      resource: { 'service.version': version },
    });
    const { telemetry } = this;
    const { log, meter, propagate } = telemetry;
    this.#surroundings = { clock: systemClock, log, meter, propagate };
    this.#assembly = assemble(project, this.#surroundings, this.#load);
    const { execution } = this.#assembly;
    observeUpstreams(meter, () => this.#assembly.upstreams.values());
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
    this.#host = new HttpHost(this.#pipeline(), {
      settings: config.listen,
      arrivals: {
        clock: systemClock,
        addresses: new ClientAddresses(config.listen.trustedProxies),
        bodyTimeoutMs: config.listen.bodyTimeout,
        startServerSpan: (request) => telemetry.startServerSpan(request),
      },
      load: this.#load,
      pages: errorPages(),
      log,
      connections: this.telemetry.connections,
      begun: (context) => this.telemetry.begun(context),
      settled: (context) => this.#settled(context),
    });
    this.control = new LocalControl(this, systemClock);
  }

  /** What is running now. */
  get project(): Project {
    return this.#project;
  }

  get assembly(): Assembly {
    return this.#assembly;
  }

  /**
   * Lets another configuration of the same modules take over, from the next request on. What is under way stays in the
   * pipeline it came into; upstreams of the same name keep their connections, breaker, health and counters.
   * @throws {ModuleError | ProblemsError} with all that does not fit together; nothing has changed then
   */
  replace(project: Project): void {
    const former = this.#assembly;
    const next = assemble(project, this.#surroundings, this.#load, former);
    next.takeOver();
    this.#graphql?.configure(project.loaded.config.graphql);
    this.#project = project;
    this.#assembly = next;
    const gone = [...former.upstreams.values()].filter((upstream) => next.upstreams.get(upstream.name) !== upstream);
    this.#host.switchTo(this.#pipeline()).retire(() => gone.forEach((upstream) => this.#discard(upstream)));
    if (this.#started) this.#startUpstreams();
  }

  #pipeline(): Pipeline {
    return new Pipeline(this.#assembly.stages, createDoors(this.#graphql));
  }

  #startUpstreams(): void {
    for (const upstream of this.#assembly.upstreams.values()) {
      if (this.#upstreams.has(upstream)) continue;
      this.#upstreams.add(upstream);
      upstream.start();
    }
  }

  #discard(upstream: Upstream): void {
    this.#upstreams.delete(upstream);
    void upstream.destroy();
  }

  #settled(context: RequestContext): void {
    this.telemetry.settled(context, systemClock.monotonicMs() - context.startedMs);
  }

  /** @throws {Error} when the address cannot be listened at */
  async start(): Promise<AddressInfo> {
    const address = await this.#host.listen();
    this.#started = true;
    this.#startUpstreams();
    this.readiness.phase = 'ready';
    return address;
  }

  /**
   * Stops without losing a request: says that it wants no more traffic, goes on accepting for `drainDelayMs` until load
   * balancers have noticed, and finishes what is in flight. Telemetry goes on until the last line is said.
   */
  async stop(drainDelayMs = this.#project.loaded.config.listen.drainDelay): Promise<void> {
    this.readiness.phase = 'draining';
    this.#host.drain();
    await new Promise((resolve) => setTimeout(resolve, drainDelayMs));
    // Subscriptions and WebSockets say goodbye first; the host cuts off what has not left.
    await this.#graphql?.close();
    await this.#host.close(finishTimeoutMs);
    this.readiness.phase = 'stopped';
    const upstreams = new Set([...this.#upstreams, ...this.#assembly.upstreams.values()]);
    await Promise.all([...upstreams].map((upstream) => upstream.destroy()));
  }
}
