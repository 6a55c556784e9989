import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#core/clock.ts';
import { AdminServer } from '#gateway/admin/server.ts';
import type { Assembly } from '#gateway/assembly.ts';
import { fixedPartsOf } from '#gateway/control/fixed-parts.ts';
import type { Prepared, Reloadable } from '#gateway/control/reload.ts';
import type { Addresses, Startable } from '#gateway/gateway.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { SharedOverrides } from '#gateway/control/shared-overrides.ts';
import type { Project } from '#gateway/project.ts';
import type { Telemetry } from '#gateway/telemetry/telemetry.ts';
import { Acceptor } from './acceptor.ts';
import { FleetControl } from './fleet-control.ts';
import { FleetMetrics } from './fleet-metrics.ts';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import { HealthRelay } from './health-relay.ts';
import { Primary } from './primary.ts';
import type { BuildOrder } from './protocol.ts';
import type { RemoteWorker } from './remote-worker.ts';
import { shareProblems } from './share.ts';
import { Slot } from './slot.ts';

/** How long workers may take to build another configuration, and to let it take over. */
const prepareMs = 10_000;
const commitMs = 5_000;

/**
 * A gateway in several processes that share its port: workers serve; this one, the primary, accepts connections and hands
 * them out, replaces workers that die, asks endpoints for their health, and is what operators talk to. A worker dies without
 * the others noticing.
 */
export class Fleet implements Startable, Reloadable {
  readonly control: FleetControl;
  readonly #primary: Primary;
  readonly #slots: readonly Slot[];
  readonly #overrides: SharedOverrides | undefined;
  readonly #admin: AdminServer;
  readonly #metrics: FleetMetrics;
  readonly #health: HealthRelay;
  readonly #acceptor: Acceptor;
  #unwatch = () => {};

