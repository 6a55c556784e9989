import type { RequestContext } from '#core/context.ts';
import type { Policy } from '#core/policy.ts';
import type { Limits } from './limits.ts';

/** Bounds what one address may ask, whatever it asks for. */
export function perIp(limits: Limits): Policy {
  return (context) => limits.enter(context);
}

/** Charges a request its price; where each operation has a price of its own, its operations are charged instead. */
export function charge(limits: Limits): Policy {
  return (context) => {
    const cost = context.route?.cost;
    return cost === undefined ? undefined : limits.charge(context, cost);
  };
}

/** Settles what a request was charged, when its answer is over. What it called by then is what it cost. */
export function settle({ reservation, route, calls }: RequestContext): void {
  if (!reservation) return;
  reservation.settle(route?.flat === true && calls.total > 0 ? route.cost! : calls.spent);
}
