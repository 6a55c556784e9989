import type { RequestContext } from '#core/context.ts';
import { breaksRule, lacksRole, lacksScope, unauthenticated } from './challenge.ts';

/**
 * Lets a request on to its route, or not: 401 for who has not shown who they are, 403 for who may not.
 * @throws {WeirError} `UNAUTHENTICATED`, `FORBIDDEN`
 */
export function authorize(context: RequestContext): void {
  context.identified = context.identity.credential !== undefined;
  // A WebSocket to GraphQL says who it is once it is open, since browsers cannot say it before.
  if (context.upgrading && context.route!.door === 'graphql') return;
  demand(context);
  context.identified = true;
}

/** The same for whoever has said it by now. @throws {WeirError} `UNAUTHENTICATED`, `FORBIDDEN` */
export function demand(context: RequestContext): void {
  const { route, identity } = context;
  const { requirement } = route!;
  const { mode, allScopes, anyScopes, roles, rule } = requirement;
  if (mode === 'none') return;
  const { scopes, credential } = identity;
  if (
    credential === undefined &&
    (mode === 'required' || allScopes.length > 0 || anyScopes.length > 0 || roles.length > 0)
  )
    throw unauthenticated(requirement);
  if (!allScopes.every((scope) => scopes.includes(scope))) throw lacksScope(requirement, allScopes);
  if (anyScopes.length > 0 && !anyScopes.some((scope) => scopes.includes(scope)))
    throw lacksScope(requirement, anyScopes);
  if (roles.length > 0 && !roles.some((role) => identity.roles.includes(role))) throw lacksRole();
  if (rule && !rule(context)) throw breaksRule();
}
