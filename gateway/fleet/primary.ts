import { systemClock } from '#core/clock.ts';
import { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { Unhealthy } from '#upstreams/health-verdicts.ts';
import { assemble, type Assembly, type AssemblySurroundings } from '#gateway/assembly.ts';
import { ProcessControl } from '#gateway/control/process-control.ts';
import { Readiness } from '#gateway/control/readiness.ts';
import type { Prepared } from '#gateway/control/reload.ts';
import type { Project } from '#gateway/project.ts';
import { RedisStore } from '#gateway/redis/redis-store.ts';
import { RunningUpstreams } from '#gateway/running-upstreams.ts';
import { Spend } from '#gateway/spend/spend.ts';
import { Uses } from '#gateway/uses/uses.ts';
import { createTelemetry, type Telemetry } from '#gateway/telemetry/telemetry.ts';
import type { MeterSnapshot } from '#gateway/telemetry/meter.ts';
import { version } from '#gateway/version.ts';

export interface PrimaryOptions {
  readonly workers: number;
  /** Puts what the workers have measured together with what this process has. */
  readonly collect: (own: MeterSnapshot) => Promise<MeterSnapshot>;
  /** Called when endpoints have been found ill or well. */
  readonly healthChanged: () => void;
}

/**
 * What the primary has of the project: all of it, put together as in any worker, but it serves nobody. Its upstreams are
 * there to be asked for their health, its policies so that what does not fit is found before a worker starts.
 */
export class Primary {
  readonly telemetry: Telemetry;
  readonly readiness = new Readiness();
  /** Never full: nothing comes in here. */
  readonly load: LoadShedder;
  readonly operations: ProcessControl;
  readonly #surroundings: AssemblySurroundings;
  /** Of the workers: this process calls nobody for anybody. */
  readonly spend: Spend;
  /** The same. */
  readonly uses: Uses;
  readonly store: RedisStore | undefined;
  readonly #running = new RunningUpstreams();
  #project: Project;
  #assembly: Assembly;

  /** @throws {ModuleError | ProblemsError} with all that does not fit together */
  constructor(project: Project, { workers, collect, healthChanged }: PrimaryOptions) {
    const { config } = project.loaded;
    this.#project = project;
    this.telemetry = createTelemetry(config.telemetry, { resource: { 'service.version': version }, collect });
    const { audit, debug, log, meter, propagate } = this.telemetry;
    this.load = new LoadShedder(config.listen, meter);
    this.store = config.redis.url === '' ? undefined : new RedisStore(config.redis, log);
    this.spend = new Spend(systemClock, this.store, log);
    this.uses = new Uses(systemClock, this.store, log);
    this.#surroundings = {
      clock: systemClock,
      log,
      meter,
      propagate,
      debug,
      load: this.load,
      store: this.store,
      look: () => [],
      used() {},
      workers,
      healthChanged,
    };
    this.#assembly = assemble(project, this.#surroundings);
    this.operations = new ProcessControl(this, systemClock, audit);
  }

  get project(): Project {
    return this.#project;
  }

  get assembly(): Assembly {
    return this.#assembly;
  }

  /** Begins to ask endpoints for their health. */
  start(): void {
    this.store?.start();
    this.#running.start(this.#assembly.upstreams.values());
  }

  /** @throws {ModuleError | ProblemsError} with all that does not fit together; nothing has changed then */
  prepare(project: Project): Prepared {
    const next = assemble(project, this.#surroundings, this.#assembly);
    return { commit: () => this.#switchTo(project, next), discard() {} };
  }

  /** Endpoints that fail their health checks. */
  unhealthy(): Unhealthy {
    const found = new Map<string, readonly string[]>();
    for (const { name, endpoints } of this.#assembly.upstreams.values()) {
      const ill = endpoints.filter(({ healthy }) => !healthy).map(({ key }) => key);
      if (ill.length > 0) found.set(name, ill);
    }
    return found;
  }

  async stop(): Promise<void> {
    this.operations.stop();
    await this.#running.destroy();
    this.store?.stop();
  }

  #switchTo(project: Project, next: Assembly): void {
    const former = this.#assembly;
    next.takeOver();
    this.#project = project;
    this.#assembly = next;
    this.operations.settle();
    const gone = [...former.upstreams.values()].filter((upstream) => next.upstreams.get(upstream.name) !== upstream);
    this.#running.retire(gone)();
    this.start();
  }
}
