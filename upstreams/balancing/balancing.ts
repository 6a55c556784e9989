import type { UpstreamCall } from '#upstreams/call.ts';
import type { Endpoint } from '#upstreams/endpoint.ts';
import { consistentHash } from './consistent-hash.ts';
import { leastConnections } from './least-connections.ts';
import { roundRobin } from './round-robin.ts';
import type { BalanceSettings } from './settings.ts';

/**
 * Chooses the endpoint of an attempt. Who may be chosen at all is decided before: see `upstreams/rotation.ts`. It runs for
 * every attempt, so it allocates nothing.
 */
export type Balancing = (candidates: readonly Endpoint[], call: UpstreamCall) => Endpoint;

export function balancingOf(settings: BalanceSettings): Balancing {
  switch (settings.by) {
    case 'round-robin':
      return roundRobin;
    case 'least-connections':
      return leastConnections;
    default:
      return consistentHash(settings.key);
  }
}
