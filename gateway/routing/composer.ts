import type { GraphQLSchema } from 'graphql';
import type { Module } from '#resolvers/module.ts';
import type { LoaderOfModule, ModuleRuntimes } from '#resolvers/module-runtimes.ts';
import type { RouteCode } from '#resolvers/route.ts';
import { rulesOf } from '#upstreams/cache/settings.ts';
import type { CacheOf } from '#upstreams/client/client.ts';
import type { JsonMap } from '#upstreams/service-document.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import type { UpstreamDocument } from '#gateway/contract/documents.ts';
import { jsonResponse, ownDocument } from '#gateway/contract/own-document.ts';
import type { TrustedDocuments } from '#gateway/graphql/documents/trusted.ts';
import { Aggregate } from '#gateway/rest/aggregate/aggregate.ts';
import type { AggregateSettings } from '#gateway/rest/aggregate/settings.ts';
import { CodeComposition } from '#gateway/rest/code-composition.ts';
import type { Composition } from '#gateway/rest/composed-route.ts';
import { compileOperation, operationMethods } from '#gateway/rest/operation/compile.ts';
import type { RouteSettings } from '#gateway/rest/settings.ts';

/** What compositions are made of. */
interface Ingredients {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly modules: readonly Module[];
  readonly runtimes: ModuleRuntimes;
  readonly trusted: TrustedDocuments;
  readonly schema: GraphQLSchema | undefined;
}

/** Makes what answers the routes that are answered here: aggregates, code of modules, GraphQL operations. */
export class Composer {
  readonly #config: GatewayConfig;
  readonly #ingredients: Ingredients;
  readonly #problems: string[];

  /** @param problems gets a sentence for everything that does not fit */
  constructor(config: GatewayConfig, ingredients: Ingredients, problems: string[]) {
    this.#config = config;
    this.#ingredients = ingredients;
    this.#problems = problems;
  }

  /** @returns undefined where it does not fit */
  compose(settings: RouteSettings, origin: string): Composition | undefined {
    const { path, aggregate, operation, code } = settings;
    const where = `The route ${path} (${origin})`;
    if (aggregate) return this.#aggregate(aggregate, settings, where, origin);
    if (code !== undefined) return this.#code(code, settings, where, origin);
    const { schema, trusted } = this.#ingredients;
    const made = compileOperation(operation!, { path, methods: settings.methods, origin }, { schema, trusted });
    if (!Array.isArray(made)) return made as Composition;
    this.#problems.push(...made.map((problem) => `${where} ${problem}`));
    return undefined;
  }

  methodsOf({ methods, operation }: RouteSettings): readonly string[] {
    return operation ? operationMethods(operation, methods, this.#ingredients) : (methods ?? ['GET']);
  }

  #aggregate(
    aggregate: AggregateSettings,
    settings: RouteSettings,
    where: string,
    origin: string,
  ): Composition | undefined {
    const { upstreams, runtimes } = this.#ingredients;
    const { schema } = aggregate;
    const wanted = Object.values(aggregate.parts).flatMap(({ loader }) => loader ?? []);
    if (!this.#loaders(wanted, where)) return undefined;
    const describe = (stated: JsonMap) =>
      ownDocument(settings.path, origin, [
        {
          method: 'GET',
          operation: {
            summary: 'Made of several services',
            responses: { 200: jsonResponse('The parts, merged.', stated) },
          },
        },
      ]);
    const document = schema && this.#described(() => describe(schema), where);
    const sources = { upstreams, loaders: (name: string) => runtimes.loader(name), cache: this.#cacheOf(settings) };
    return new Aggregate(aggregate, sources, document);
  }

  #code(key: string, settings: RouteSettings, where: string, origin: string): Composition | undefined {
    const { upstreams, modules, runtimes } = this.#ingredients;
    const name = key.slice(0, key.indexOf('/'));
    const code = modules.find((module) => module.name === name)?.code.get(key);
    const runtime = runtimes.get(name);
    if (!code || !runtime) {
      this.#problems.push(
        `${where} names the code '${key}', which no module has. Fix: remove it; a module writes it, by route.get(…).`,
      );
      return undefined;
    }
    const loaders = this.#loaders(code.uses, where);
    if (!loaders) return undefined;
    const document = this.#described(() => documentOf(code, settings.path, origin), where);
    return new CodeComposition(code, runtime, { upstreams, loaders, cache: this.#cacheOf(settings), document });
  }

  #loaders(names: readonly string[], where: string): ReadonlyMap<string, LoaderOfModule> | undefined {
    const { runtimes } = this.#ingredients;
    const found = new Map<string, LoaderOfModule>();
    for (const name of names) {
      const loader = runtimes.loader(name);
      if (loader) found.set(name, loader);
      else
        this.#problems.push(
          `${where} uses the loader '${name}', which no module has. Fix: correct it (there is ${runtimes.loaders.join(', ') || 'none'}).`,
        );
    }
    return names.every((name) => found.has(name)) ? found : undefined;
  }

  #described(describe: () => UpstreamDocument | undefined, where: string): UpstreamDocument | undefined {
    try {
      return describe();
    } catch (error) {
      this.#problems.push(`${where} is not described in OpenAPI: ${(error as Error).message}. Fix: correct it.`);
      return undefined;
    }
  }

  #cacheOf({ cache }: RouteSettings): CacheOf {
    if (cache === undefined) return () => undefined;
    const rules = new Map(
      [...this.#ingredients.upstreams.keys()].map((name) => [
        name,
        rulesOf(this.#config.upstreams[name]?.cache, cache),
      ]),
    );
    return (upstream) => rules.get(upstream);
  }
}

/** What a team says of its route; undefined where it says nothing. */
function documentOf({ openapi }: RouteCode, path: string, origin: string): UpstreamDocument | undefined {
  const { summary, description, parameters, schema, responses } = openapi;
  if (Object.keys(openapi).length === 0) return undefined;
  return ownDocument(path, origin, [
    {
      method: 'GET',
      operation: {
        ...(summary !== undefined && { summary }),
        ...(description !== undefined && { description }),
        ...(parameters && { parameters: parameters as readonly JsonMap[] }),
        responses: {
          200: schema ? jsonResponse('The answer.', schema) : { description: 'The answer.' },
          ...responses,
        },
      },
    },
  ]);
}
