import type { RequestContext } from '#core/context.ts';
import type { Headers } from '#core/headers.ts';
import type { CacheRules } from '#upstreams/cache/settings.ts';
import { newCall } from '#upstreams/call.ts';
import { canonicalAccept, canonicalAcceptEncoding, isNegotiating } from '#upstreams/canonical.ts';
import type { UpstreamDefinition } from '#upstreams/define.ts';
import { OpenapiDocument, type Method } from '#upstreams/openapi.ts';
import { ItemAt, itemPath, type Item, type Untyped } from '#upstreams/loaders/item.ts';
import { currentPurpose } from '#upstreams/purpose.ts';
import type { Transform } from '#upstreams/transforms/transform.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { Answer } from './answer.ts';
import { EventFeed, type UpstreamEvent } from './event-feed.ts';
import type {
  AnyOptions,
  EventPaths,
  OperationOf,
  PathsWith,
  ReadArguments,
  ResultOf,
  WriteArguments,
} from './paths.ts';
import { Target } from './target.ts';

/**
 * Calls one upstream for one request, through all its layers. Paths, parameters, bodies and results are those of its
 * OpenAPI document. A call ends when the request does.
 * @throws {WeirError} `UPSTREAM_ERROR` with `upstreamStatus` for any status but 2xx; `UPSTREAM_BAD_RESPONSE` for what is no
 *   JSON; `UPSTREAM_RESPONSE_TOO_LARGE`; `BAD_USER_INPUT` for a path parameter that no path can carry; and what the layers throw
 */
export interface UpstreamClient<Paths = unknown> {
  readonly get: Read<Paths>;
  /** A `get` to which 404 is an answer: null. */
  readonly find: Read<Paths, null>;
  readonly post: Write<Paths, 'post'>;
  readonly put: Write<Paths, 'put'>;
  readonly patch: Write<Paths, 'patch'>;
  readonly delete: Write<Paths, 'delete'>;
  /** Where one object of a kind is read, by its key in the place of the path's one parameter: for a `batch()` loader. */
  readonly item: <Path extends PathsWith<Paths, 'get'> & `${string}{${string}}${string}`>(
    path: Path,
  ) => Item<ItemResult<ResultOf<OperationOf<Paths, Path, 'get'>>>>;
  /** A stream of server-sent events, opened when first read and closed when reading ends. */
  readonly events: <Path extends EventPaths<Paths>>(
    path: Path,
    ...options: ReadArguments<OperationOf<Paths, Path, 'get'>>
  ) => AsyncIterableIterator<UpstreamEvent, undefined, undefined>;
}

type ItemResult<Result> = unknown extends Result ? Untyped : NonNullable<Result>;

type Read<Paths, Missing = never> = <Path extends PathsWith<Paths, 'get'>>(
  path: Path,
  ...options: ReadArguments<OperationOf<Paths, Path, 'get'>>
) => Promise<ResultOf<OperationOf<Paths, Path, 'get'>> | Missing>;

type Write<Paths, M extends Method> = <Path extends PathsWith<Paths, M>>(
  path: Path,
  ...options: WriteArguments<OperationOf<Paths, Path, M>>
) => Promise<ResultOf<OperationOf<Paths, Path, M>>>;

/** Clients by the names that a module gives its upstreams. */
export type Clients<Upstreams> = {
  readonly [Name in keyof Upstreams]: Upstreams[Name] extends UpstreamDefinition<infer Paths>
    ? UpstreamClient<Paths>
    : never;
};

/** What a client has that is not of one request: the upstream, its document, and the paths that have been called. */
class Api {
  readonly upstream: Upstream;
  /** Through which it is called; `document` is of the version that the client speaks. */
  readonly transform: Transform | undefined;
  readonly #document: OpenapiDocument;
  readonly #targets = new Map<string, Target>();

  constructor(upstream: Upstream, document: OpenapiDocument, transform: Transform | undefined) {
    this.upstream = upstream;
    this.transform = transform;
    this.#document = document;
  }

  /** Bounded by the paths that modules' code has written down. */
  target(method: Method, path: string): Target {
    const key = `${method} ${path}`;
    let target = this.#targets.get(key);
    if (!target) {
      target = new Target(this.upstream.name, path, this.#document.separators(method, path));
      this.#targets.set(key, target);
    }
    return target;
  }
}

class Client {
  readonly #api: Api;
  readonly #context: RequestContext;
  readonly #cache: CacheRules | false | undefined;

