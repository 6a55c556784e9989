import { pathToFileURL } from 'node:url';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { FieldPath } from '#core/field-path.ts';
import { formatFile } from '#schema/problem.ts';
import { clientsOf, type BindClients, type CacheOf } from '#upstreams/client/client.ts';
import type { Key, Loader } from '#upstreams/loaders/loader.ts';
import { noParams, type Params } from '#upstreams/loaders/params.ts';
import { itemPath } from '#upstreams/loaders/item.ts';
import { RequestLoader } from '#upstreams/loaders/request-loader.ts';
import type { FieldCaching } from '#upstreams/purpose.ts';
import type { Transform } from '#upstreams/transforms/transform.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { ModuleContext } from './context.ts';
import { callingField } from './field-purpose.ts';
import type { Module } from './module.ts';
import { watchedRequest } from './watched-request.ts';

type AnyLoader = Loader<Key, Params, unknown>;

/** A module made ready to run: its clients bound to upstreams, its loaders known. */
export class ModuleRuntime {
  readonly module: Module;
  readonly clock: Clock;
  /** Its file, as people write it. */
  readonly where: string;
  /** Keys in one call of each loader; undefined where every key is a call. */
  readonly loaderSizes: ReadonlyMap<string, { readonly batch: number | undefined }>;
  /** Of each loader, the upstream that the fields which use it name. */
  readonly upstreamOfLoader = new Map<string, string>();
  readonly #bind: BindClients;

  /** @throws {Error} when an OpenAPI document cannot be read, a transform is not there, or a loader is none */
  constructor(module: Module, upstreams: readonly Upstream[], clock: Clock) {
    this.module = module;
    this.clock = clock;
    this.where = whereIs(module);
    this.#bind = clientsOf(upstreams, module.openapi, clientTransforms(module));
    const uncallable = Object.fromEntries(
      upstreams.map(({ name }) => [name, new Proxy({}, { get: defining(module, name) })]),
    );
    this.loaderSizes = new Map(
      Object.entries(this.loaders(uncallable)).map(([name, loader]) => [name, sizeOf(name, loader)]),
    );
  }

  clients(context: RequestContext, cache?: CacheOf): ReturnType<BindClients> {
    return this.#bind(context, cache);
  }

  /** The loaders as the module defines them, over these clients. */
  loaders(clients: unknown): Readonly<Record<string, AnyLoader>> {
    const define = this.module.loaders as
      | ((scope: { readonly clients: unknown }) => Readonly<Record<string, AnyLoader>>)
      | undefined;
    return define?.({ clients }) ?? {};
  }
}

/** The module's file as people write it, as far as it is known. */
export function whereIs({ file, name }: Module): string {
  return file === undefined ? `module '${name}'` : formatFile(pathToFileURL(file));
}

/** Its own only: what a team's code speaks is the team's to say. */
function clientTransforms({ clientTransforms: named, transforms }: Module): ReadonlyMap<string, Transform> {
  return new Map(
    Object.entries(named).map(([upstream, name]) => {
      const found = transforms.find((transform) => transform.name === name);
      if (found) return [upstream, found] as const;
      const known = transforms.map((transform) => transform.name).join(', ') || 'none';
      throw new Error(
        `upstream '${upstream}' names the transform '${name}', which the module does not have (it has ${known})`,
      );
    }),
  );
}

/** What of a client can be used while loaders are defined: where an object is read alone. */
function defining({ name: module, clientTransforms: transforms }: Module, upstream: string) {
  return (_: object, member: string | symbol): unknown => {
    if (member !== 'item')
      throw new Error("clients are called inside of a loader's function, not while loaders are defined");
    return (path: string): undefined => {
      itemPath(path);
      if (transforms[upstream] === undefined) return;
      const message = `a loader of module '${module}' has items at '${upstream}', of which its clients speak another version`;
      throw new Error(`${message}: what they load cannot be stored as what the service said`);
    };
  };
}

function sizeOf(name: string, loader: Partial<AnyLoader> | null | undefined): { readonly batch: number | undefined } {
  const size = loader?.maxBatchSize;
  const calls = loader?.concurrency;
  if (size === undefined || calls === undefined)
    throw new Error(`loader '${name}' is made by neither batch() nor each()`);
  if (!Number.isInteger(size) || size < 1)
    throw new Error(`loader '${name}' has maxBatchSize ${size}; it must be a whole number from 1`);
  if (Number.isNaN(calls) || calls < 1)
    throw new Error(`loader '${name}' has concurrency ${calls}; it must be 1 or more`);
  return { batch: loader?.bulk === true ? size : undefined };
}

/** One module in one request. What is not used is not made. */
export class ModuleScope implements ModuleContext<unknown, unknown> {
  readonly #request: RequestContext;
  readonly #runtime: ModuleRuntime;
  readonly #cache: CacheOf | undefined;
  readonly #working = new Map<string, RequestLoader>();
  #watched: RequestContext | undefined;
  #clients: ReturnType<BindClients> | undefined;
  #defined: Readonly<Record<string, AnyLoader>> | undefined;
  #bound: Readonly<Record<string, { readonly load: (key: Key, params?: Params) => Promise<unknown> }>> | undefined;

  constructor(runtime: ModuleRuntime, request: RequestContext, cache: CacheOf | undefined) {
    this.#runtime = runtime;
    this.#request = request;
    this.#cache = cache;
  }

  /** What the module reads of it is noted, where its answer may be kept for others. */
  get request(): RequestContext {
    return (this.#watched ??= watchedRequest(this.#request));
  }

  get signal(): AbortSignal {
    return this.#request.cancellation.signal;
  }

  get clients(): ReturnType<BindClients> {
    return (this.#clients ??= this.#runtime.clients(this.#request, this.#cache));
  }

  get loaders(): Readonly<Record<string, { readonly load: (key: Key, params?: Params) => Promise<unknown> }>> {
    return (this.#bound ??= Object.fromEntries(
      Object.keys(this.#definitions).map((name) => [
        name,
        {
          load: (key, params = noParams) => {
            const field = callingField();
            return this.load(name, key, params, field?.caching, field?.path, field?.personal);
          },
        },
      ]),
    ));
  }

  get #definitions(): Readonly<Record<string, AnyLoader>> {
    return (this.#defined ??= this.#runtime.loaders(this.clients));
  }

  load(
    name: string,
    key: Key,
    params: Params,
    caching: FieldCaching | undefined,
    path: FieldPath | undefined,
    personal?: boolean,
  ): Promise<unknown> {
    let loader = this.#working.get(name);
    if (!loader) {
      const { module, upstreamOfLoader, clock } = this.#runtime;
      const place = { module: module.name, name, upstream: upstreamOfLoader.get(name) };
      loader = new RequestLoader(this.#definitions[name]!, place, this.#request, watchedRequest, clock);
      this.#working.set(name, loader);
    }
    return loader.load(key, params, caching, path, personal);
  }

  forget(): void {
    for (const loader of this.#working.values()) loader.clear();
  }
}
