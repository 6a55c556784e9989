import type { Upstream } from '#upstreams/upstream.ts';

/** What an engineer on call wants to know of one upstream at a glance. */
export function upstreamStatus(upstream: Upstream): object {
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
