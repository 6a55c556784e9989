import type { RequestContext } from '#core/context.ts';
import type { Policy } from '#core/policy.ts';
import { overloaded, type LoadShedder } from './load-shedder.ts';

/** Refuses what is above `listen.maxInFlight`, whatever it is. */
export function overload(load: LoadShedder): Policy {
  return () => {
    if (load.inFlight > load.maxInFlight) throw overloaded(load.overflow());
  };
}

/**
 * Refuses what matters less than the rest while not all can be served. Where each operation has a criticality of its own,
 * as on `/graphql`, the request is not asked: its operations are.
 */
export function shed(load: LoadShedder): Policy {
  return (context: RequestContext) => {
    const criticality = context.route?.criticality;
    if (criticality === undefined || context.admitted) return;
    load.admit(criticality, context.inFlight);
    context.admitted = true;
  };
}
