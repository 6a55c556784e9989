import DataLoader from 'dataloader';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { pathKeys, type FieldPath } from '#core/field-path.ts';
import type { StoredItems } from '#upstreams/cache/items.ts';
import type { Reading, StaleAnswer } from '#upstreams/cache/reading.ts';
import { rewritesNumbers } from '#upstreams/client/json.ts';
import { untilCancelled } from '#upstreams/cancelled.ts';
import { strictest, withPurpose, type FieldCaching, type Purpose } from '#upstreams/purpose.ts';
import { Groups, type Key, type Loader } from './loader.ts';
import { noParams, sameParams, type Params } from './params.ts';

/** Which loader it is, for errors. */
export interface LoaderPlace {
  readonly module: string;
  readonly name: string;
  /** The upstream that the fields which use it name. */
  readonly upstream: string | undefined;
}

/** Keys that are loaded with the same params. */
interface Group {
  readonly params: Params;
  readonly keys: DataLoader<Key, unknown>;
  /** What may be done for all the fields that have asked so far. */
  caching: FieldCaching | undefined;
  /** One of them knows who asks, so that its key or the params may say it. */
  personal: boolean;
  /** The keys that fields have asked for, and the paths of these, in their order. */
  readonly wanted: Key[];
  readonly paths: FieldPath[];
  /** Keys for which an old answer stood in. */
  stale: Map<Key, StaleAnswer> | undefined;
}

/** A loader at work for one request: a DataLoader for each set of params that the request uses it with. */
export class RequestLoader {
  readonly #loader: Loader<Key, Params, unknown>;
  readonly #place: LoaderPlace;
  readonly #context: RequestContext;
  readonly #shown: (context: RequestContext) => RequestContext;
  readonly #clock: Clock;
  /** As many as the document has different arguments for it: one, nearly always. */
  readonly #byParams: Group[] = [];
  readonly #waiting: (() => void)[] = [];
  #active = 0;

  /** @param shown what the loader's function sees of the request */
  constructor(
    loader: Loader<Key, Params, unknown>,
    place: LoaderPlace,
    context: RequestContext,
    shown: (context: RequestContext) => RequestContext,
    clock: Clock,
  ) {
    this.#loader = loader;
    this.#place = place;
    this.#context = context;
    this.#shown = shown;
    this.#clock = clock;
  }

