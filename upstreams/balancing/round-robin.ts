import type { Endpoint } from '#upstreams/endpoint.ts';

/** nginx's smooth weighted round-robin: interleaves instead of sending an endpoint its whole share in one run. */
export function roundRobin(candidates: readonly Endpoint[]): Endpoint {
  let best = candidates[0]!;
  let total = 0;
  for (const endpoint of candidates) {
    total += endpoint.effectiveWeight;
    endpoint.current += endpoint.effectiveWeight;
    if (endpoint.current > best.current) best = endpoint;
  }
  best.current -= total;
  return best;
}
