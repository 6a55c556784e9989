import type { RequestContext } from '#core/context.ts';
import type { Clients } from '#upstreams/client/client.ts';
import type { Loader, NoParams } from '#upstreams/loaders/loader.ts';

/** A loader of the module, for use in a function. */
export interface BoundLoader<K, P, Value> {
  readonly load: (key: K, ...params: NoParams extends P ? [params?: P] : [params: P]) => Promise<Value>;
}

/** What a resolver function of a module is given besides parent and arguments. */
export interface ModuleContext<Upstreams, Loaders> {
  readonly request: RequestContext;
  /** The module's own upstreams. */
  readonly clients: Clients<Upstreams>;
  readonly loaders: {
    readonly [Name in keyof Loaders]: Loaders[Name] extends Loader<infer K, infer P, infer Value>
      ? BoundLoader<K, P, Value>
      : never;
  };
  /** Aborts when the request ends before its answer; clients and loaders listen to it already. */
  readonly signal: AbortSignal;
}
