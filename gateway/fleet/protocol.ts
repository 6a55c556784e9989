import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import type { StoredAnswers, StoredQuestion } from '#upstreams/cache/stored-answers.ts';
import type { Unhealthy } from '#upstreams/health-verdicts.ts';
import type { FixedParts } from '#gateway/control/fixed-parts.ts';
import type { ProcessSnapshot } from '#gateway/control/gateway-status.ts';
import type { CommandReport, OperatorCommand } from '#gateway/control/override.ts';
import type { RunningProject } from '#gateway/project.ts';
import type { Spent } from '#gateway/spend/ledger.ts';
import type { Use } from '#gateway/uses/sums.ts';
import type { MeterSnapshot } from '#gateway/telemetry/meter.ts';

/** What primary and workers say to each other: plain data, by structured clone. */

/** All that a worker needs to become one of the gateway's processes. */
export interface BuildOrder {
  /** From 1 on. */
  readonly index: number;
  readonly count: number;
  readonly project: RunningProject;
  readonly fixed: FixedParts;
}

/** A configuration to be served: what the file says, and its hash, which each process must come to by itself. */
export type NextConfiguration = Pick<RunningProject['loaded'], 'text' | 'hash'>;

/** What the primary asks of a worker, in this order: to build, to serve, and in the end to drain and to stop. */
export type WorkerCalls = {
  /** @returns what does not fit together; undefined when all does */
  build(order: BuildOrder): Promise<string | undefined>;
  /** From now on it is handed connections. */
  serve(nothing: undefined): void;
  /** Asks nothing but whether the event loop turns. */
  ping(nothing: undefined): void;
  snapshot(nothing: undefined): ProcessSnapshot;
  metrics(nothing: undefined): MeterSnapshot;
  /** What it has spent in so many minutes. */
  spend(minutes: number): readonly Spent[];
  uses(nothing: undefined): readonly Use[];
  apply(command: OperatorCommand): CommandReport;
  health(unhealthy: Unhealthy): void;
  /** What others have written. */
  written(news: readonly Invalidation[]): void;
  /** What is in its memory of a path. */
  stored(question: StoredQuestion): StoredAnswers;
  /** Takes out of the cache. @returns how many answers that were */
  purge(what: Invalidation): Promise<number>;
  /** Builds another configuration beside the one that serves. @returns as `build` */
  prepare(next: NextConfiguration): Promise<string | undefined>;
  commit(nothing: undefined): Promise<void>;
  discard(nothing: undefined): Promise<void>;
  /** All are about to stop: clients that have a connection are sent away with their next answer. */
  drain(nothing: undefined): void;
  /** Finishes what is in flight, `drainDelayMs` after it was told to drain at the earliest. @returns what was measured in the end */
  stop(how: { readonly drainDelayMs: number }): Promise<MeterSnapshot>;
};

export type PrimaryCalls = {
  /** Somebody has sent the worker a SIGTERM: it goes on until the primary tells it to stop. */
  leaving(nothing: undefined): void;
  /** What was written through it, so that what others store of that is no longer so. */
  written(news: readonly Invalidation[]): void;
};
