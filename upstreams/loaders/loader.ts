import type { RequestContext } from '#core/context.ts';
import type { Item, Untyped } from './item.ts';

/** What can identify an object to a loader. */
export type Key = string | number;

declare const none: unique symbol;

/** Of a loader whose calls are shaped by nothing but their keys. */
export interface NoParams {
  readonly [none]?: never;
}

/** What a loader's function is told besides its keys. */
export interface Loading<Params = NoParams> {
  /** What shapes the call, the same for all its keys: page size, filter, language. */
  readonly params: Params;
  /** Aborts when the request ends before its answer; hand it to whatever is not a client of Weir. */
  readonly signal: AbortSignal;
  readonly context: RequestContext;
}

declare const value: unique symbol;

/**
 * How objects are got by key. Within a request each key is asked for once; keys that are asked for in the same moment, with
 * the same params, go in one call.
 */
export interface Loader<in K, in Params, out Value> {
  readonly [value]?: Value;
  /** Takes many keys in one call; if not, every key is a call. */
  readonly bulk: boolean;
  /** Keys in one call. */
  readonly maxBatchSize: number;
  /** Calls under way at once, of one request. */
  readonly concurrency: number;
  /** Where each object can be read alone; undefined where that is nobody's business. */
  readonly item: Item<unknown> | undefined;
  readonly load: (keys: readonly K[], loading: Loading<Params>) => Promise<unknown>;
}

type ValueOf<Result> =
  Result extends Groups<infer _, infer Value>
    ? Value[]
    : Result extends ReadonlyMap<infer _, infer Value>
      ? Value | null
      : Result extends readonly (infer Value)[]
        ? Exclude<Value, Error>
        : never;

/**
 * A loader for a service that takes many keys in one call.
 * @param options `maxBatchSize`: keys in one call, at least 1; it is the `batch` of `@upstream`. `item`: where the service gives
 *   each of the objects alone, just as they are in the answer to many, `clients.catalog.item('/products/{id}')`: what is stored
 *   from there is not asked for again, and what is loaded is stored there, where the answer's own headers allow that
 * @param load gives `groupBy(…)`: a list for each key; `indexBy(…)`: one object or null for each key; or an array of values
 *   in the order of the keys, an `Error` for a key that failed alone
 */
export function batch<Value, K extends Key = string, Params = NoParams>(
  options: { readonly maxBatchSize: number; readonly item: Item<Value> },
  load: (
    keys: readonly K[],
    loading: Loading<Params>,
  ) => Promise<ReadonlyMap<K, NoInfer<Value> | null> | readonly (NoInfer<Value> | Error | null)[]>,
): Loader<K, Params, Value | null>;
export function batch<
  Result extends ReadonlyMap<K, unknown> | readonly unknown[],
  K extends Key = string,
  Params = NoParams,
>(
  options: { readonly maxBatchSize: number; readonly item?: Item<Untyped> },
  load: (keys: readonly K[], loading: Loading<Params>) => Promise<Result>,
): Loader<K, Params, ValueOf<Result>>;
export function batch<K extends Key, Params>(
  { maxBatchSize, item }: { readonly maxBatchSize: number; readonly item?: Item<unknown> },
  load: (keys: readonly K[], loading: Loading<Params>) => Promise<unknown>,
): Loader<K, Params, unknown> {
  return { bulk: true, maxBatchSize, concurrency: Number.POSITIVE_INFINITY, item, load };
}

/**
 * A loader for a service that takes one key at a time: n keys are n calls, so the field's `@upstream` has no `batch`.
 * @param options `concurrency`: calls of one request under way at once, at least 1
 */
export function each<Value, K extends Key = string, Params = NoParams>(
  { concurrency }: { readonly concurrency: number },
  load: (key: K, loading: Loading<Params>) => Promise<Value>,
): Loader<K, Params, Value> {
  const loadOne = async ([key]: readonly K[], loading: Loading<Params>) => [await load(key!, loading)];
  return { bulk: false, maxBatchSize: 1, concurrency, item: undefined, load: loadOne };
}

/** Lists by key; a key without any has the empty list. */
export class Groups<K, V> extends Map<K, V[]> {}

/** The items of each key, in their order. */
export function groupBy<K extends Key, V>(items: Iterable<V>, keyOf: (item: V) => K): Groups<K, V> {
  const groups = new Groups<K, V>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** The item of each key; of several the last. A key without one has null. */
export function indexBy<K extends Key, V>(items: Iterable<V>, keyOf: (item: V) => K): Map<K, V> {
  const index = new Map<K, V>();
  for (const item of items) index.set(keyOf(item), item);
  return index;
}
