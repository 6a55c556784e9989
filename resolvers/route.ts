import type { RequestContext } from '#core/context.ts';
import type { Key } from '#upstreams/loaders/loader.ts';
import type { Params } from '#upstreams/loaders/params.ts';
import type { PartScope } from './parts.ts';
import type { RouteInput } from './route-input.ts';

/** Characters that end the name of a parameter in a path of Express 5. */
type NameEnd = '/' | '.' | '-' | '~' | ',' | ';' | ':' | '@' | '=' | '&' | '!' | '*' | '{' | '}';

type NameIn<Text extends string> = Text extends `${infer Name}${NameEnd}${string}` ? NameIn<Name> : Text;

type NamesAfter<Sign extends string, Text extends string> = Text extends `${string}${Sign}${infer Rest}`
  ? NameIn<Rest> | NamesAfter<Sign, Rest>
  : never;

type NamesOf<Path extends string> = NamesAfter<':', Path> | NamesAfter<'*', Path>;

/** The parameters in braces, which may not be there. */
type OptionalNames<Path extends string> = Path extends `${string}{${infer Group}}${infer Rest}`
  ? NamesOf<Group> | OptionalNames<Rest>
  : never;

/** The parameters of a path, decoded; those in braces may not be there. */
export type PathParams<Path extends string> = {
  readonly [Name in Exclude<NamesOf<Path>, OptionalNames<Path>>]: string;
} & { readonly [Name in OptionalNames<Path>]?: string };

/** What a part is to the answer. */
export interface PartOptions<Fallback> {
  /** The answer goes without it: null stands in its place. Default false. */
  readonly optional?: boolean;
  /** Stands in its place where it fails; makes it optional. */
  readonly fallback?: Fallback;
  /** Such as `500ms`; when left out it has the time of its calls. */
  readonly timeout?: string;
}

/**
 * Runs a part of the answer. One that is required ends the request with a problem when it fails: 404 for what does not exist,
 * else what failed. One that is optional leaves its place to null or its fallback, `x-weir-completed` says so, and the log too.
 */
export interface RunPart {
  <T>(name: string, work: (scope: PartScope) => Promise<T>): Promise<T>;
  <T, Fallback = null>(
    name: string,
    options: PartOptions<Fallback>,
    work: (scope: PartScope) => Promise<T>,
  ): Promise<T | Fallback>;
}

/** What code of a route is given besides the module's clients and loaders. */
export interface RouteGiven<Path extends string> {
  readonly params: PathParams<Path>;
  readonly query: URLSearchParams;
  readonly part: RunPart;
  /** Loads by a loader that the route `uses`, of whichever module. */
  readonly load: <T = unknown>(loader: string, key: Key, params?: Params) => Promise<T>;
  readonly request: RequestContext;
}

/** An answer that is more than JSON with status 200. */
export class RouteAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: unknown, headers: Readonly<Record<string, string>>) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/**
 * An answer with a status and headers of its own.
 * @param body any JSON; undefined for none
 */
export function answer(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): RouteAnswer {
  return new RouteAnswer(status, body, headers);
}

/** What `/openapi.json` says of a route that is answered by code. */
export interface RouteDescription {
  readonly summary?: string;
  readonly description?: string;
  /** Parameter objects of OpenAPI 3.1, of path, query and header. Those of the path that are left out are texts. */
  readonly parameters?: readonly object[];
  /** JSON Schema of the answer with status 200. */
  readonly schema?: object;
  /** Response objects of OpenAPI 3.1, by status. */
  readonly responses?: Readonly<Record<string, object>>;
}

type SharedInput = Omit<
  RouteInput,
  | 'path'
  | 'methods'
  | 'upstream'
  | 'aggregate'
  | 'rewrite'
  | 'maxBodyBytes'
  | 'transform'
  | 'fallback'
  | 'headers'
  | 'query'
  | 'body'
  | 'code'
>;

export interface RouteOptions<Path extends string, Context> extends SharedInput {
  /** How it stands in the OpenAPI document. */
  readonly openapi?: RouteDescription;
  /** Loaders of any module that `load` is to be given, such as `users.byId`. */
  readonly uses?: readonly string[];
  /** JSON, or what {@link answer} makes. Refuses by throwing a `WeirError`. */
  readonly answer: (given: Context & RouteGiven<Path>) => unknown;
}

/** What answers a route by code, its types erased. */
export interface RouteCode {
  readonly openapi: RouteDescription;
  readonly uses: readonly string[];
  readonly answer: (given: never) => unknown;
}

/** A path that is answered by code. */
export interface CodeRoute {
  readonly kind: 'code';
  readonly input: RouteInput;
  readonly code: RouteCode;
}

export function isCodeRoute(value: object): value is CodeRoute {
  return 'kind' in value && value.kind === 'code';
}

/** Makes the routes of a module that its code answers. */
export interface RouteMaker<Context> {
  /**
   * Answers GET and HEAD of a path by code: calls of the module's clients and loaders, at once and after each other, through
   * the same loaders, cache and budget as GraphQL.
   * @param path in the syntax of Express 5, such as `/v2/home/:userId`
   */
  readonly get: <const Path extends string>(path: Path, options: RouteOptions<Path, Context>) => CodeRoute;
}

export const routeMaker: RouteMaker<never> = {
  get(path, options) {
    const { openapi = {}, uses = [], answer: run, ...input } = options;
    return { kind: 'code', input: { ...input, path, methods: ['GET'] }, code: { openapi, uses, answer: run } };
  },
};
