import type { AddressInfo } from 'node:net';
import type { Unhealthy } from '#upstreams/health-verdicts.ts';
import type { FixedParts } from '#gateway/control/fixed-parts.ts';
import type { ProcessSnapshot } from '#gateway/control/gateway-status.ts';
import type { CommandReport, OperatorCommand } from '#gateway/control/override.ts';
import type { RunningProject } from '#gateway/project.ts';
import type { Spent } from '#gateway/spend/ledger.ts';
import type { MeterSnapshot } from '#gateway/telemetry/meter.ts';

/** What primary and workers say to each other: plain data, by structured clone. */

/** All that a worker needs to become one of the gateway's processes. */
export interface BuildOrder {
  /** From 1 on. */
  readonly index: number;
  readonly count: number;
  readonly project: RunningProject;
  readonly fixed: FixedParts;
  /** To listen at. */
  readonly port: number;
}

/** A configuration to be served: what the file says, and its hash, which each process must come to by itself. */
export type NextConfiguration = Pick<RunningProject['loaded'], 'text' | 'hash'>;

/** Why an address cannot be listened at, as Node says it. */
export interface ListenFailure {
  readonly message: string;
  readonly code?: string | undefined;
  readonly syscall?: string | undefined;
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly hostname?: string | undefined;
}

/** What the primary asks of a worker, in this order: to build, to listen, and in the end to stop. */
export type WorkerCalls = {
  /** @returns what does not fit together; undefined when all does */
  build(order: BuildOrder): Promise<string | undefined>;
  listen(nothing: undefined): Promise<AddressInfo | ListenFailure>;
  /** Asks nothing but whether the event loop turns. */
  ping(nothing: undefined): void;
  snapshot(nothing: undefined): ProcessSnapshot;
  metrics(nothing: undefined): MeterSnapshot;
  /** What it has spent in so many minutes. */
  spend(minutes: number): readonly Spent[];
  apply(command: OperatorCommand): CommandReport;
  health(unhealthy: Unhealthy): void;
  /** Builds another configuration beside the one that serves. @returns as `build` */
  prepare(next: NextConfiguration): Promise<string | undefined>;
  commit(nothing: undefined): Promise<void>;
  discard(nothing: undefined): Promise<void>;
  /** Finishes what is in flight. @returns what was measured in the end */
  stop(how: { readonly drainDelayMs: number }): Promise<MeterSnapshot>;
};

export type PrimaryCalls = {
  /** Somebody has sent the worker a SIGTERM: it goes on until the primary tells it to stop. */
  leaving(nothing: undefined): void;
};
