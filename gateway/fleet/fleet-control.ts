import type { Clock } from '#core/clock.ts';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import { together, type StoredAnswers, type StoredQuestion } from '#upstreams/cache/stored-answers.ts';
import type { Control } from '#gateway/control/control.ts';
import { observeGateway } from '#gateway/control/gateway-metrics.ts';
import {
  gatewayStatus,
  upstreamStatuses,
  type GatewayStatus,
  type ProcessSnapshot,
} from '#gateway/control/gateway-status.ts';
import type { CommandReport, OperatorCommand, Override } from '#gateway/control/override.ts';
import type { ReadinessReport } from '#gateway/control/readiness.ts';
import { Reloads, type ConfigurationStatus, type Reloadable, type ReloadReport } from '#gateway/control/reload.ts';
import type { UpstreamStatus } from '#gateway/control/upstream-status.ts';
import type { SpendQuestion, SpendReport } from '#gateway/spend/report.ts';
import type { UseReport } from '#gateway/uses/uses.ts';
import type { Primary } from './primary.ts';
import type { RemoteWorker } from './remote-worker.ts';

/** What operators see of workers that are asked. */
interface Seen {
  readonly processes: readonly ProcessSnapshot[];
  /** A sentence for each worker that says nothing. */
  readonly missing: readonly string[];
}

/** A load balancer's patience is a second, mostly. */
const readinessMs = 500;

/** Control of several processes as if they were one: each is asked, and none is waited for that does not answer. */
export class FleetControl implements Control {
  readonly #primary: Primary;
  readonly #workers: () => readonly RemoteWorker[];
  readonly #clock: Clock;
  readonly #reloads: Reloads;

  constructor(primary: Primary, workers: () => readonly RemoteWorker[], reloadable: Reloadable, clock: Clock) {
    const { log, meter } = primary.telemetry;
    this.#primary = primary;
    this.#workers = workers;
    this.#clock = clock;
    this.#reloads = new Reloads(reloadable, clock, log);
    observeGateway(meter, this.#reloads);
  }

  /** Ready while one worker is: they share the port, so that it serves what comes while the others are replaced. */
  async readiness(): Promise<ReadinessReport> {
    const { phase } = this.#primary.readiness;
    const { processes } = await this.#look(readinessMs);
    const ready = processes.some(({ process }) => process.phase === 'ready');
    const upstreams = upstreamStatuses(processes, []).map(
      ({ name, breaker, endpoints }) =>
        [
          name,
          {
            breaker: breaker.state,
            endpoints: endpoints.length,
            healthy: endpoints.filter(({ healthy }) => healthy).length,
          },
        ] as const,
    );
    const limits = processes.map(({ process }) => process.limits);
    const worst = limits.find((each) => each && each.counted !== 'redis') ?? limits[0];
    return {
      status: phase === 'ready' && !ready ? 'starting' : phase,
      upstreams: Object.fromEntries(upstreams),
      ...(worst && { limits: worst }),
    };
  }

  async status(): Promise<GatewayStatus> {
    const { processes, missing } = await this.#look();
    const status = gatewayStatus({
      nowMs: this.#clock.epochMs(),
      processes,
      configuration: this.#reloads.status(),
      overrides: this.#primary.operations.overrides(),
    });
    return { ...status, problems: [...missing, ...status.problems] };
  }

  /** What is missing is told with each upstream, since all of what is said of them is without it. */
  async upstreams(): Promise<readonly UpstreamStatus[]> {
    const { processes, missing } = await this.#look();
    const statuses = upstreamStatuses(processes, this.#primary.operations.overrides());
    return statuses.map((status) => ({ ...status, problems: [...missing, ...status.problems] }));
  }

  spend(question: SpendQuestion): Promise<SpendReport> {
    return this.#primary.spend.report(question, async () => {
      const workers = this.#workers().filter(({ state }) => state === 'serving' || state === 'leaving');
      const asked = workers.map((worker) => worker.ask('spend', question.minutes).catch(() => []));
      return (await Promise.all(asked)).flat();
    });
  }

  uses(): Promise<UseReport> {
    return this.#primary.uses.report(async () => {
      const workers = this.#workers().filter(({ state }) => state === 'serving' || state === 'leaving');
      return (await Promise.all(workers.map((worker) => worker.ask('uses', undefined).catch(() => [])))).flat();
    });
  }

  overrides(): Promise<readonly Override[]> {
    return Promise.resolve(this.#primary.operations.overrides());
  }

  /** In the primary first, which every worker that starts later takes them from. */
  async apply(command: OperatorCommand): Promise<CommandReport> {
    const report = this.#primary.operations.apply(command);
    if (!report.ok) return report;
    const answers = await Promise.all(this.#present().map((worker) => tell(worker, command)));
    const refusal = answers.find((answer) => answer?.ok === false);
    if (!refusal || command.type !== 'set') return report;
    const { id, by, from } = command.override;
    await this.apply({ type: 'remove', which: { id }, operator: { by, from } });
    return refusal;
  }

  metrics(): Promise<string> {
    return this.#primary.telemetry.prometheus();
  }

  configuration(): Promise<ConfigurationStatus> {
    return Promise.resolve(this.#reloads.status());
  }

  reload(): Promise<ReloadReport> {
    return this.#reloads.reload();
  }

  async stored(question: StoredQuestion): Promise<StoredAnswers> {
    const none: StoredAnswers = { answers: [], total: 0 };
    return together(
      await Promise.all(this.#present().map((worker) => worker.ask('stored', question).catch(() => none))),
    );
  }

  async purge(what: Invalidation): Promise<number> {
    const counts = await Promise.all(
      this.#present().map((worker) => worker.order('purge', what, 1_000).catch(() => 0)),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  rollback(): Promise<ReloadReport> {
    return this.#reloads.rollback();
  }

  #present(): readonly RemoteWorker[] {
    return this.#workers().filter(({ present }) => present);
  }

  async #look(timeoutMs?: number): Promise<Seen> {
    const workers = this.#workers().filter(({ state }) => state === 'serving' || state === 'leaving');
    const seen = await Promise.all(
      workers.map((worker) => worker.ask('snapshot', undefined, timeoutMs).catch(() => undefined)),
    );
    const missing = workers
      .filter((_, index) => seen[index] === undefined)
      .map(({ index, pid }) => `worker ${index} (process ${pid}) does not answer, so what it sees is missing here`);
    return { processes: this.#withChecks(seen.filter((one) => one !== undefined)), missing };
  }

  /** It is the primary that asks endpoints for their health, so it alone knows when it will again. */
  #withChecks(processes: readonly ProcessSnapshot[]): readonly ProcessSnapshot[] {
    const own = new Map(this.#primary.operations.snapshot().upstreams.map((upstream) => [upstream.name, upstream]));
    return processes.map(({ process, upstreams }) => ({
      process,
      upstreams: upstreams.map((upstream) => ({
        ...upstream,
        endpoints: upstream.endpoints.map((endpoint) => {
          const checked = own.get(upstream.name)?.endpoints.find(({ url }) => url === endpoint.url);
          return { ...endpoint, nextCheckMs: checked?.nextCheckMs };
        }),
      })),
    }));
  }
}

/** @returns undefined of a worker that does not answer: it takes the command in when it wakes, and none when it is replaced */
async function tell(worker: RemoteWorker, command: OperatorCommand): Promise<CommandReport | undefined> {
  try {
    return await worker.order('apply', command, 1_000);
  } catch {
    return undefined;
  }
}
