import type { Key, NoParams } from '#upstreams/loaders/loader.ts';
import { noParams, type Params } from '#upstreams/loaders/params.ts';

declare const use: unique symbol;

/** How a field uses a loader, for the compiler: which one, with what key and params. */
export interface Use<Name, K, P> {
  readonly loader: Name;
  readonly key: K;
  readonly params: P;
}

/**
 * A field that only loads by key, declared: what can be read of it need not be run to be known. Today each parent loads by
 * itself and the loader batches; a plan may load a whole level at once without any module changing.
 */
export interface Load<in Parent = never, in Args = never, out U = unknown> {
  readonly [use]?: U | undefined;
  readonly kind: 'load';
  readonly loader: string;
  /** A property of the parent, or a function of parent and arguments. Null and undefined give null, without a call. */
  readonly key: string | ((parent: Parent, args: Args) => Key | null | undefined);
  readonly params: (args: Args) => Params;
}

type KeySource<Parent, Args> = (keyof Parent & string) | ((parent: Parent, args: Args) => Key | null | undefined);

type KeyFrom<Parent, Source> = Source extends (...given: never) => infer K
  ? NonNullable<K>
  : Source extends keyof Parent
    ? NonNullable<Parent[Source]>
    : never;

/**
 * Declares a field that loads by key.
 * @param loader the name of one of the module's loaders
 * @param options `key`: a property of the parent or a function; `params`: what of the arguments shapes the call
 */
export function load<
  const Name extends string,
  Parent,
  Args,
  const Source extends KeySource<Parent, Args>,
  P = NoParams,
>(
  loader: Name,
  options: { readonly key: Source; readonly params?: (args: Args) => P },
): Load<Parent, Args, Use<Name, KeyFrom<Parent, Source>, P>> {
  return { kind: 'load', loader, key: options.key, params: (options.params ?? nothing) as (args: Args) => Params };
}

function nothing(): Params {
  return noParams;
}

export function isLoad(value: unknown): value is Load<unknown, unknown> {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'load';
}
