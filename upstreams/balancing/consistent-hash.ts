import type { Endpoint } from '#upstreams/endpoint.ts';
import type { Balancing } from './balancing.ts';
import { mix } from './hash.ts';
import { hashKey } from './hash-key.ts';
import { roundRobin } from './round-robin.ts';
import type { HashKeySettings } from './settings.ts';

/** No endpoint has more than this multiple of its fair part of the calls in flight, or a popular key would topple it. */
const bound = 1.25;

/**
 * So many calls in flight are no load that would have to be spread: where there is little to do, a fair part is one call,
 * and the second of two calls that a client makes at once would go astray.
 */
const ample = 8;

/**
 * Weighted rendezvous hashing with bounded loads (Thaler and Ravishankar 1998; Mirrokni, Thorup and Zadimoghaddam 2016).
 * Every endpoint draws a lot for the key, and the best one that has room wins: the lot of one does not depend on who else
 * is there, so when one leaves only its own keys move, and when one joins or gains weight, as in slow start, keys move
 * only to it. Nothing is built beforehand, and gateways that know the same endpoints choose alike.
 */
export function consistentHash(settings: HashKeySettings): Balancing {
  const keyOf = hashKey(settings);
  return (candidates, call) => {
    const key = keyOf(call);
    return key < 0 ? roundRobin(candidates) : endpointOf(key, candidates);
  };
}

export function endpointOf(key: number, candidates: readonly Endpoint[]): Endpoint {
  let weights = 0;
  let calls = 1;
  for (const endpoint of candidates) {
    weights += endpoint.effectiveWeight;
    calls += endpoint.active;
  }
  let best = candidates[0]!;
  let first = Number.POSITIVE_INFINITY;
  for (const endpoint of candidates) {
    const { effectiveWeight } = endpoint;
    if (endpoint.active >= Math.max(ample, Math.ceil((bound * calls * effectiveWeight) / weights))) continue;
    // An exponential variate at the rate of the weight: the least of several is each one's as often as its weight says.
    const lot = -Math.log((mix(key, endpoint.hash) + 0.5) / 2 ** 32) / effectiveWeight;
    if (lot < first) {
      best = endpoint;
      first = lot;
    }
  }
  return best;
}
