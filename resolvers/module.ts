import { fileURLToPath } from 'node:url';
import type { Criticality } from '#core/criticality.ts';
import type { Policy } from '#core/policy.ts';
import type { Sdl } from '#schema/sdl.ts';
import type { Clients } from '#upstreams/client/client.ts';
import type { UpstreamDefinition } from '#upstreams/define.ts';
import type { UpstreamInput } from '#upstreams/settings.ts';
import type { Transform } from '#upstreams/transforms/transform.ts';
import type { ModuleContext } from './context.ts';
import type { ResolversOf } from './resolver-types.ts';

/** A REST path that a module brings, in the words of `routes` in gateway.yaml. */
export interface RouteInput {
  /** For logs, metrics and `replaces`; unique. */
  name?: string;
  /** In the path syntax of Express 5: `/v1/orders{/*rest}`. */
  path: string;
  /** All when left out. */
  methods?: string[];
  host?: string;
  match?: { headers?: Record<string, string>; query?: Record<string, string> };
  /** That answers; or `aggregate`. */
  upstream?: string;
  /** One answer from calls to several upstreams; see docs/aggregates.md. */
  aggregate?: { parts: Record<string, AggregatePartInput> };
  /** The path at the upstream, with parameters of `path`; the same path when left out. */
  rewrite?: string;
  timeout?: string;
  maxBodyBytes?: string;
  /** Which version of a group under `versions` it is. */
  version?: { of: string; is: string };
  /** That it is on its way out; see docs/versioning.md. */
  deprecated?: {
    since: string;
    sunset?: string;
    successor?: string;
    link?: string;
    brownouts?: { from: string; for: string; every?: string; status?: 410 | 503 }[];
  };
  /** The name of the transform between the version that the route serves and the upstream's. */
  transform?: string;
  /** The answer where the upstream fails; see docs/resilience.md. */
  fallback?: { status?: number; body?: unknown; headers?: Record<string, string> };
  replaces?: string;
  /** What is refused first when not all requests can be served: `sheddable`, then `default`, then `critical`. Default `default`. */
  criticality?: Criticality;
  /** Which pages of other origins may read its answers; what is left out is as `cors` of the file says. */
  cors?: {
    origins?: string[];
    credentials?: boolean;
    methods?: string[];
    allowHeaders?: string[];
    exposeHeaders?: string[];
    maxAge?: string;
  };
  /** What of it is held to the OpenAPI document of its upstream; see docs/contracts.md. */
  validate?: { request?: 'enforce' | 'log' | 'off'; response?: 'log' | 'off'; sample?: number };
  /** Stands in `/openapi.json`. Default true. */
  documented?: boolean;
  /** How its answers are compressed; what is left out is as `compression` of the file says. */
  compression?: 'off' | { minBytes?: string; types?: string[]; algorithms?: ('br' | 'zstd' | 'gzip')[] };
  /** Headers, query and JSON fields that are renamed, then removed, then set; see docs/transforms.md. */
  headers?: { request?: HeaderChanges; response?: HeaderChanges };
  query?: HeaderChanges;
  body?: { request?: FieldChanges; response?: FieldChanges };
}

interface AggregatePartInput {
  upstream: string;
  path: string;
  query?: Record<string, string>;
  from?: string;
  pick?: string[];
  rename?: Record<string, string>;
  into?: string | false;
  join?: { to: string; on: string; key?: string; as: string; many?: boolean };
  optional?: boolean;
  fallback?: unknown;
  timeout?: string;
}

interface HeaderChanges {
  rename?: Record<string, string>;
  remove?: string[];
  /** With templates, such as `{consumer.id}`. */
  set?: Record<string, string>;
}

interface FieldChanges {
  rename?: Record<string, string>;
  remove?: string[];
  set?: Record<string, unknown>;
}

/** A policy of a module, and its place among the stages of `gateway/pipeline.ts`. */
export type PolicyInput = { readonly run: Policy } & ({ readonly before: string } | { readonly after: string });

export type ModulePolicy = PolicyInput & { readonly name: string };

