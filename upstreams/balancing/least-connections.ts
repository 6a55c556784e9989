import type { Endpoint } from '#upstreams/endpoint.ts';

/**
 * The endpoint with the fewest calls in flight for its weight; ties go round by weight, so that an upstream with little to
 * do is not left to its first endpoint. All are looked at: two at random are enough where counts are shared and stale, for
 * then everyone would run to the same one; these are the process's own, exact and at hand. An endpoint that answers fastest
 * because it fails gets the most calls, until it is ejected for it.
 */
export function leastConnections(candidates: readonly Endpoint[]): Endpoint {
  let least = Number.POSITIVE_INFINITY;
  for (const endpoint of candidates) least = Math.min(least, load(endpoint));
  let best: Endpoint | undefined;
  let total = 0;
  for (const endpoint of candidates) {
    if (load(endpoint) > least) continue;
    total += endpoint.effectiveWeight;
    endpoint.current += endpoint.effectiveWeight;
    if (!best || endpoint.current > best.current) best = endpoint;
  }
  best ??= candidates[0]!;
  best.current -= total;
  return best;
}

function load({ active, effectiveWeight }: Endpoint): number {
  return effectiveWeight > 0 ? active / effectiveWeight : Number.POSITIVE_INFINITY;
}
