import type { Clock } from '#core/clock.ts';
import type { Telemetry } from '#gateway/telemetry/telemetry.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Control } from './control.ts';
import type { Readiness, ReadinessReport } from './readiness.ts';
import { Reloads, type ConfigurationStatus, type Reloadable, type ReloadReport } from './reload.ts';
import { upstreamStatus, type UpstreamStatus } from './upstream-status.ts';

/** What is controlled: the one process that serves. */
export interface Controlled extends Reloadable {
  readonly telemetry: Telemetry;
  readonly readiness: Readiness;
  readonly assembly: { readonly upstreams: ReadonlyMap<string, Upstream> };
}

/** Control of this process. */
export class LocalControl implements Control {
  readonly #instance: Controlled;
  readonly #reloads: Reloads;

  constructor(instance: Controlled, clock: Clock) {
    const { log, meter } = instance.telemetry;
    this.#instance = instance;
    this.#reloads = new Reloads(instance, clock, log);
    meter.observe(
      'weir.config.reloads',
      { kind: 'counter', unit: '{reload}', description: 'Attempts to load the configuration again, by outcome.' },
      (report) => {
        const { applied, refused } = this.#reloads.counts;
        report(applied, { 'weir.reload.outcome': 'applied' });
        report(refused, { 'weir.reload.outcome': 'refused' });
      },
    );
  }

  readiness(): Promise<ReadinessReport> {
    return Promise.resolve(this.#instance.readiness.report(this.#upstreams()));
  }

  upstreams(): Promise<readonly UpstreamStatus[]> {
    return Promise.resolve([...this.#upstreams()].map(upstreamStatus));
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

  rollback(): Promise<ReloadReport> {
    return Promise.resolve(this.#reloads.rollback());
  }

  #upstreams(): Iterable<Upstream> {
    return this.#instance.assembly.upstreams.values();
  }
}
