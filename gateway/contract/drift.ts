import { RestRoute } from '#gateway/rest/route.ts';
import type { GatewayRoutes } from '#gateway/routing/routing.ts';
import { servedOperations } from './served.ts';

/** Methods that need no words of their own: HEAD is GET's, and OPTIONS the gateway's. */
const unsaid: ReadonlySet<string> = new Set(['HEAD', 'OPTIONS']);

/** What is served of services that have a document, and is not in it: a sentence each. */
export function contractDrift(routes: GatewayRoutes): string[] {
  return routes.routes.flatMap((route) => {
    if (!(route instanceof RestRoute) || !route.documented) return [];
    const from = route.document;
    if (!from) return [];
    const served = servedOperations(route, from.document, routes);
    const where = `The route ${route.path} (${route.origin})`;
    const fix = `Fix: describe it there, correct path and rewrite, or write documented: false.`;
    if (served.length === 0)
      return [`${where} serves nothing that the OpenAPI document of ${route.documentName} (${from.from}) has. ${fix}`];
    const described = new Set(served.map(({ method }) => method));
    const missing = [...(route.criteria.methods ?? [])].filter(
      (method) => !unsaid.has(method) && !described.has(method),
    );
    if (missing.length === 0) return [];
    return [
      `${where} takes ${missing.join(', ')}, which the OpenAPI document of ${route.documentName} (${from.from}) does not ` +
        `have there. ${fix}`,
    ];
  });
}
