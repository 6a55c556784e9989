import type { BreakerState, ForcedState } from '#upstreams/breaker.ts';
import { percentileMs } from '#upstreams/recent-calls.ts';
import type { Override } from './override.ts';
import { later, type EndpointSnapshot, type Failure, type UpstreamSnapshot } from './upstream-snapshot.ts';
import { upstreamProblems } from './problems.ts';

/** Why an endpoint is in or out of use; of several reasons the one that an operator can do least about comes last. */
export type EndpointState = 'up' | 'slow-start' | 'unhealthy' | 'ejected' | 'drained';

export interface EndpointStatus {
  readonly url: string;
  readonly state: EndpointState;
  /** ISO 8601, as all times. */
  readonly since: string;
  readonly weight: number;
  /** Of its weight, what it is given now: below 1 during slow start. */
  readonly share: number;
  readonly labels: Readonly<Record<string, string>>;
  /** As its health checks see it. */
  readonly healthy: boolean;
  readonly drained: boolean;
  readonly ejectedUntil: string | undefined;
  readonly ejections: number;
  /** Undefined where there are no health checks. */
  readonly nextCheck: string | undefined;
  /** Calls in flight. */
  readonly active: number;
  readonly lastError: FailureStatus | undefined;
}

export interface FailureStatus {
  readonly code: string;
  readonly status?: number | undefined;
  readonly endpoint?: string | undefined;
  readonly at: string;
}

/** What an engineer on call wants to know of one upstream at a glance. Rate, ratios and percentiles are of the last minute. */
export interface UpstreamStatus {
  readonly name: string;
  readonly owner: string | undefined;
  /** What is wrong with it, a sentence each; empty when nothing is. */
  readonly problems: readonly string[];
  readonly breaker: {
    readonly state: BreakerState;
    readonly since: string;
    /** Until an open one lets a probe through. */
    readonly restMs: number;
    /** An operator holds it; its override is among those of the gateway. */
    readonly forced: ForcedState | undefined;
    /** Of the override that holds it. */
    readonly until: string | undefined;
    /** In how many processes it is in which state. */
    readonly processes: Readonly<Record<BreakerState, number>>;
  };
  readonly lastError: FailureStatus | undefined;
  /** Calls a second, the refused ones too. */
  readonly rate: number;
  readonly calls: number;
  /** Of the calls, those that failed, were answered with 5xx, or were refused: 0 to 1. */
  readonly errorRatio: number;
  /** Of the calls, those that never reached it: breaker open, `maxInFlight` reached. */
  readonly refusedRatio: number;
  /** Milliseconds from a call's start to its answer, retries and all; undefined where there was no answer. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number } | undefined;
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly connections: { readonly used: number; readonly waiting: number; readonly max: number };
  readonly retries: number;
  /** So few endpoints are up that all are used. */
  readonly panic: boolean;
  readonly discovery:
    | {
        readonly kind: string;
        readonly lastAnswer: string | undefined;
        readonly lastError: { readonly message: string; readonly at: string } | undefined;
      }
    | undefined;
  readonly endpoints: readonly EndpointStatus[];
}

/** For people and their programs, from what the processes see. */
export function upstreamStatus(seen: UpstreamSnapshot, overrides: readonly Override[]): UpstreamStatus {
  const { breaker, recent, discovery } = seen;
  const held = overrides.find(({ kind, target }) => kind === 'upstream' && target === seen.name);
  const endpoints = seen.endpoints.map(endpointStatus);
  const status = {
    name: seen.name,
    owner: seen.owner,
    breaker: {
      state: breaker.state,
      since: iso(breaker.sinceMs),
      restMs: breaker.restMs,
      forced: breaker.forced,
      until: breaker.forced && held?.until,
      processes: breaker.processes,
    },
    lastError: failureStatus(seen.endpoints.reduce((last, { lastError }) => later(last, lastError), seen.lastError)),
    rate: rounded(recent.rate),
    calls: recent.calls,
    errorRatio: ratio(recent.errors + recent.refused, recent.calls),
    refusedRatio: ratio(recent.refused, recent.calls),
    latencyMs: latencies(recent.buckets),
    timeoutMs: seen.timeoutMs,
    attemptTimeoutMs: seen.attemptTimeoutMs,
    inFlight: seen.inFlight,
    maxInFlight: seen.maxInFlight,
    connections: seen.connections,
    retries: seen.retries,
    panic: seen.panic,
    discovery: discovery && {
      kind: discovery.kind,
      lastAnswer: maybeIso(discovery.lastAnswerMs),
      lastError: discovery.lastError && { message: discovery.lastError.message, at: iso(discovery.lastError.atMs) },
    },
    endpoints,
  };
  return { ...status, problems: upstreamProblems(status) };
}

function endpointStatus(seen: EndpointSnapshot): EndpointStatus {
  const { url, weight, share, labels, healthy, drained, ejections, active } = seen;
  return {
    url,
    state: stateOf(seen),
    since: iso(seen.sinceMs),
    weight,
    share: rounded(share),
    labels,
    healthy,
    drained,
    ejectedUntil: maybeIso(seen.ejectedUntilMs),
    ejections,
    nextCheck: maybeIso(seen.nextCheckMs),
    active,
    lastError: failureStatus(seen.lastError),
  };
}

function stateOf({ healthy, drained, ejectedUntilMs, share }: EndpointSnapshot): EndpointState {
  if (drained) return 'drained';
  if (!healthy) return 'unhealthy';
  if (ejectedUntilMs !== undefined) return 'ejected';
  return share < 1 ? 'slow-start' : 'up';
}

function failureStatus(failure: Failure | undefined): FailureStatus | undefined {
  if (!failure) return undefined;
  const { code, status, endpoint, atMs } = failure;
  return { code, status, endpoint, at: iso(atMs) };
}

function latencies(buckets: readonly number[]): UpstreamStatus['latencyMs'] {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentileMs(buckets, share));
  if (p50 === undefined || p95 === undefined || p99 === undefined) return undefined;
  return { p50: rounded(p50), p95: rounded(p95), p99: rounded(p99) };
}

function ratio(part: number, all: number): number {
  return all === 0 ? 0 : Math.min(1, Math.round((part / all) * 10_000) / 10_000);
}

/** To three digits: a bucket is no more exact than that. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function maybeIso(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : iso(ms);
}
