import type { RequestContext } from '#core/context.ts';
import type { Criticality } from '#core/criticality.ts';
import type { ContentCoding } from '#core/reply.ts';
import type { CrossOrigin, Requirement } from '#core/route.ts';
import type { CacheRules } from '#upstreams/cache/settings.ts';
import type { LimitSettings } from '#policies/limits/settings.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { PathPattern } from '#gateway/routing/pattern.ts';
import type { Criteria, TableEntry } from '#gateway/routing/table.ts';
import type { Fallback } from './fallback.ts';
import { headerNames } from './header-names.ts';
import type { Transform } from './transform/transform.ts';

/** Bodies up to this size are held, so that they can be sent again; larger ones are streamed. */
const bufferBytes = 64 * 1024;

export interface RestRouteOptions {
  readonly name: string;
  readonly path: string;
  readonly criteria: Criteria;
  readonly origin: string;
  readonly replaces: string | undefined;
  readonly upstream: Upstream;
  readonly rewrite: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly maxBodyBytes: number;
  readonly criticality: Criticality;
  readonly fallback: Fallback | undefined;
  readonly cache: CacheRules | false;
  readonly requirement: Requirement;
  readonly cors: CrossOrigin | undefined;
  readonly coding: ContentCoding | undefined;
  readonly removed: readonly string[];
  readonly documented: boolean;
  readonly transform: Transform | undefined;
  readonly cost: number | undefined;
  readonly limits: readonly LimitSettings[];
}

/** A route that passes requests through to an upstream. */
export class RestRoute implements TableEntry {
  readonly door = 'rest';
  readonly name: string;
  readonly path: string;
  readonly criteria: Criteria;
  readonly origin: string;
  readonly replaces: string | undefined;
  readonly upstream: Upstream;
  /** Instead of the upstream's `timeout`. */
  readonly timeoutMs: number | undefined;
  readonly maxBodyBytes: number;
  readonly requirement: Requirement;
  readonly bufferBytes: number;
  readonly criticality: Criticality;
  readonly cors: CrossOrigin | undefined;
  readonly coding: ContentCoding | undefined;
  /** Headers of the upstream's answers that stay inside. */
  readonly removes: ((name: string) => boolean) | undefined;
  /** It stands in the OpenAPI document. */
  readonly documented: boolean;
  readonly rewrite: PathPattern | undefined;
  /** How answers may be stored; false for not at all. */
  readonly cache: CacheRules | false;
  readonly transform: Transform | undefined;
  readonly limits: readonly LimitSettings[];
  readonly #cost: number | undefined;
  readonly #fallback: Fallback | undefined;

  constructor(options: RestRouteOptions) {
    this.name = options.name;
    this.path = options.path;
    this.criteria = options.criteria;
    this.origin = options.origin;
    this.replaces = options.replaces;
    this.upstream = options.upstream;
    this.timeoutMs = options.timeoutMs;
    this.maxBodyBytes = options.maxBodyBytes;
    this.#fallback = options.fallback;
    this.criticality = options.criticality;
    this.cache = options.cache;
    this.requirement = options.requirement;
    this.cors = options.cors;
    this.coding = options.coding;
    this.removes = headerNames(options.removed);
    this.documented = options.documented;
    this.rewrite = options.rewrite === undefined ? undefined : new PathPattern(options.rewrite);
    this.transform = options.transform;
    // What is to be changed is held, within `maxBodyBytes`.
    this.bufferBytes = options.transform?.requestBody ? Number.POSITIVE_INFINITY : bufferBytes;
    this.limits = options.limits;
    this.#cost = options.cost;
  }

  /** Thousandths of a call. */
  get cost(): number {
    return this.#cost ?? this.upstream.settings.weight;
  }

  get flat(): boolean {
    return this.#cost !== undefined;
  }

  /** What stands in for an answer to this method; undefined where nothing does. */
  fallbackFor(method: string): Fallback | undefined {
    return this.#fallback?.takes(method) === true ? this.#fallback : undefined;
  }

  /** The target as the upstream gets it. Made from the raw path, so that what was encoded stays encoded. */
  targetOf(context: RequestContext): string {
    const path = this.#pathOf(context);
    const query = this.transform?.query;
    if (query) return (path ?? context.path) + query.apply(context.query, context);
    return path === undefined ? context.target : path + context.target.slice(context.path.length);
  }

  #pathOf(context: RequestContext): string | undefined {
    if (!this.rewrite) return undefined;
    const path = this.rewrite.render(context.pathParts);
    return context.path.length > 1 && context.path.endsWith('/') && !path.endsWith('/') ? `${path}/` : path;
  }
}
