import type { RequestContext } from '#core/context.ts';
import { hashOf, mix } from '#upstreams/balancing/hash.ts';
import { hashKey, type HashKey } from '#upstreams/balancing/hash-key.ts';
import type { HashKeySettings } from '#upstreams/balancing/settings.ts';
import type { CacheRules } from '#upstreams/cache/settings.ts';
import type { Labels } from '#upstreams/rotation.ts';
import type { Transform } from '#upstreams/transforms/transform.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Fallback } from './fallback.ts';

/** Where requests of a route go, and what stands in for it. */
export interface Target {
  readonly upstream: Upstream;
  /** Of the endpoints that are meant; undefined means all. */
  readonly labels: Labels | undefined;
  readonly transform: Transform | undefined;
  /** How answers may be stored; false for not at all. */
  readonly cache: CacheRules | false;
  readonly fallback: Fallback | undefined;
}

/**
 * Shares the requests of a route among targets, by weight. What belongs together, by `sticky`, goes together: its place
 * between 0 and 1 does not change, and each target has a stretch of that line, in the order written. So when the first
 * target's weight grows from 5 to 25, those that it had stay with it.
 */
export class Split {
  readonly #targets: readonly Target[];
  /** Where each stretch ends. */
  readonly #ends: readonly number[];
  readonly #key: HashKey | undefined;
  readonly #salt: number;

  /** @param route its name, so that what is first on one route is not first on all */
  constructor(
    targets: readonly (Target & { readonly weight: number })[],
    sticky: HashKeySettings | undefined,
    route: string,
  ) {
    const sum = targets.reduce((total, { weight }) => total + weight, 0);
    let end = 0;
    this.#targets = targets;
    this.#ends = targets.map(({ weight }) => (end += weight / sum));
    this.#key = sticky && hashKey(sticky);
    this.#salt = hashOf(route);
  }

  choose(context: RequestContext): Target {
    const key = this.#key ? this.#key({ context }) : -1;
    // Who cannot be told from others goes anywhere.
    const place = key < 0 ? Math.random() : mix(key, this.#salt) / 2 ** 32;
    for (let index = 0; index < this.#ends.length; index++)
      if (place < this.#ends[index]!) return this.#targets[index]!;
    // The sum of shares may be a hair below 1.
    return this.#targets.findLast((_, index) => this.#ends[index]! > (this.#ends[index - 1] ?? 0))!;
  }
}
