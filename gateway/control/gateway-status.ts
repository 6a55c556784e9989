import type { ScaledLimit } from '#policies/limits/dynamic-limits.ts';
import type { SharedLimits } from '#policies/limits/limits.ts';
import { version } from '#gateway/version.ts';
import type { Override } from './override.ts';
import { gatewayProblems } from './problems.ts';
import type { Phase } from './readiness.ts';
import type { ConfigurationStatus } from './reload.ts';
import { mergeUpstreams, type UpstreamSnapshot } from './upstream-snapshot.ts';
import { upstreamStatus, type UpstreamStatus } from './upstream-status.ts';

/** One process that serves, at a moment. */
export interface ProcessStatus {
  readonly pid: number;
  readonly phase: Phase;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Requests and operations under way, and how many there may be. */
  readonly inFlight: number;
  readonly maxInFlight: number;
  /** Not all that comes in is let through. */
  readonly shedding: boolean;
  /** Of all that comes in, what the event loop's lag lets through: 0 to 1. */
  readonly passed: number;
  /** At the last look, and from when on it sheds load. */
  readonly eventLoopLagMs: number;
  readonly maxEventLoopLagMs: number;
  /** Whether its limits are counted in Redis; left out where none is configured. */
  readonly limits?: SharedLimits;
  /** Limits that are smaller than they are written, since upstreams fail; left out where there are none. */
  readonly scaledLimits?: readonly ScaledLimit[];
  /** Resident memory. */
  readonly memoryBytes: number;
}

/** All that one process says of itself: plain data, from which {@link gatewayStatus} makes what people see. */
export interface ProcessSnapshot {
  readonly process: ProcessStatus;
  readonly upstreams: readonly UpstreamSnapshot[];
}

/** What is wrong, in one look. */
export interface GatewayStatus {
  readonly version: string;
  /** ISO 8601: when this was so. */
  readonly at: string;
  /** Everything that is wrong, the gateway's own first, each upstream's with its name; empty when nothing is. */
  readonly problems: readonly string[];
  readonly processes: readonly ProcessStatus[];
  readonly configuration: ConfigurationStatus;
  readonly overrides: readonly Override[];
  readonly upstreams: readonly UpstreamStatus[];
}

export interface StatusParts {
  readonly nowMs: number;
  readonly processes: readonly ProcessSnapshot[];
  readonly configuration: ConfigurationStatus;
  readonly overrides: readonly Override[];
}

export function gatewayStatus({ nowMs, processes, configuration, overrides }: StatusParts): GatewayStatus {
  const own = processes.map(({ process }) => process);
  const upstreams = upstreamStatuses(processes, overrides);
  return {
    version,
    at: new Date(nowMs).toISOString(),
    problems: [
      ...gatewayProblems(own, configuration),
      ...upstreams.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`)),
    ],
    processes: own,
    configuration,
    overrides,
    upstreams,
  };
}

export function upstreamStatuses(
  processes: readonly ProcessSnapshot[],
  overrides: readonly Override[],
): UpstreamStatus[] {
  return mergeUpstreams(processes.map(({ upstreams }) => upstreams)).map((seen) => upstreamStatus(seen, overrides));
}
