import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Policy } from '#core/policy.ts';

/** How many requests are in flight in this process; the host counts, the policy refuses. */
export interface Load {
  inFlight: number;
}

/** Refuses requests above `listen.maxInFlight`, before anything is spent on them. */
export function overload(load: Readonly<Load>, maxInFlight: number): Policy {
  return (context: RequestContext) => {
    if (load.inFlight > maxInFlight) {
      context.reply.headers.connection = 'close';
      throw new WeirError('OVERLOADED', { retryAfterS: 1 });
    }
  };
}
