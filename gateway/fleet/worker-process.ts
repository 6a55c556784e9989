import { Socket } from 'node:net';
import { Announcer } from '#upstreams/cache/invalidation.ts';
import { HealthVerdicts } from '#upstreams/health-verdicts.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import { ConfigError } from '#gateway/config/problem.ts';
import { withFixedParts, type FixedParts } from '#gateway/control/fixed-parts.ts';
import type { Prepared } from '#gateway/control/reload.ts';
import { outliveForgottenPromises } from '#gateway/forgotten-promises.ts';
import { Instance } from '#gateway/instance.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { joinProject, reread, type Project } from '#gateway/project.ts';
import type { MeterSnapshot } from '#gateway/telemetry/meter.ts';
import { Channel, type Port } from './channel.ts';
import { isHandover, type Taken } from './handover.ts';
import type { BuildOrder, NextConfiguration, PrimaryCalls, WorkerCalls } from './protocol.ts';
import { shareOf } from './share.ts';

/** What a worker has once it is built. */
interface Built {
  readonly instance: Instance;
  readonly count: number;
  readonly fixed: FixedParts;
  readonly verdicts: HealthVerdicts;
}

/** The worker's side: an instance, and the answers to what the primary asks. */
export class WorkerProcess {
  readonly #primary: Channel<WorkerCalls, PrimaryCalls>;
  #built: Built | undefined;
  /** As the file says it, of all workers together. */
  #project: Project | undefined;
  #prepared: { readonly project: Project; readonly prepared: Prepared } | undefined;
  #stopped: Promise<MeterSnapshot> | undefined;

  /** @param process the worker's own, with a channel to the primary */
  constructor(process: Port) {
    const built = () => this.#mustBeBuilt();
    this.#primary = new Channel<WorkerCalls, PrimaryCalls>(process, {
      build: (order) => this.#build(order),
      serve: () => built().instance.serve(),
      ping() {},
      snapshot: () => built().instance.operations.snapshot(),
      metrics: () => this.#metrics(),
      spend: (minutes) => built().instance.spend.own(minutes),
      uses: () => built().instance.uses.own(),
      apply: (command) => built().instance.operations.apply(command),
      health: (unhealthy) => built().verdicts.tell(unhealthy),
      written: (news) => news.forEach((one) => built().instance.cache.apply(one)),
      stored: (question) => built().instance.stored(question),
      purge: (what) => built().instance.purge(what),
      prepare: (next) => this.#prepare(next),
      commit: () => this.#commit(),
      discard: () => this.#discard(),
      drain: () => built().instance.drain(),
      stop: ({ drainDelayMs }) => this.#stop(drainDelayMs),
    });
    process.on('message', (message, handle) => {
      if (!isHandover(message)) return;
      // Its client may have left on the way.
      const ok = !(handle instanceof Socket) || this.#take(handle);
      process.send({ taken: message.handover, ok } satisfies Taken, () => {});
    });
  }

  /** Says that it has been told to go. It is the primary that knows whether all are to go, or others take over. */
  leave(): void {
    // Without a primary it is ending anyway.
    this.#primary.ask('leaving', undefined, undefined).catch(() => {});
  }

  /** The primary has let go of it, or is gone: finishes what is in flight and ends the process. */
  async end(): Promise<void> {
    // Whoever takes the primary's place wants the port at once.
    await this.#stop(0);
    await this.#built?.instance.telemetry.shutdown();
    process.exit(0);
  }

  async #build(order: BuildOrder): Promise<string | undefined> {
    const { index, count, project: running, fixed } = order;
    try {
      const { project } = withFixedParts(await joinProject(running), fixed);
      const verdicts = new HealthVerdicts();
      const instance = new Instance(shareOf(project, count), { worker: { index, count, verdicts } });
      const announcer = new Announcer((news) => this.#primary.ask('written', news, undefined));
      outliveForgottenPromises(instance.telemetry.log);
      instance.cache.onWritten((news) => announcer.announce([news]));
      this.#project = project;
      this.#built = { instance, count, fixed, verdicts };
      return differs(project, running.loaded.hash);
    } catch (error) {
      return explain(error);
    }
  }

  /** In the same turn, so that the answer is out before anything is read. */
  #take(connection: Socket): boolean {
    if (this.#built?.instance.take(connection) === true) return true;
    connection.destroy();
    return false;
  }

  #metrics(): MeterSnapshot {
    const { families, errors } = this.#mustBeBuilt().instance.telemetry.snapshot();
    return { families, errors: errors.map(String) };
  }

  async #prepare({ text, hash }: NextConfiguration): Promise<string | undefined> {
    const { instance, count, fixed } = this.#mustBeBuilt();
    await this.#discard();
    try {
      const { project } = withFixedParts(reread(this.#project!, text), fixed);
      const differing = differs(project, hash);
      if (differing !== undefined) return differing;
      this.#prepared = { project, prepared: instance.prepare(shareOf(project, count)) };
      return undefined;
    } catch (error) {
      return explain(error);
    }
  }

  async #commit(): Promise<void> {
    const next = this.#prepared;
    if (!next) throw new Error('nothing is prepared');
    this.#prepared = undefined;
    await next.prepared.commit();
    this.#project = next.project;
  }

  async #discard(): Promise<void> {
    await this.#prepared?.prepared.discard();
    this.#prepared = undefined;
  }

  #stop(drainDelayMs: number): Promise<MeterSnapshot> {
    return (this.#stopped ??= this.#finish(drainDelayMs));
  }

  async #finish(drainDelayMs: number): Promise<MeterSnapshot> {
    if (!this.#built) return { families: [], errors: [] };
    await this.#built.instance.stop(drainDelayMs);
    return this.#metrics();
  }

  #mustBeBuilt(): Built {
    if (!this.#built) throw new Error('the worker is not built yet');
    return this.#built;
  }
}

/** Each process reads environment and secrets for itself, and all of them must have read the same. */
function differs(project: Project, hash: string): string | undefined {
  return project.loaded.hash === hash
    ? undefined
    : 'What the configuration refers to changed while it was read. Fix: load it again.';
}

function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof ProblemsError || error instanceof ModuleError)
    return error.message;
  // A defect, of which the stack is wanted.
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
