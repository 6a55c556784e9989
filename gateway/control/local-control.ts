import type { Clock } from '#core/clock.ts';
import type { Limits } from '#policies/limits/limits.ts';
import type { Telemetry } from '#gateway/telemetry/telemetry.ts';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import type { StoredAnswers, StoredQuestion } from '#upstreams/cache/stored-answers.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Control } from './control.ts';
import { gatewayStatus, upstreamStatuses, type GatewayStatus } from './gateway-status.ts';
import { observeGateway } from './gateway-metrics.ts';
import type { CommandReport, OperatorCommand, Override } from './override.ts';
import type { ProcessControl } from './process-control.ts';
import type { Readiness, ReadinessReport } from './readiness.ts';
import { Reloads, type ConfigurationStatus, type Reloadable, type ReloadReport } from './reload.ts';
import type { SpendQuestion, SpendReport } from '#gateway/spend/report.ts';
import type { Spend } from '#gateway/spend/spend.ts';
import type { UseReport, Uses } from '#gateway/uses/uses.ts';
import type { UpstreamStatus } from './upstream-status.ts';

/** What is controlled: the one process that serves. */
export interface Controlled extends Reloadable {
  readonly telemetry: Telemetry;
  readonly readiness: Readiness;
  readonly operations: ProcessControl;
  readonly spend: Spend;
  readonly uses: Uses;
  stored(question: StoredQuestion): StoredAnswers;
  purge(what: Invalidation): Promise<number>;
  readonly assembly: { readonly upstreams: ReadonlyMap<string, Upstream>; readonly limits: Pick<Limits, 'shared'> };
}

/** Control of this process. */
export class LocalControl implements Control {
  readonly #instance: Controlled;
  readonly #clock: Clock;
  readonly #reloads: Reloads;

  constructor(instance: Controlled, clock: Clock) {
    const { log, meter } = instance.telemetry;
    this.#instance = instance;
    this.#clock = clock;
    this.#reloads = new Reloads(instance, clock, log);
    observeGateway(meter, this.#reloads);
  }

  readiness(): Promise<ReadinessReport> {
    const { upstreams, limits } = this.#instance.assembly;
    return Promise.resolve(this.#instance.readiness.report(upstreams.values(), limits.shared));
  }

  status(): Promise<GatewayStatus> {
    const { operations } = this.#instance;
    const status = gatewayStatus({
      nowMs: this.#clock.epochMs(),
      processes: [operations.snapshot()],
      configuration: this.#reloads.status(),
      overrides: operations.overrides(),
    });
    return Promise.resolve(status);
  }

  upstreams(): Promise<readonly UpstreamStatus[]> {
    const { operations } = this.#instance;
    return Promise.resolve(upstreamStatuses([operations.snapshot()], operations.overrides()));
  }

  spend(question: SpendQuestion): Promise<SpendReport> {
    return this.#instance.spend.report(question);
  }

  uses(): Promise<UseReport> {
    return this.#instance.uses.report();
  }

  overrides(): Promise<readonly Override[]> {
    return Promise.resolve(this.#instance.operations.overrides());
  }

  apply(command: OperatorCommand): Promise<CommandReport> {
    return Promise.resolve(this.#instance.operations.apply(command));
  }

  metrics(): Promise<string> {
    return this.#instance.telemetry.prometheus();
  }

  configuration(): Promise<ConfigurationStatus> {
    return Promise.resolve(this.#reloads.status());
  }

  reload(): Promise<ReloadReport> {
    return Promise.resolve(this.#reloads.reload());
  }

  stored(question: StoredQuestion): Promise<StoredAnswers> {
    return Promise.resolve(this.#instance.stored(question));
  }

  purge(what: Invalidation): Promise<number> {
    return this.#instance.purge(what);
  }

  rollback(): Promise<ReloadReport> {
    return Promise.resolve(this.#reloads.rollback());
  }
}
