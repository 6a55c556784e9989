/** The types of a transform, read from the `paths` that `weir types` makes of two OpenAPI documents. */
import type { Headers } from '#core/headers.ts';
import type { Given } from '#upstreams/client/paths.ts';
import type { Method } from '#upstreams/openapi.ts';

type Json<Content> = Content[Extract<keyof Content, `application/${string}json`>];

type JsonOf<Part> = Part extends { readonly content: infer Content }
  ? [Json<Content>] extends [never]
    ? undefined
    : Json<Content>
  : undefined;

type Names<Operation, In extends string> = Operation extends { readonly parameters: infer All }
  ? All extends { readonly [_ in In]?: infer Found }
    ? Exclude<Found, undefined>
    : never
  : never;

type Nothing = Readonly<Record<string, never>>;

/** Parameters as they come: text, however the document reads it. */
type Texts<T> = [T] extends [never]
  ? Nothing
  : { readonly [Name in keyof T]: NonNullable<T[Name]> extends readonly unknown[] ? readonly string[] : string };

/** Parameters to be written: text as it came, or the value that it stands for. Null and undefined leave it out. */
type Writable<T> = {
  readonly [Name in keyof T]:
    | (NonNullable<T[Name]> extends readonly (infer Item)[]
        ? readonly (Item | string)[]
        : NonNullable<T[Name]> | string)
    | (undefined extends T[Name] ? null | undefined : never);
};

type BodyOf<Operation> = Operation extends { readonly requestBody: infer Part }
  ? JsonOf<Part>
  : Operation extends { readonly requestBody?: infer Part }
    ? JsonOf<Exclude<Part, undefined>> | undefined
    : undefined;

/** What of a header section changes: undefined removes a field, all others stay. In lower case. */
export type HeaderChanges = Readonly<Record<string, string | undefined>>;

interface Incoming<Key, Operation> {
  /** Which one it is, such as `GET /orders/{id}`. */
  readonly operation: Key;
  readonly params: Texts<Names<Operation, 'path'>>;
  /** What the document does not name is here too, as text. */
  readonly query: Texts<Names<Operation, 'query'>>;
  readonly headers: Readonly<Headers>;
  readonly body: BodyOf<Operation>;
}

type Field<Name extends string, Found> = [Found] extends [never]
  ? { readonly [_ in Name]?: Nothing }
  : Partial<Writable<Found>> extends Writable<Found>
    ? { readonly [_ in Name]?: Writable<Found> }
    : { readonly [_ in Name]: Writable<Found> };

type BodyField<T> = undefined extends T ? { readonly body?: Given<T> } : { readonly body: Given<T> };

type Outgoing<Key, Operation> = {
  readonly operation: Key;
  readonly headers?: HeaderChanges;
} & Field<'params', Names<Operation, 'path'>> &
  Field<'query', Names<Operation, 'query'>> &
  BodyField<BodyOf<Operation>>;

/** A request as a transform is given it, whatever its document. */
export interface AnyRequest {
  readonly operation: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  readonly headers: Readonly<Headers>;
  readonly body: unknown;
}

export interface AnyOutgoing {
  readonly operation: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly headers?: HeaderChanges;
  readonly body?: unknown;
}

/** An answer as a transform is given it. */
export interface AnyResponse {
  readonly operation: string;
  readonly status: number;
  readonly headers: Readonly<Headers>;
  readonly body: unknown;
}

export interface AnyAnswer {
  readonly status: number;
  readonly headers?: HeaderChanges;
  readonly body?: unknown;
}

type EachOperation<Paths, Form extends 'incoming' | 'outgoing' | 'responses' | 'answers'> = {
  [Path in keyof Paths & string]: {
    [M in Method]: Paths[Path] extends Readonly<Record<M, infer Operation extends object>>
      ? InForm<`${Uppercase<M>} ${Path}`, Operation, Form>
      : never;
  }[Method];
}[keyof Paths & string];

type InForm<Key, Operation, Form> = Form extends 'incoming'
  ? Incoming<Key, Operation>
  : Form extends 'outgoing'
    ? Outgoing<Key, Operation>
    : Operation extends { readonly responses: infer Responses }
      ? {
          [Status in keyof Responses]: Form extends 'responses'
            ? {
                readonly operation: Key;
                readonly status: Status;
                readonly headers: Readonly<Headers>;
                readonly body: JsonOf<Responses[Status]>;
              }
            : { readonly status: Status; readonly headers?: HeaderChanges } & BodyField<JsonOf<Responses[Status]>>;
        }[keyof Responses]
      : never;

/** Any request of an API, told apart by `operation`. */
export type RequestOf<Paths> = unknown extends Paths ? AnyRequest : EachOperation<Paths, 'incoming'>;

/** Any request that may be sent to an API. */
export type OutgoingOf<Paths> = unknown extends Paths ? AnyOutgoing : EachOperation<Paths, 'outgoing'>;

/** Any answer of an API that its document speaks of, told apart by `operation` and `status`. */
export type ResponseOf<Paths> = unknown extends Paths ? AnyResponse : EachOperation<Paths, 'responses'>;

/** Any answer that an API may give. */
export type AnswerOf<Paths> = unknown extends Paths ? AnyAnswer : EachOperation<Paths, 'answers'>;