  /**
   * @param caching what SDL says of storing what the field is made of
   * @param path where the field stands; undefined where no field is known
   * @param personal it has read who asks, of which key and params may be made
   */
  load(
    key: Key,
    params: Params,
    caching: FieldCaching | undefined,
    path: FieldPath | undefined,
    personal = false,
  ): Promise<unknown> {
    let group: Group | undefined;
    for (const known of this.#byParams) if (sameParams(known.params, params)) group = known;
    if (!group) this.#byParams.push((group = this.#open(params, caching)));
    else if (group.caching !== caching) group.caching = strictest(group.caching, caching);
    if (personal) group.personal = true;
    if (path) {
      const stale = group.stale?.get(key);
      if (stale) noteStale(this.#context, stale, path);
      group.wanted.push(key);
      group.paths.push(path);
    }
    return group.keys.load(key);
  }

  /** Forgets what was loaded, since a mutation may have changed it. */
  clear(): void {
    this.#byParams.length = 0;
  }

  #open(params: Params, caching: FieldCaching | undefined): Group {
    const { maxBatchSize } = this.#loader;
    const keys = new DataLoader<Key, unknown>((wanted) => this.#load(wanted, group), { maxBatchSize });
    const group: Group = { params, keys, caching, personal: false, wanted: [], paths: [], stale: undefined };
    return group;
  }

  async #load(keys: readonly Key[], group: Group): Promise<readonly unknown[]> {
    while (this.#active >= this.#loader.concurrency) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#active++;
    try {
      const batch = new Batch(this.#place.name, group.caching, this.#loader.item !== undefined);
      // What params make of an object is not what its path alone gives.
      const items = sameParams(group.params, noParams) ? this.#loader.item?.stored(this.#context, batch) : undefined;
      // Items are told apart by their keys, whoever these tell of; what else is asked for may not be.
      batch.told = group.personal;
      return items ? await this.#loadItems(keys, group, batch, items) : await this.#loadAll(keys, group, batch);
    } finally {
      this.#active--;
      this.#waiting.shift()?.();
    }
  }

  async #loadAll(keys: readonly Key[], group: Group, batch: Batch): Promise<readonly unknown[]> {
    const values = this.#inOrder(keys, await this.#call(keys, group.params, batch));
    if (batch.stale) this.#noteStale(keys, group, batch.stale);
    return values;
  }

  /** Asks for those alone that are not stored. */
  async #loadItems(keys: readonly Key[], group: Group, batch: Batch, items: StoredItems): Promise<readonly unknown[]> {
    const values = items.find(keys);
    const missing = values.size === 0 ? keys : keys.filter((key) => !values.has(key));
    if (missing.length === 0) return keys.map((key) => values.get(key));
    let loaded: readonly unknown[];
    try {
      loaded = await this.#loadAll(missing, group, batch);
    } catch (error) {
      loaded = this.#standIn(missing, group, items, error);
    }
    const { reading } = batch;
    if (reading && batch.plain) items.put(new Map(missing.map((key, index) => [key, loaded[index]])), reading);
    if (batch.reads || (reading && reading.call.shows.length > 0)) items.refuse();
    if (values.size === 0) return loaded;
    missing.forEach((key, index) => values.set(key, loaded[index]));
    return keys.map((key) => values.get(key));
  }

  /** @throws the error, where nothing stands in for any of the keys */
  #standIn(keys: readonly Key[], group: Group, items: StoredItems, error: unknown): readonly unknown[] {
    const { cancellation, provenance } = this.#context;
    if (!(error instanceof WeirError) || error.fault !== 'upstream' || cancellation.reason) throw error;
    const found = items.standIns();
    if (found.size === 0) throw error;
    provenance?.refuse('stale');
    const { code, upstream = this.#place.upstream ?? '' } = error;
    return keys.map((key) => {
      const standIn = found.get(key);
      if (!standIn) return error;
      this.#noteStale([key], group, { code, upstream, ageMs: standIn.ageMs });
      return standIn.value;
    });
  }

  #call(keys: readonly Key[], params: Params, batch: Batch): Promise<unknown> {
    const context = this.#context;
    const { cancellation } = context;
    const work = cancellation.reason
      ? Promise.reject(cancellation.reason)
      : withPurpose(batch, this.#loader.load, keys, {
          params,
          context: this.#shown(context),
          get signal() {
            return cancellation.signal;
          },
        });
    return untilCancelled(work, this.#place.upstream, context, this.#clock);
  }

  /** For the fields that have asked for these keys. */
  #noteStale(keys: readonly Key[], group: Group, answer: StaleAnswer): void {
    const stale = (group.stale ??= new Map<Key, StaleAnswer>());
    for (const key of keys) stale.set(key, answer);
    const loaded = new Set(keys);
    group.wanted.forEach((key, index) => {
      if (loaded.has(key)) noteStale(this.#context, answer, group.paths[index]!);
    });
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

/** One call of a loader's function, for all the keys in it. */
class Batch implements Purpose {
  readonly name: string;
  readonly caching: FieldCaching | undefined;
  /** Its keys or params may say who asks. */
  told = false;
  /** The loader's function has read who asks. */
  reads = false;
  stale: StaleAnswer | undefined;
  /** The one answer that all of it came from. */
  reading: Reading | undefined;
  readonly #keepsItems: boolean;
  #read = false;
  #rewritten = false;

  /** @param keepsItems what it gives may be given out again, to who reads one of it alone */
  constructor(name: string, caching: FieldCaching | undefined, keepsItems: boolean) {
    this.name = name;
    this.caching = caching;
    this.#keepsItems = keepsItems;
  }

  /** What it gave is what the service says of each, to everybody, and just as it says it. */
  get plain(): boolean {
    // By what SDL says of them, fewer may have been given it than items are for.
    const forFewer = this.told && this.caching !== undefined;
    return !this.reads && !forFewer && !this.#rewritten;
  }

  get personal(): boolean {
    return this.told || this.reads;
  }

  set personal(reads: boolean) {
    this.reads = reads;
  }

  answered(reading: Reading | undefined): void {
    this.reading = this.#read ? undefined : reading;
    this.#read = true;
  }

  wrote(json: Buffer): void {
    this.#rewritten ||= this.#keepsItems && rewritesNumbers(json);
  }

  stoodIn(answer: StaleAnswer): void {
    this.#read = true;
    if (!this.stale || answer.ageMs > this.stale.ageMs) this.stale = answer;
  }
}

/** Notes for a field that it has an old answer. */
export function noteStale(context: RequestContext, { code, upstream, ageMs }: StaleAnswer, path: FieldPath): void {
  (context.degraded ??= []).push({ path: pathKeys(path), code, upstream, ageMs });
}
