import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Policy } from '#core/policy.ts';
import type { RestRoute } from '#gateway/rest/route.ts';
import type { OwnRoute } from './own-route.ts';
import type { RouteTable } from './table.ts';

export type GatewayRoute = RestRoute | OwnRoute;
export type GatewayRoutes = RouteTable<GatewayRoute>;

/**
 * Finds the request's route. An OPTIONS that no route takes is answered with the methods of the path (RFC 9110 §9.3.7).
 * `refusing` runs before a refusal, which is an answer like any other; it may answer itself.
 */
export function routing(routes: GatewayRoutes, refusing: (context: RequestContext) => void): Policy {
  return (context: RequestContext) => {
    try {
      context.route = routes.match(context);
    } catch (error) {
      refusing(context);
      if (context.reply.finished) return;
      if (context.method !== 'OPTIONS' || !(error instanceof WeirError) || error.code !== 'METHOD_NOT_ALLOWED')
        throw error;
      context.reply.head(204, { ...error.headers, 'content-length': '0' });
      context.reply.end();
    }
  };
}
