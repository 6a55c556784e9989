import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Policy } from '#core/policy.ts';
import { otherReading } from '#policies/guard/path.ts';
import { refuse } from '#policies/guard/refuse.ts';
import type { ComposedRoute } from '#gateway/rest/composed-route.ts';
import type { RestRoute } from '#gateway/rest/route.ts';
import type { OwnRoute } from './own-route.ts';
import type { RouteTable } from './table.ts';

export type GatewayRoute = RestRoute | ComposedRoute | OwnRoute;
export type GatewayRoutes = RouteTable<GatewayRoute>;

/**
 * Finds the request's route, and refuses a path that a service might read as one of a narrower route, with what that one asks
 * of its callers. An OPTIONS that no route takes is answered with the methods of the path (RFC 9110 §9.3.7).
 * `refusing` runs before a refusal, which is an answer like any other; it may answer itself.
 */
export function routing(routes: GatewayRoutes, refusing: (context: RequestContext) => void): Policy {
  return (context: RequestContext) => {
    try {
      const route = routes.match(context);
      const other = otherReading(context.path);
      // An encoded slash is none (RFC 3986 §2.2), but who takes it for one must not get past what a narrower route asks.
      if (other !== undefined && routes.outranks(context, other, route)) {
        throw refuse('The path leads to a narrower route once its slashes are decoded and joined.');
      }
      context.route = route;
    } catch (error) {
      refusing(context);
      if (context.reply.finished) return;
      if (context.method !== 'OPTIONS' || !(error instanceof WeirError) || error.code !== 'METHOD_NOT_ALLOWED')
        throw error;
      context.reply.head(204, { ...error.headers });
      context.reply.end();
    }
  };
}
