import { fileURLToPath } from 'node:url';
import type { Policy } from '#core/policy.ts';
import type { Sdl } from '#schema/sdl.ts';
import type { Clients } from '#upstreams/client/client.ts';
import type { UpstreamDefinition } from '#upstreams/define.ts';
import type { UpstreamInput } from '#upstreams/settings.ts';
import type { Transform } from '#upstreams/transforms/transform.ts';
import type { ModuleContext } from './context.ts';
import type { ResolversOf } from './resolver-types.ts';
import { isCodeRoute, routeMaker, type CodeRoute, type RouteCode, type RouteMaker } from './route.ts';
import type { RouteInput } from './route-input.ts';

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
  /** REST paths, in the words of gateway.yaml; `(route) => [route.get(…)]` for those that code answers. */
  readonly routes?:
    | readonly RouteInput[]
    | ((route: RouteMaker<ModuleContext<NoInfer<Upstreams>, NoInfer<Loaders>>>) => readonly (RouteInput | CodeRoute)[]);
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
  /** What answers the routes that name it. */
  readonly code: ReadonlyMap<string, RouteCode>;
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
  const code = new Map<string, RouteCode>();
  const listed = typeof routes === 'function' ? routes(routeMaker as RouteMaker<unknown> as never) : routes;
  const written = listed.map((route: RouteInput | CodeRoute) => {
    if (!isCodeRoute(route)) return route;
    const { input } = route;
    const key = `${name}/${input.name ?? input.path}`;
    if (code.has(key)) throw new TypeError(`module '${name}': two routes are called '${input.name ?? input.path}'`);
    code.set(key, route.code);
    return { ...input, code: key };
  });
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
    routes: written,
    code,
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