  /**
   * Builds everything and starts nothing.
   * @throws {ModuleError | ProblemsError} with all that does not fit together
   */
  constructor(project: Project, workers: number) {
    const problems = shareProblems(project);
    if (problems.length > 0) throw new ProblemsError(problems);
    const { listen, admin } = project.loaded.config;
    const all = () => this.#slots.flatMap((slot) => slot.workers);
    this.#metrics = new FleetMetrics(all);
    this.#primary = new Primary(project, {
      workers,
      collect: (own) => this.#metrics.collect(own),
      healthChanged: () => this.#tellHealth(),
    });
    this.#health = new HealthRelay(() => this.#primary.unhealthy());
    const { audit, log, meter } = this.telemetry;
    this.#acceptor = new Acceptor({ refused: (clientIp) => this.telemetry.connectionRefused('total', { clientIp }) });
    const deaths = meter.counter('weir.worker.restarts', {
      unit: '{restart}',
      description: 'Workers that died and were replaced, by worker.',
    });
    meter.observe('weir.workers', { kind: 'gauge', unit: '{worker}', description: 'Workers that serve.' }, (report) =>
      report(all().filter(({ state, silent }) => state === 'serving' && !silent).length, {}),
    );
    this.#slots = Array.from({ length: workers }, (_, place) => {
      const index = place + 1;
      return new Slot({
        index,
        log,
        deaths: deaths.with({ 'weir.worker': String(index) }),
        drainDelayMs: listen.drainDelay,
        acceptor: this.#acceptor,
        order: () => this.#order(index),
        settle: (worker) => this.#settle(worker),
        written: (by, news) => this.#tellOthers(by, news),
        gone: (worker) => this.#metrics.gone(worker),
      });
    });
    this.control = new FleetControl(this.#primary, all, this, systemClock);
    const { store } = this.#primary;
    this.#overrides = store && new SharedOverrides(this.control, store, systemClock, log);
    this.#admin = new AdminServer({
      settings: admin,
      control: this.control,
      log,
      audit,
      changes: this.#overrides ?? this.control,
      keys: this.#primary.assembly.auth.administration,
    });
  }

  get project(): Project {
    return this.#primary.project;
  }

  get assembly(): Assembly {
    return this.#primary.assembly;
  }

  get telemetry(): Telemetry {
    return this.#primary.telemetry;
  }

  async start(): Promise<Addresses> {
    try {
      const admin = await this.#admin.listen();
      await Promise.all(this.#slots.map((slot) => slot.start()));
      this.#overrides?.start();
      const address = await this.#acceptor.listen(this.project.loaded.config.listen);
      this.#primary.start();
      this.#unwatch = this.#metrics.start();
      this.#primary.readiness.phase = 'ready';
      return { address, admin };
    } catch (error) {
      this.abort();
      await this.stop(0);
      throw error;
    }
  }

  async stop(drainDelayMs: number = this.project.loaded.config.listen.drainDelay): Promise<void> {
    const { readiness } = this.#primary;
    readiness.phase = 'draining';
    this.#overrides?.stop();
    await Promise.all(this.#slots.map((slot) => slot.drain()));
    await sleep(drainDelayMs);
    await this.#acceptor.close();
    await Promise.all(this.#slots.map((slot) => slot.stop(drainDelayMs)));
    readiness.phase = 'stopped';
    this.#unwatch();
    await this.#primary.stop();
    await this.#admin.close();
    await this.telemetry.shutdown();
  }

  abort(): void {
    for (const slot of this.#slots) slot.abort();
  }

  /**
   * In all processes or in none: each builds the other configuration beside the one that it serves, and when the last one
   * has, all let it take over.
   * @throws {ModuleError | ProblemsError} with what does not fit together, or which worker does not answer
   */
  async prepare(project: Project): Promise<Prepared> {
    if (this.#primary.readiness.phase !== 'ready')
      throw new ProblemsError(['The gateway is starting or stopping, so it takes no other configuration now.']);
    const own = this.#primary.prepare(project);
    const { text, hash } = project.loaded;
    const workers = this.#present();
    const problems = await Promise.all(workers.map((worker) => prepareIn(worker, { text, hash })));
    const discard = async () => {
      await Promise.all(workers.map((worker) => worker.order('discard', undefined, commitMs).catch(() => {})));
    };
    // What is wrong is wrong in each of them alike.
    const found = [...new Set(problems.filter((problem) => problem !== undefined))];
    if (found.length > 0) {
      await discard();
      throw new ProblemsError(found);
    }
    return {
      discard,
      commit: async () => {
        await own.commit();
        await Promise.all(workers.map((worker) => commitIn(worker, hash)));
        // Those that were built meanwhile, with what was served before.
        await Promise.all(this.#present().map((worker) => this.#update(worker).catch(() => worker.kill())));
        this.#tellHealth();
      },
    };
  }

  /** Each worker has a store of its own. */
  #tellOthers(by: RemoteWorker, news: readonly Invalidation[]): void {
    for (const worker of this.#slots.flatMap((slot) => slot.workers)) {
      // One that is still being built has stored nothing.
      if (worker !== by && worker.state !== 'building' && worker.state !== 'gone') worker.news.announce(news);
    }
  }

  #present(): RemoteWorker[] {
    return this.#slots.flatMap((slot) => slot.workers.filter(({ present }) => present));
  }

  #order(index: number): BuildOrder {
    const { loaded, modulesDir, options } = this.project;
    const { file, text, hash } = loaded;
    const project = { loaded: { file, text, hash }, modulesDir, options };
    return { index, count: this.#slots.length, project, fixed: fixedPartsOf(this.project) };
  }

  /** A worker is built, and about to serve. */
  async #settle(worker: RemoteWorker): Promise<void> {
    const { operations } = this.#primary;
    const operator = { by: 'weir', from: 'primary' };
    await Promise.all([
      this.#health.tell(worker),
      // All of them anew: it may have been told of some, but not that they are over.
      worker.order('apply', { type: 'remove', which: {}, operator }, commitMs),
      ...operations.overrides().map((override) => worker.order('apply', { type: 'set', override }, commitMs)),
    ]);
    await this.#update(worker);
  }

  /** Lets what is served now take over in a worker that has something else. */
  async #update(worker: RemoteWorker): Promise<void> {
    const { text, hash } = this.project.loaded;
    if (worker.hash === hash) return;
    const problem = await prepareIn(worker, { text, hash });
    if (problem !== undefined) throw new ProblemsError([problem]);
    await worker.order('commit', undefined, commitMs);
    worker.hash = hash;
  }

  #tellHealth(): void {
    for (const worker of this.#present()) void this.#health.tell(worker);
  }
}

async function prepareIn(
  worker: RemoteWorker,
  next: { readonly text: string; readonly hash: string },
): Promise<string | undefined> {
  try {
    return await worker.order('prepare', next, prepareMs);
  } catch (error) {
    // One that has died is replaced, with whatever is served then.
    if (worker.state === 'gone') return undefined;
    const { message } = error as Error;
    return `Worker ${worker.index} (process ${worker.pid}) cannot be told of it: ${message}. Fix: try again, or end that process: it is replaced.`;
  }
}

/** From here on there is no way back: one that cannot follow is replaced. */
async function commitIn(worker: RemoteWorker, hash: string): Promise<void> {
  try {
    await worker.order('commit', undefined, commitMs);
    worker.hash = hash;
  } catch {
    worker.kill();
  }
}
