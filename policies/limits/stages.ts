import type { RequestContext } from '#core/context.ts';
import { costOf } from '#core/reservation.ts';
import type { Policy } from '#core/policy.ts';
import type { Limits } from './limits.ts';

/** Bounds what one address may ask, whatever it asks for. */
export function perIp(limits: Limits): Policy {
  return (context) => limits.enter(context);
}

/** Charges a request its price; where each operation has a price of its own, its operations are charged instead. */
export function charge(limits: Limits): Policy {
  return (context) => {
    const { route } = context;
    if (route?.cost !== undefined) return limits.charge(context, route.cost);
    return route?.door === 'page' ? limits.tell(context) : undefined;
  };
}

/** Settles what a request was charged, when its answer is over. What it called by then is what it cost. */
export function settle(context: RequestContext): void {
  const { reservation, route, calls } = context;
  if (!reservation) return;
  reservation.settle(route?.flat === true && calls.total > calls.unsent ? route.cost! : costOf(context));
}
