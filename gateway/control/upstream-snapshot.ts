import type { BreakerState, ForcedState } from '#upstreams/breaker.ts';
import type { Endpoint } from '#upstreams/endpoint.ts';
import { addRecent, type RecentSnapshot } from '#upstreams/recent-calls.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/** How a call failed, and when (wall clock). */
export interface Failure {
  readonly code: string;
  /** Of an answer, where that was the failure. */
  readonly status?: number | undefined;
  readonly endpoint?: string | undefined;
  readonly atMs: number;
}

export interface EndpointSnapshot {
  readonly url: string;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly healthy: boolean;
  readonly drained: boolean;
  readonly ejectedUntilMs: number | undefined;
  readonly ejections: number;
  /** Of its weight, what it is given now: below 1 during slow start. */
  readonly share: number;
  readonly sinceMs: number;
  readonly nextCheckMs: number | undefined;
  readonly active: number;
  readonly lastError: Failure | undefined;
}

/**
 * One upstream as one process sees it: plain data that can be merged with what other processes of the same gateway see.
 * All that says `Ms` and is not about a duration is wall clock time.
 */
export interface UpstreamSnapshot {
  readonly name: string;
  readonly owner: string | undefined;
  readonly timeoutMs: number;
  readonly attemptTimeoutMs: number;
  readonly breaker: {
    readonly state: BreakerState;
    readonly restMs: number;
    readonly sinceMs: number;
    readonly forced: ForcedState | undefined;
    /** In how many processes it is in which state. */
    readonly processes: Readonly<Record<BreakerState, number>>;
  };
  readonly recent: RecentSnapshot;
  readonly lastError: Failure | undefined;
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly connections: { readonly used: number; readonly waiting: number; readonly max: number };
  readonly retries: number;
  /** So few endpoints are up that all are used. */
  readonly panic: boolean;
  readonly discovery:
    | {
        readonly kind: string;
        readonly lastAnswerMs: number | undefined;
        readonly lastError: { readonly message: string; readonly atMs: number } | undefined;
      }
    | undefined;
  readonly endpoints: readonly EndpointSnapshot[];
}

export function snapshotOf(upstream: Upstream): UpstreamSnapshot {
  const { name, owner, settings, breaker, slots, discovery } = upstream;
  const { state, sinceMs, forced } = breaker;
  return {
    name,
    owner,
    timeoutMs: settings.timeout,
    attemptTimeoutMs: settings.attemptTimeout,
    breaker: {
      state,
      restMs: Math.ceil(breaker.restMs),
      sinceMs,
      forced,
      processes: { closed: 0, open: 0, 'half-open': 0, [state]: 1 },
    },
    recent: upstream.recent.snapshot(),
    lastError: upstream.lastError,
    inFlight: upstream.inFlight,
    maxInFlight: settings.maxInFlight,
    connections: { used: slots.used, waiting: slots.waiting, max: settings.maxConnections },
    retries: upstream.retries,
    panic: upstream.rotation.panic,
    discovery:
      discovery.kind === undefined
        ? undefined
        : { kind: discovery.kind, lastAnswerMs: discovery.lastAnswerMs, lastError: discovery.lastError },
    endpoints: upstream.endpoints.map((endpoint) => endpointSnapshot(upstream, endpoint)),
  };
}

function endpointSnapshot({ health }: Upstream, endpoint: Endpoint): EndpointSnapshot {
  const { origin, weight, labels, healthy, drained, ejectedUntilMs, ejections, share, since, active } = endpoint;
  return {
    url: origin,
    weight,
    labels,
    healthy,
    drained,
    ejectedUntilMs,
    ejections,
    share,
    sinceMs: since,
    nextCheckMs: health.nextCheckMs(endpoint),
    active,
    lastError: endpoint.lastError && { ...endpoint.lastError, endpoint: origin },
  };
}

/** What the processes of one gateway see, as if one saw it all: sums of what is counted, the worst of what is judged. */
export function mergeUpstreams(seen: readonly (readonly UpstreamSnapshot[])[]): UpstreamSnapshot[] {
  const merged = new Map<string, UpstreamSnapshot>();
  for (const one of seen.flat()) {
    const other = merged.get(one.name);
    merged.set(one.name, other ? mergeTwo(other, one) : one);
  }
  return [...merged.values()];
}

const worstFirst: readonly BreakerState[] = ['open', 'half-open', 'closed'];

function mergeTwo(a: UpstreamSnapshot, b: UpstreamSnapshot): UpstreamSnapshot {
  return {
    ...a,
    breaker: mergeBreakers(a.breaker, b.breaker),
    recent: addRecent(a.recent, b.recent),
    lastError: later(a.lastError, b.lastError),
    inFlight: a.inFlight + b.inFlight,
    maxInFlight: a.maxInFlight + b.maxInFlight,
    connections: {
      used: a.connections.used + b.connections.used,
      waiting: a.connections.waiting + b.connections.waiting,
      max: a.connections.max + b.connections.max,
    },
    retries: a.retries + b.retries,
    panic: a.panic || b.panic,
    discovery: a.discovery && {
      ...a.discovery,
      lastAnswerMs: latest(a.discovery.lastAnswerMs, b.discovery?.lastAnswerMs),
      lastError: later(a.discovery.lastError, b.discovery?.lastError),
    },
    endpoints: mergeEndpoints(a.endpoints, b.endpoints),
  };
}

function mergeBreakers(a: UpstreamSnapshot['breaker'], b: UpstreamSnapshot['breaker']): UpstreamSnapshot['breaker'] {
  const [worse, other] = worstFirst.indexOf(a.state) <= worstFirst.indexOf(b.state) ? [a, b] : [b, a];
  const same = worse.state === other.state;
  return {
    ...worse,
    restMs: same ? Math.max(a.restMs, b.restMs) : worse.restMs,
    sinceMs: same ? Math.min(a.sinceMs, b.sinceMs) : worse.sinceMs,
    processes: {
      closed: a.processes.closed + b.processes.closed,
      open: a.processes.open + b.processes.open,
      'half-open': a.processes['half-open'] + b.processes['half-open'],
    },
  };
}

function mergeEndpoints(a: readonly EndpointSnapshot[], b: readonly EndpointSnapshot[]): EndpointSnapshot[] {
  const merged = new Map<string, EndpointSnapshot>(a.map((endpoint) => [endpoint.url, endpoint]));
  for (const one of b) {
    const other = merged.get(one.url);
    merged.set(one.url, other ? mergeEndpoint(other, one) : one);
  }
  return [...merged.values()];
}

function mergeEndpoint(a: EndpointSnapshot, b: EndpointSnapshot): EndpointSnapshot {
  return {
    ...a,
    healthy: a.healthy && b.healthy,
    drained: a.drained || b.drained,
    ejectedUntilMs: latest(a.ejectedUntilMs, b.ejectedUntilMs),
    ejections: a.ejections + b.ejections,
    share: Math.min(a.share, b.share),
    sinceMs: Math.max(a.sinceMs, b.sinceMs),
    nextCheckMs: earliest(a.nextCheckMs, b.nextCheckMs),
    active: a.active + b.active,
    lastError: later(a.lastError, b.lastError),
  };
}

/** The one that happened last. */
export function later<T extends { readonly atMs: number }>(a: T | undefined, b: T | undefined): T | undefined {
  if (!a || !b) return a ?? b;
  return b.atMs > a.atMs ? b : a;
}

function latest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}
