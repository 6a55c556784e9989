import type { BreakerState } from '#upstreams/breaker.ts';
import type { Upstream } from '#upstreams/upstream.ts';

export interface EndpointStatus {
  readonly url: string;
  readonly weight: number;
  readonly healthy: boolean;
  readonly active: number;
  readonly lastError: { readonly code: string; readonly at: string } | undefined;
}

/** What an engineer on call wants to know of one upstream at a glance. */
export interface UpstreamStatus {
  readonly name: string;
  readonly owner: string | undefined;
  readonly breaker: { readonly state: BreakerState; readonly restMs: number };
  readonly inFlight: number;
  readonly maxInFlight: number;
  readonly connections: { readonly used: number; readonly waiting: number; readonly max: number };
  readonly retries: number;
  readonly endpoints: readonly EndpointStatus[];
}

export function upstreamStatus(upstream: Upstream): UpstreamStatus {
  return {
    name: upstream.name,
    owner: upstream.owner,
    breaker: { state: upstream.breaker.state, restMs: Math.ceil(upstream.breaker.restMs) },
    inFlight: upstream.inFlight,
    maxInFlight: upstream.settings.maxInFlight,
    connections: { used: upstream.slots.used, waiting: upstream.slots.waiting, max: upstream.settings.maxConnections },
    retries: upstream.retries,
    endpoints: upstream.endpoints.map(({ origin, weight, healthy, active, lastError }) => ({
      url: origin,
      weight,
      healthy,
      active,
      lastError: lastError && { code: lastError.code, at: new Date(lastError.atMs).toISOString() },
    })),
  };
}
