import type { RequestContext } from '#core/context.ts';
import type { Standing } from '#core/reservation.ts';
import { incomingOf, standingsOf, type ExecutionContext } from './execution-context.ts';
import type { FieldResolver } from './fields.ts';

/** What a consumer has left. A promise only where a store is asked. */
export type Look = (context: RequestContext) => readonly Standing[] | Promise<readonly Standing[]>;

/** Fields of base.graphql, which the gateway answers itself: as `Type.field`. */
export const ownFields: ReadonlySet<string> = new Set(['Query.rateLimit']);

/** What runs behind them, by type. */
export function ownResolvers(): Record<string, Record<string, FieldResolver>> {
  return { Query: { rateLimit } };
}

/** The facts of `GET /limits`. */
function rateLimit(_parent: unknown, _args: unknown, context: ExecutionContext): unknown {
  const { consumer, tier } = incomingOf(context).identity;
  const standings = standingsOf(context);
  const told = (limits: readonly Standing[]) => ({
    consumer,
    tier,
    limits: limits.map(({ unit, scale = 1, ...standing }) => ({ ...standing, unit: unit.toUpperCase(), scale })),
  });
  return standings instanceof Promise ? standings.then(told) : told(standings);
}
