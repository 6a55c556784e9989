import type { RequestContext } from '#core/context.ts';
import type { Target } from '#upstreams/client/target.ts';
import { StoredItems } from '#upstreams/cache/items.ts';
import { rulesOf, rulesOfField, type CacheRules } from '#upstreams/cache/settings.ts';
import type { Purpose } from '#upstreams/purpose.ts';
import type { Upstream } from '#upstreams/upstream.ts';

declare const value: unique symbol;
declare const untyped: unique symbol;

/** What a service gives whose document has no types: it fits every loader. */
export interface Untyped {
  readonly [untyped]: true;
}

/** Where an upstream gives one object of a kind, by its key. */
export interface Item<out Value> {
  readonly [value]?: Value;
  /** What is stored of such objects, for one call of a loader; undefined where nothing can be. */
  stored(context: RequestContext, purpose: Purpose): StoredItems | undefined;
}

export class ItemAt implements Item<Untyped> {
  readonly #upstream: Upstream;
  readonly #target: Target;
  readonly #rules: CacheRules | false | undefined;

  /** @param rules in place of what the upstream's settings and SDL say */
  constructor(upstream: Upstream, target: Target, rules: CacheRules | false | undefined) {
    this.#upstream = upstream;
    this.#target = target;
    this.#rules = rules;
  }

  stored(context: RequestContext, purpose: Purpose): StoredItems | undefined {
    const rules = this.#rules ?? rulesOfField(rulesOf(this.#upstream.settings.cache), purpose.caching?.rules);
    return rules === false ? undefined : StoredItems.open(this.#upstream, this.#target, rules, context, purpose);
  }
}

/**
 * The path of an item, if it is one.
 * @throws {Error} where it has not exactly one parameter
 */
export function itemPath(path: string): string {
  if (/^[^{}]*\{[^{}]+\}[^{}]*$/.test(path)) return path;
  throw new Error(`the items of a loader cannot be at '${path}': it must have one parameter, for the key`);
}