  constructor(api: Api, context: RequestContext, cache: CacheRules | false | undefined) {
    this.#api = api;
    this.#context = context;
    this.#cache = cache;
  }

  get(path: string, options?: AnyOptions): Promise<unknown> {
    return this.#json('get', path, options);
  }

  find(path: string, options?: AnyOptions): Promise<unknown> {
    return this.#json('get', path, options, null);
  }

  post(path: string, options?: AnyOptions): Promise<unknown> {
    return this.#json('post', path, options);
  }

  put(path: string, options?: AnyOptions): Promise<unknown> {
    return this.#json('put', path, options);
  }

  patch(path: string, options?: AnyOptions): Promise<unknown> {
    return this.#json('patch', path, options);
  }

  delete(path: string, options?: AnyOptions): Promise<unknown> {
    return this.#json('delete', path, options);
  }

  events(path: string, options: AnyOptions = {}): AsyncIterableIterator<UpstreamEvent, undefined, undefined> {
    const target = this.#api.target('get', path).fill(options.params, options.query);
    const headers = headersOf(options, 'text/event-stream');
    const { upstream, transform } = this.#api;
    return new EventFeed(upstream, newCall(this.#context, 'GET', target, headers, { transform }), options.signal);
  }

  item(path: string): Item<Untyped> {
    return new ItemAt(this.#api.upstream, this.#api.target('get', itemPath(path)), this.#cache);
  }

  #json(method: Method, path: string, options: AnyOptions = {}, missing?: null): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const target = this.#api.target(method, path).fill(options.params, options.query);
      const headers = headersOf(options, canonicalAccept(undefined));
      const purpose = currentPurpose();
      // Who has read who asks may say it in any field.
      const told = (name: string): boolean => purpose?.personal === true || !isNegotiating(name);
      const shows = options.headers && namesOf(options.headers).filter(told);
      // RFC 9111 §5.2.1: who wants it fresher than what is stored means all that it is made of.
      const control = this.#context.headers['cache-control'];
      if (control !== undefined && method === 'get') headers['cache-control'] = control;
      const body = options.body === undefined ? undefined : Buffer.from(JSON.stringify(options.body));
      if (body) {
        headers['content-type'] = 'application/json';
        headers['content-length'] = String(body.length);
      }
      const call = newCall(this.#context, method.toUpperCase(), target, headers, {
        body,
        buffered: true,
        cache: this.#cache,
        transform: this.#api.transform,
        purpose,
        shows,
      });
      new Answer(this.#api.upstream, call, missing, resolve, reject).send(options.signal);
    });
  }
}

function namesOf(headers: object): string[] {
  return Object.keys(headers).map((name) => name.toLowerCase());
}

function headersOf({ headers }: AnyOptions, accept: string | string[]): Headers {
  const own: Headers = {};
  for (const name in headers) own[name.toLowerCase()] = headers[name];
  own.accept = accept;
  own['accept-encoding'] = canonicalAcceptEncoding;
  return own;
}

/** How answers of an upstream may be stored, by its name; undefined for what its settings say. */
export type CacheOf = (upstream: string) => CacheRules | false | undefined;

/** Makes the clients of one module for one request. */
export type BindClients = (context: RequestContext, cache?: CacheOf) => Readonly<Record<string, UpstreamClient>>;

/**
 * @param documents the OpenAPI document of each upstream that has one, by the upstream's name
 * @param transforms through which upstreams are called, by the upstream's name
 * @throws {Error} when a document cannot be read
 */
export function clientsOf(
  upstreams: readonly Upstream[],
  documents: Readonly<Record<string, URL>>,
  transforms: ReadonlyMap<string, Transform> = new Map(),
): BindClients {
  const apis = upstreams.map((upstream) => {
    const transform = transforms.get(upstream.name);
    const url = transform?.definition.documents.from ?? documents[upstream.name];
    return new Api(upstream, url ? OpenapiDocument.read(url) : new OpenapiDocument(), transform);
  });
  return (context, cache) => {
    const clients: Record<string, UpstreamClient> = {};
    for (const api of apis) clients[api.upstream.name] = new Client(api, context, cache?.(api.upstream.name));
    return clients;
  };
}
