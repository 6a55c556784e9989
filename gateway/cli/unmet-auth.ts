import type { GraphQLSchema } from 'graphql';
import type { CredentialKind } from '#core/identity.ts';
import type { Requirement } from '#core/route.ts';
import type { FieldDemand } from '#policies/auth/field-guard.ts';
import { requirementOf } from '#policies/auth/requirement.ts';
import { readDemands } from '#resolvers/guard-fields.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import type { LoadedConfig } from '#gateway/config/load.ts';

/**
 * What is asked of callers that no caller can have, and what is set up for them that nobody asks for.
 * @param schema where modules bring one: its fields may ask too
 */
export function unmetAuth({ config, sources }: LoadedConfig, schema: GraphQLSchema | undefined): string[] {
  const { auth, listen, graphql, routes } = config;
  const kinds = kindsOf(config);
  const warnings: string[] = [];
  if (auth.mtls && listen.tls?.clientCa === undefined)
    warnings.push(
      `auth.mtls (${sources.of(['auth', 'mtls'])}) is set, but no client is asked for a certificate: write ` +
        'listen.tls.clientCa too, or leave auth.mtls out.',
    );
  const doors = [
    ...routes.map((route, index) => ({
      what: `The route ${route.path} (${sources.of(['routes', index])})`,
      asks: requirementOf(route.auth, auth.default),
    })),
    { what: graphql.path, asks: requirementOf(graphql.auth, auth.default) },
  ];
  for (const { what, asks } of doors) {
    const demand = demandOf(asks);
    if (demand === undefined || [...kinds].some((kind) => !asks.accept || asks.accept.has(kind))) continue;
    const only = asks.accept ? ` of the kinds it accepts (${[...asks.accept].join(', ')})` : '';
    warnings.push(
      `${what} asks for ${demand}, but nothing is configured that could check a credential${only}, so it refuses ` +
        `everybody. Write ${ways}.`,
    );
  }
  const fields = schema ? guardedFields(schema, kinds) : [];
  if (fields.length > 0) {
    const [first, ...others] = fields;
    const ask = others.length > 0 ? ` and ${others.length} more of the schema ask` : ' of the schema asks';
    warnings.push(
      `${first}${ask} for a credential (@authenticated, @requiresScopes), but nothing is configured that could check it, ` +
        `so nobody can read ${others.length > 0 ? 'them' : 'it'}. Write ${ways}.`,
    );
  }
  return warnings;
}

/** How credentials come to be checked. */
const ways = 'auth.jwt, auth.introspection, keys of consumers, redis.url or auth.mtls';

/** Fields that only somebody can read whom nothing could know. A rule may hold for nobody in particular. */
function guardedFields(schema: GraphQLSchema, kinds: ReadonlySet<CredentialKind>): string[] {
  const { demands } = readDemands(schema);
  const unmet = (demand: FieldDemand): boolean => {
    if (demand.kind === 'rule') return false;
    const counts = demand.kind === 'authenticated' ? demand.accept : undefined;
    return counts ? !counts.some((kind) => kinds.has(kind)) : kinds.size === 0;
  };
  return [...demands].flatMap(([path, asked]) => (asked.some(unmet) ? [path] : []));
}

/** Kinds of credential that this configuration can check. */
function kindsOf({ auth, consumers, listen, redis }: GatewayConfig): ReadonlySet<CredentialKind> {
  const kinds = new Set<CredentialKind>();
  if (auth.jwt.length > 0) kinds.add('jwt');
  if (auth.introspection) kinds.add('introspection');
  if (auth.mtls && listen.tls?.clientCa !== undefined) kinds.add('mtls');
  if (redis.url !== '' || consumers.some(({ keys }) => keys.length > 0)) kinds.add('apiKey');
  return kinds;
}

/** What of it only somebody who is known can have. A rule may hold for nobody in particular. */
function demandOf({ mode, allScopes, anyScopes, roles }: Requirement): string | undefined {
  if (mode === 'none') return undefined;
  if (allScopes.length > 0 || anyScopes.length > 0) return 'scopes';
  if (roles.length > 0) return 'roles';
  return mode === 'required' ? 'a credential' : undefined;
}
