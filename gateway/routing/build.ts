import type { GraphQLSchema } from 'graphql';
import { marksCriticality } from '#schema/directives.ts';
import { errorPaths } from '#gateway/pages/error-pages.ts';
import { contractPath, docsPaths } from '#gateway/pages/contract-pages.ts';
import { Aggregate } from '#gateway/rest/aggregate/aggregate.ts';
import { AggregateRoute } from '#gateway/rest/aggregate/route.ts';
import { Fallback } from '#gateway/rest/fallback.ts';
import { RestRoute } from '#gateway/rest/route.ts';
import type { RouteSettings } from '#gateway/rest/settings.ts';
import { Transform } from '#gateway/rest/transform/transform.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { open, requirementOf } from '#policies/auth/requirement.ts';
import { compression } from '#policies/compression/compression.ts';
import { compressionFor } from '#policies/compression/settings.ts';
import { cors } from '#policies/cors/cors.ts';
import { corsFor } from '#policies/cors/settings.ts';
import { rulesOf } from '#upstreams/cache/settings.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { OwnRoute } from './own-route.ts';
import { PathPattern } from './pattern.ts';
import type { GatewayRoute, GatewayRoutes } from './routing.ts';
import { RouteTable, type Criteria } from './table.ts';

const reading = ['GET', 'HEAD'] as const;

/**
 * The one table of everything that is served: routes of modules and of the file, `/graphql` where modules bring a schema,
 * and the gateway's own pages.
 */
export function buildRoutes(
  config: GatewayConfig,
  upstreams: ReadonlyMap<string, Upstream>,
  schema: GraphQLSchema | undefined,
  originOf: (index: number) => string,
): GatewayRoutes {
  const routes: GatewayRoute[] = config.routes.map((settings, index) => {
    if (settings.aggregate)
      return aggregateRoute(settings, new Aggregate(settings.aggregate, upstreams), config, originOf(index));
    const upstream = upstreams.get(settings.upstream ?? '');
    if (!upstream)
      throw new Error(`Route ${settings.path} names the upstream ${settings.upstream}, which does not exist.`);
    return restRoute(settings, upstream, config, originOf(index));
  });
  if (schema) {
    const { path, auth, criticality } = config.graphql;
    routes.push(
      new OwnRoute({
        door: 'graphql',
        path,
        methods: [...reading, 'POST', 'OPTIONS'],
        maxBodyBytes: config.listen.maxBodyBytes,
        criticality: marksCriticality(schema) ? undefined : criticality,
        requirement: requirementOf(auth, config.auth.default),
      }),
    );
  }
  const page = {
    door: 'page',
    methods: reading,
    maxBodyBytes: 0,
    criticality: 'sheddable',
    requirement: open,
  } as const;
  for (const path of errorPaths) routes.push(new OwnRoute({ ...page, path }));
  const { docs } = config;
  const requirement = docs.auth ? requirementOf(docs.auth, config.auth.default) : open;
  const paths = docs.enabled ? [contractPath, ...(docs.page ? docsPaths : [])] : [];
  for (const path of paths) routes.push(new OwnRoute({ ...page, path, requirement }));
  return new RouteTable(routes);
}

function restRoute(settings: RouteSettings, upstream: Upstream, config: GatewayConfig, origin: string): RestRoute {
  const name = settings.name ?? `${settings.host ?? ''}${settings.path}`;
  const crossOrigin = corsFor(config.cors, settings.cors);
  const compressed = compressionFor(config.compression, settings.compression);
  return new RestRoute({
    name,
    path: settings.path,
    criteria: criteriaOf(settings),
    origin,
    replaces: settings.replaces,
    upstream,
    rewrite: settings.rewrite,
    timeoutMs: settings.timeout,
    maxBodyBytes: settings.maxBodyBytes ?? config.listen.maxBodyBytes,
    requirement: requirementOf(settings.auth, config.auth.default),
    cost: settings.cost,
    limits: settings.limits,
    criticality: settings.criticality,
    cors: crossOrigin && cors(crossOrigin),
    coding: compressed && compression(compressed),
    removed: config.headers.remove,
    documented: settings.documented,
    cache: rulesOf(config.upstreams[upstream.name]?.cache, settings.cache),
    transform: settings.headers || settings.query || settings.body ? new Transform(settings) : undefined,
    fallback: settings.fallback && new Fallback(settings.fallback, name, settings.methods, upstream),
  });
}

function aggregateRoute(
  settings: RouteSettings,
  aggregate: Aggregate,
  config: GatewayConfig,
  origin: string,
): AggregateRoute {
  const crossOrigin = corsFor(config.cors, settings.cors);
  const compressed = compressionFor(config.compression, settings.compression);
  return new AggregateRoute({
    name: settings.name ?? `${settings.host ?? ''}${settings.path}`,
    path: settings.path,
    criteria: criteriaOf({ ...settings, methods: settings.methods ?? ['GET'] }),
    origin,
    replaces: settings.replaces,
    timeoutMs: settings.timeout,
    requirement: requirementOf(settings.auth, config.auth.default),
    criticality: settings.criticality,
    cors: crossOrigin && cors(crossOrigin),
    coding: compressed && compression(compressed),
    cost: settings.cost,
    limits: settings.limits,
    aggregate,
  });
}

function criteriaOf({ path, methods, host, match }: RouteSettings): Criteria {
  return {
    pattern: new PathPattern(path),
    // RFC 9110 §9.3.2: whatever can be read can be asked for its head.
    methods: methods && new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods),
    host,
    headers: Object.entries(match?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const),
    query: Object.entries(match?.query ?? {}),
  };
}

/** What is wrong with the table, a sentence each. */
export function tieProblems({ ties }: GatewayRoutes): string[] {
  return ties.map(
    ({ a, b }) =>
      `No request can tell the routes '${a.name}' (${a.origin}) and '${b.name}' (${b.origin}) apart. ` +
      `Make one more specific, or let it say replaces: ${a.name}.`,
  );
}
