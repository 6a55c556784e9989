import type { GraphQLSchema } from 'graphql';
import { marksCriticality } from '#schema/directives.ts';
import { errorPaths } from '#gateway/pages/error-pages.ts';
import type { RouteContracts } from '#gateway/contract/route-contracts.ts';
import { contractPath, docsPaths } from '#gateway/pages/contract-pages.ts';
import { clientDocument } from '#gateway/contract/client-document.ts';
import { documentName, type UpstreamDocuments } from '#gateway/contract/documents.ts';
import { ComposedRoute } from '#gateway/rest/composed-route.ts';
import { Fallback } from '#gateway/rest/fallback.ts';
import { limitsPath } from '#gateway/rest/limits-answer.ts';
import { Mirror } from '#gateway/rest/mirror.ts';
import { RestRoute } from '#gateway/rest/route.ts';
import { Split, type Target } from '#gateway/rest/split.ts';
import type { RouteSettings } from '#gateway/rest/settings.ts';
import { Transform } from '#gateway/rest/transform/transform.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { open, requirementOf } from '#policies/auth/requirement.ts';
import { compression } from '#policies/compression/compression.ts';
import { compressionFor } from '#policies/compression/settings.ts';
import { cors } from '#policies/cors/cors.ts';
import { corsFor } from '#policies/cors/settings.ts';
import { rulesOf } from '#upstreams/cache/settings.ts';
import { RouteRetirement } from '#policies/retirement/retirement.ts';
import type { Transform as VersionTransform } from '#upstreams/transforms/transform.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Composer } from './composer.ts';
import { OwnRoute } from './own-route.ts';
import { namesVersion, withoutVersion } from './path-versions.ts';
import { PathPattern } from './pattern.ts';
import type { GatewayRoute, GatewayRoutes } from './routing.ts';
import { RouteTable, type Criteria } from './table.ts';
import { VersionGroup } from './version-group.ts';

const reading = ['GET', 'HEAD'] as const;

/**
 * The one table of everything that is served: routes of modules and of the file, `/graphql` where modules bring a schema,
 * and the gateway's own pages.
 */