export interface ModuleDefinition<Upstreams, Loaders> {
  /** Unique among the modules: lower case, digits and dashes. */
  readonly name: string;
  /** The team that answers for it. */
  readonly owner: string;
  /** The services it calls, by the names of `@upstream` and of `upstreams` in gateway.yaml. */
  readonly upstreams?: Upstreams;
  /** What it adds to the schema. Root fields and fields of other modules' types are added with `extend type`. */
  readonly typeDefs?: Sdl | readonly Sdl[];
  /** How its objects are got by key. Runs once a request; clients are called inside of the loaders' functions. */
  readonly loaders?: (scope: { readonly clients: Clients<Upstreams> }) => Loaders;
  /** What answers its fields, by type and field: `load(…)`, or a function of parent, arguments and context. */
  readonly resolvers?: ResolversOf<ModuleContext<NoInfer<Upstreams>, NoInfer<Loaders>>, Loaders>;
  readonly routes?: readonly RouteInput[];
  /** Between versions of its upstreams' APIs; see docs/versioning.md. */
  readonly transforms?: readonly Transform[];
  /** By name. A policy refuses by throwing a `WeirError`. */
  readonly policies?: Readonly<Record<string, PolicyInput>>;
}

/** A module as the gateway reads it, its types erased. */
export interface Module {
  readonly name: string;
  readonly owner: string;
  /** The file that defines it, as far as an upstream or SDL tells. */
  readonly file?: string;
  readonly upstreams: Readonly<Record<string, Partial<UpstreamInput>>>;
  /** OpenAPI documents of the upstreams that have one, by upstream. */
  readonly openapi: Readonly<Record<string, URL>>;
  /** The names of the transforms through which its clients call, by upstream. */
  readonly clientTransforms: Readonly<Record<string, string>>;
  readonly documents: readonly Sdl[];
  readonly loaders: ((scope: { readonly clients: never }) => unknown) | undefined;
  readonly resolvers: Readonly<Record<string, object | undefined>>;
  readonly routes: readonly RouteInput[];
  readonly transforms: readonly Transform[];
  readonly policies: readonly ModulePolicy[];
}

/**
 * Defines what a team adds to the gateway. Wrong paths, parameters, loaders, keys, arguments and fields are compile errors.
 * What the compiler cannot see is checked when the gateway boots, all of it at once.
 * @throws {TypeError} for a key that no module has: a check that is written down but not made is worse than none
 */
export function defineModule<Upstreams extends Readonly<Record<string, UpstreamDefinition>>, Loaders>(
  definition: ModuleDefinition<Upstreams, Loaders>,
): Module {
  refuseUnknown(definition);
  const {
    name,
    owner,
    typeDefs = [],
    loaders,
    resolvers = {},
    routes = [],
    transforms = [],
    policies = {},
  } = definition;
  const upstreams = Object.entries<UpstreamDefinition>(definition.upstreams ?? {});
  const documents = Array.isArray(typeDefs) ? (typeDefs as readonly Sdl[]) : [typeDefs as Sdl];
  const file = documents[0]?.from ?? upstreams[0]?.[1].file;
  return {
    name,
    owner,
    ...(file && { file: fileURLToPath(file) }),
    upstreams: Object.fromEntries(upstreams.map(([key, { settings }]) => [key, settings])),
    openapi: Object.fromEntries(upstreams.flatMap(([key, { openapi }]) => (openapi ? [[key, openapi]] : []))),
    clientTransforms: Object.fromEntries(
      upstreams.flatMap(([key, { transform }]) => (transform === undefined ? [] : [[key, transform]])),
    ),
    documents,
    loaders,
    resolvers,
    routes,
    transforms,
    policies: Object.entries(policies).map(([key, policy]) => ({ name: key, ...policy })),
  };
}

const keys: ReadonlySet<string> = new Set<keyof ModuleDefinition<unknown, unknown>>([
  'name',
  'owner',
  'upstreams',
  'typeDefs',
  'loaders',
  'resolvers',
  'routes',
  'transforms',
  'policies',
]);

function refuseUnknown(definition: { readonly name: string }): void {
  for (const key of Object.keys(definition)) {
    if (keys.has(key)) continue;
    throw new TypeError(`module '${definition.name}': '${key}' is no key of a module`);
  }
}
