import DataLoader from 'dataloader';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { untilCancelled } from '#upstreams/cancelled.ts';
import { Groups, type Key, type Loader } from './loader.ts';
import { sameParams, type Params } from './params.ts';

/** Which loader it is, for errors. */
export interface LoaderPlace {
  readonly module: string;
  readonly name: string;
  /** The upstream that the fields which use it name. */
  readonly upstream: string | undefined;
}

/** A loader at work for one request: a DataLoader for each set of params that the request uses it with. */
export class RequestLoader {
  readonly #loader: Loader<Key, Params, unknown>;
  readonly #place: LoaderPlace;
  readonly #context: RequestContext;
  readonly #clock: Clock;
  /** As many as the document has different arguments for it: one, nearly always. */
  readonly #byParams: { readonly params: Params; readonly keys: DataLoader<Key, unknown> }[] = [];
  readonly #waiting: (() => void)[] = [];
  #active = 0;

  constructor(loader: Loader<Key, Params, unknown>, place: LoaderPlace, context: RequestContext, clock: Clock) {
    this.#loader = loader;
    this.#place = place;
    this.#context = context;
    this.#clock = clock;
  }

  load(key: Key, params: Params): Promise<unknown> {
    return this.#keys(params).load(key);
  }

  /** Forgets what was loaded, since a mutation may have changed it. */
  clear(): void {
    this.#byParams.length = 0;
  }

  #keys(params: Params): DataLoader<Key, unknown> {
    for (const known of this.#byParams) if (sameParams(known.params, params)) return known.keys;
    const { maxBatchSize } = this.#loader;
    const keys = new DataLoader<Key, unknown>((wanted) => this.#load(wanted, params), { maxBatchSize });
    this.#byParams.push({ params, keys });
    return keys;
  }

  async #load(keys: readonly Key[], params: Params): Promise<readonly unknown[]> {
    while (this.#active >= this.#loader.concurrency) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#active++;
    try {
      return this.#inOrder(keys, await this.#call(keys, params));
    } finally {
      this.#active--;
      this.#waiting.shift()?.();
    }
  }

  #call(keys: readonly Key[], params: Params): Promise<unknown> {
    const context = this.#context;
    const { cancellation } = context;
    const work = cancellation.reason
      ? Promise.reject(cancellation.reason)
      : this.#loader.load(keys, {
          params,
          context,
          get signal() {
            return cancellation.signal;
          },
        });
    return untilCancelled(work, this.#place.upstream, context, this.#clock);
  }

  #inOrder(keys: readonly Key[], result: unknown): readonly unknown[] {
    if (result instanceof Map) {
      const found: ReadonlyMap<Key, unknown> = result;
      const isGroups = result instanceof Groups;
      return keys.map((key) => found.get(key) ?? (isGroups ? [] : null));
    }
    if (!Array.isArray(result)) throw this.#misshapen(`a value of type ${typeof result}`);
    if (result.length !== keys.length) throw this.#misshapen(`${result.length} values for ${keys.length} keys`);
    return result;
  }

  #misshapen(what: string): WeirError {
    const { module, name } = this.#place;
    const wanted = 'a map from groupBy or indexBy, or an array with one value for each key, in the order of the keys';
    return new WeirError('INTERNAL', {
      cause: new TypeError(`loader '${name}' of module '${module}' gave ${what}; it must give ${wanted}`),
    });
  }
}
