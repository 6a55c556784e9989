import type { GatewayStatus } from './gateway-status.ts';
import type { CommandReport, OperatorCommand, Override } from './override.ts';
import type { ReadinessReport } from './readiness.ts';
import type { ConfigurationStatus, ReloadReport } from './reload.ts';
import type { SpendQuestion, SpendReport } from '#gateway/spend/report.ts';
import type { UseReport } from '#gateway/uses/uses.ts';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import type { StoredAnswers, StoredQuestion } from '#upstreams/cache/stored-answers.ts';
import type { UpstreamStatus } from './upstream-status.ts';

/**
 * What operators see of a gateway and do to it, whether it is one process or several that share a port: what `/admin` and
 * the command are made of. All of it is plain data, since it crosses processes.
 */
export interface Control {
  readiness(): Promise<ReadinessReport>;
  /** What is wrong, in one look. */
  status(): Promise<GatewayStatus>;
  upstreams(): Promise<readonly UpstreamStatus[]>;
  /** Who spends what on which upstream, in all processes. */
  spend(question: SpendQuestion): Promise<SpendReport>;
  /** Who uses what is deprecated or has versions, in all processes. */
  uses(): Promise<UseReport>;
  /** What operators hold and for how long, the oldest first. */
  overrides(): Promise<readonly Override[]>;
  /** Carries a change out, in every process, or nowhere: then the report says why. */
  apply(command: OperatorCommand): Promise<CommandReport>;
  /** Prometheus text, version 0.0.4. */
  metrics(): Promise<string>;
  configuration(): Promise<ConfigurationStatus>;
  /** Loads the file again. Never rejects for what is wrong with the file; the report says it. */
  reload(): Promise<ReloadReport>;
  /** What is stored of a path, in the memory of every process. */
  stored(question: StoredQuestion): Promise<StoredAnswers>;
  /** Takes what is stored out of the cache, in every process. @returns how many answers that were */
  purge(what: Invalidation): Promise<number>;
  /** Restores the last good file, and lets it take over. */
  rollback(): Promise<ReloadReport>;
}
