/** The types of a call, read from the `paths` that `weir types` makes of an OpenAPI document (openapi-typescript's form). */
import type { Method } from '#upstreams/openapi.ts';

/** Paths that have this method. */
export type PathsWith<Paths, M extends Method> = unknown extends Paths
  ? string
  : {
      [Path in keyof Paths & string]: Paths[Path] extends Readonly<Record<M, object>> ? Path : never;
    }[keyof Paths & string];

/** Paths whose answer is a stream of server-sent events. */
export type EventPaths<Paths> = unknown extends Paths
  ? string
  : {
      [Path in PathsWith<Paths, 'get'>]: Answer<OperationOf<Paths, Path, 'get'>> extends EventStream ? Path : never;
    }[PathsWith<Paths, 'get'>];

interface EventStream {
  readonly content: { readonly 'text/event-stream': unknown };
}

/** `unknown` where the document has no types, so that everything is taken. */
export type OperationOf<Paths, Path, M extends Method> = unknown extends Paths
  ? unknown
  : Path extends keyof Paths
    ? Paths[Path] extends Readonly<Record<M, infer Operation>>
      ? Operation
      : never
    : never;

/** The 2xx answers of an operation. */
type Answer<Operation> = Operation extends { readonly responses: infer R }
  ? { [Status in keyof R]: `${Status & (string | number)}` extends `2${string}` ? R[Status] : never }[keyof R]
  : never;

type Json<Content> = Content[Extract<keyof Content, `application/${string}json`>];

type Body<A> = A extends { readonly content: infer Content } ? Json<Content> : undefined;

/** What a successful call gives: the JSON of its 2xx answers, `undefined` for those without content. */
export type ResultOf<Operation> = unknown extends Operation ? unknown : Body<Answer<Operation>>;

/** What is passed in may be read-only. */
export type Given<T> = T extends readonly (infer Item)[]
  ? readonly Given<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Given<T[Key]> }
    : T;

/** An optional parameter that is null, as an argument of GraphQL may be, is left out like one that is undefined. */
type Parameters<T> = {
  readonly [Name in keyof T]: Given<T[Name]> | (undefined extends T[Name] ? null | undefined : never);
};

type Part<Operation, In extends string> = Operation extends { readonly parameters: infer All }
  ? All extends Readonly<Record<In, infer Names>>
    ? { required: Parameters<Names> }
    : All extends { readonly [_ in In]?: infer Names extends object }
      ? { optional: Parameters<Names> }
      : null
  : null;

/** An option of a call, required as the operation requires it, absent where the operation has none. */
type Option<Name extends string, P> = P extends { required: infer T }
  ? { readonly [_ in Name]: T }
  : P extends { optional: infer T }
    ? { readonly [_ in Name]?: T }
    : { readonly [_ in Name]?: never };

type BodyPart<Operation> = Operation extends { readonly requestBody: { readonly content: infer Content } }
  ? { required: Given<Json<Content>> }
  : Operation extends { readonly requestBody?: { readonly content: infer Content } }
    ? { optional: Given<Json<Content>> }
    : null;

interface CommonOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Aborts the call; the end of the request does so in any case. */
  readonly signal?: AbortSignal;
}

/** What is known of a call without its types. */
export interface AnyOptions extends CommonOptions {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

type Options<Operation> = unknown extends Operation
  ? AnyOptions
  : CommonOptions & Option<'params', Part<Operation, 'path'>> & Option<'query', Part<Operation, 'query'>>;

/** The second argument of a call, to be left out only where nothing in it is required. */
type Argument<O> = Partial<O> extends O ? [options?: O] : [options: O];

export type ReadArguments<Operation> = Argument<Options<Operation>>;

export type WriteArguments<Operation> = Argument<
  Options<Operation> & (unknown extends Operation ? unknown : Option<'body', BodyPart<Operation>>)
>;