export function buildRoutes(
  config: GatewayConfig,
  parts: RouteParts,
  schema: GraphQLSchema | undefined,
  originOf: (index: number) => string,
): GatewayRoutes {
  const groups = new Map(
    Object.entries(config.versions).map(([name, settings]) => [name, VersionGroup.of(name, settings)]),
  );
  const routes: GatewayRoute[] = config.routes.flatMap((settings, index) => {
    const own: Parts = {
      ...parts,
      config,
      group: groups.get(settings.version?.of ?? ''),
      origin: originOf(index),
    };
    const composed = settings.aggregate ?? settings.operation ?? settings.code;
    const build = composed === undefined ? restRoute : composedRoute;
    const route = build(settings, own);
    if (!route) return [];
    const { version } = settings;
    if (!version || own.group?.vary !== undefined || own.group?.default !== version.is) return [route];
    // Who names no version by the path gets the same as who names the default.
    const { path, rewrite = path } = settings;
    const unversioned = { ...settings, path: withoutVersion(path, version.is), rewrite };
    return [route, build(unversioned, { ...own, group: undefined }) ?? []].flat();
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
  const asked = {
    ...page,
    door: 'limits',
    path: limitsPath,
    requirement: requirementOf(undefined, config.auth.default),
  } as const;
  routes.push(new OwnRoute(asked));
  return new RouteTable(routes);
}

/** What routes are made of besides what is written of them. */
export interface RouteParts {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly transforms: ReadonlyMap<string, VersionTransform>;
  readonly documents: UpstreamDocuments;
  readonly contracts: RouteContracts;
  readonly composer: Composer;
}

interface Parts extends RouteParts {
  readonly config: GatewayConfig;
  /** Of versions, that the route is one of. */
  readonly group: VersionGroup | undefined;
  readonly origin: string;
}

function restRoute(
  settings: RouteSettings,
  { config, upstreams, transforms, documents, contracts, group, origin }: Parts,
): RestRoute {
  const name = settings.name ?? `${settings.host ?? ''}${settings.path}`;
  const crossOrigin = corsFor(config.cors, settings.cors);
  const compressed = compressionFor(config.compression, settings.compression);
  const { path, split, transform: usual, version } = settings;
  const shares = split ?? [{ upstream: settings.upstream!, weight: 1, labels: undefined, transform: undefined }];
  const targets = shares.map(({ upstream: wanted, labels, transform = usual, weight }) => {
    const upstream = upstreams.get(wanted);
    if (!upstream) throw new Error(`Route ${path} names the upstream ${wanted}, which does not exist.`);
    return {
      upstream,
      labels,
      weight,
      transform: transform === undefined ? undefined : transforms.get(transform),
      cache: rulesOf(config.upstreams[wanted]?.cache, settings.cache),
      fallback: settings.fallback && new Fallback(settings.fallback, name, settings.methods, upstream),
    };
  });
  const [{ upstream: first, transform: firstTransform }] = targets as readonly Target[] as readonly [
    Target,
    ...Target[],
  ];
  const described = documentName(first.name, firstTransform);
  const own = group && version && { group, name: version.is };
  const known = documents.get(described);
  const document = known && clientDocument(known, settings, own);
  const copied = settings.mirror && upstreams.get(settings.mirror.upstream);
  return new RestRoute({
    name,
    path,
    criteria: { ...criteriaOf(settings), version: own },
    origin,
    replaces: settings.replaces,
    targets: targets as readonly Target[] as readonly [Target, ...Target[]],
    split: split && new Split(targets, settings.sticky, name),
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
    documentName: described,
    document,
    version: version?.is,
    mirror: copied && new Mirror(settings.mirror!, copied, name),
    transform: settings.headers || settings.query || settings.body ? new Transform(settings) : undefined,
    contract: contracts.of(settings, document, name, origin),
    retirement: settings.deprecated && new RouteRetirement(settings.deprecated),
    usedAs: usedAs(settings, group),
  });
}

/** @returns undefined where what answers it does not fit, which the composer tells */
function composedRoute(
  settings: RouteSettings,
  { config, contracts, composer, group, origin }: Parts,
): ComposedRoute | undefined {
  const { version } = settings;
  const composition = composer.compose(settings, origin);
  if (!composition) return undefined;
  const name = settings.name ?? `${settings.host ?? ''}${settings.path}`;
  const crossOrigin = corsFor(config.cors, settings.cors);
  const compressed = compressionFor(config.compression, settings.compression);
  const methods = composer.methodsOf(settings);
  const own = group && version && { group, name: version.is };
  const document = composition.document && clientDocument(composition.document, {}, own);
  return new ComposedRoute({
    name,
    path: settings.path,
    criteria: {
      ...criteriaOf({ ...settings, methods: [...methods] }),
      version: own,
    },
    origin,
    replaces: settings.replaces,
    timeoutMs: settings.timeout,
    requirement: requirementOf(settings.auth, config.auth.default),
    criticality: settings.criticality,
    cors: crossOrigin && cors(crossOrigin),
    coding: compressed && compression(compressed),
    // What is only read has no content.
    maxBodyBytes: methods.every((verb) => verb === 'GET' || verb === 'HEAD')
      ? 0
      : (settings.maxBodyBytes ?? config.listen.maxBodyBytes),
    documented: settings.documented,
    version: version?.is,
    cost: settings.cost,
    limits: settings.limits,
    composition,
    document,
    contract: contracts.of(settings, document, name, origin),
    retirement: settings.deprecated && new RouteRetirement(settings.deprecated),
    usedAs: usedAs(settings, group),
  });
}

/** Of what is deprecated or a version: its path as written, with what else tells it from another version. */
function usedAs({ path, host = '', version, deprecated }: RouteSettings, group: VersionGroup | undefined) {
  if (!version && !deprecated) return undefined;
  return `${host}${path}${version && group?.vary !== undefined ? ` (${version.is})` : ''}`;
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

/** What routes name that nothing defines, and what can serve nobody, a sentence each. */
export function routeProblems(
  { routes, versions, upstreams }: GatewayConfig,
  transforms: ReadonlyMap<string, VersionTransform>,
  originOf: (index: number) => string,
): string[] {
  return routes.flatMap(({ path, transform, split = [], version }, index) => {
    const route = `The route ${path} (${originOf(index)})`;
    const problems = [transform, ...split.map((share) => share.transform)].flatMap((name) =>
      name === undefined || transforms.has(name)
        ? []
        : [
            `${route} names the transform '${name}', which no module defines. ` +
              `Fix: correct the name (there is ${listed(transforms.keys())}), or add it to the transforms of a module.`,
          ],
    );
    for (const { upstream, labels = {} } of split) {
      const { endpoints } = upstreams[upstream] ?? {};
      const wanted = Object.entries(labels);
      if (!endpoints || endpoints.some((endpoint) => wanted.every(([name, value]) => endpoint.labels[name] === value)))
        continue;
      problems.push(
        `${route} sends a share to endpoints of '${upstream}' with ${JSON.stringify(labels)}, which none of them has. Fix: label one.`,
      );
    }
    if (!version) return problems;
    const group = versions[version.of];
    if (!group)
      problems.push(
        `${route} is a version of '${version.of}', which nothing defines. Fix: write it under versions (there is ${listed(Object.keys(versions))}).`,
      );
    else if (!group.known.includes(version.is))
      problems.push(
        `${route} is version ${version.is} of '${version.of}', which knows ${listed(group.known)}. Fix: add it to known.`,
      );
    else if (group.by === 'path' && !namesVersion(path, version.is))
      problems.push(
        `${route} is version ${version.is} of '${version.of}' by path, but has no segment /${version.is}. Fix: write it into the path.`,
      );
    return problems;
  });
}

function listed(names: Iterable<string>): string {
  return [...names].join(', ') || 'none';
}

/** What is wrong with the table, a sentence each. */
export function tieProblems({ ties }: GatewayRoutes): string[] {
  return ties.map(
    ({ a, b }) =>
      `No request can tell the routes '${a.name}' (${a.origin}) and '${b.name}' (${b.origin}) apart. ` +
      `Make one more specific, or let it say replaces: ${a.name}.`,
  );
}
