import type { RequestContext } from '#core/context.ts';
import type { Criticality } from '#core/criticality.ts';
import type { ContentCoding } from '#core/reply.ts';
import type { CrossOrigin, Requirement, Retirement } from '#core/route.ts';
import type { RouteContract } from '#policies/validation/route-contract.ts';
import type { LimitSettings } from '#policies/limits/settings.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { UpstreamDocument } from '#gateway/contract/documents.ts';
import { demandsCredential } from '#policies/auth/demands.ts';
import { PathPattern } from '#gateway/routing/pattern.ts';
import type { Criteria, TableEntry } from '#gateway/routing/table.ts';
import { headerNames } from './header-names.ts';
import type { Mirror } from './mirror.ts';
import type { Split, Target } from './split.ts';
import type { Transform } from './transform/transform.ts';

/** Bodies up to this size are held, so that they can be sent again; larger ones are streamed. */
const bufferBytes = 64 * 1024;

export interface RestRouteOptions {
  readonly name: string;
  readonly path: string;
  readonly criteria: Criteria;
  readonly origin: string;
  readonly replaces: string | undefined;
  /** Where its requests go; of several the first is the one that it is known by. */
  readonly targets: readonly [Target, ...Target[]];
  readonly split: Split | undefined;
  readonly rewrite: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly maxBodyBytes: number;
  readonly criticality: Criticality;
  readonly requirement: Requirement;
  readonly cors: CrossOrigin | undefined;
  readonly coding: ContentCoding | undefined;
  readonly removed: readonly string[];
  readonly documented: boolean;
  readonly documentName: string;
  readonly document: UpstreamDocument | undefined;
  readonly version: string | undefined;
  readonly mirror: Mirror | undefined;
  readonly transform: Transform | undefined;
  readonly contract: RouteContract | undefined;
  readonly retirement: Retirement | undefined;
  /** As what it is written down who calls it; undefined where it is not. */
  readonly usedAs: string | undefined;
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
  /** Where its requests go; of a split, the first that is named. */
  readonly upstream: Upstream;
  /** Instead of the upstream's `timeout`. */
  readonly timeoutMs: number | undefined;
  readonly maxBodyBytes: number;
  readonly requirement: Requirement;
  readonly bufferBytes: number;
  readonly contract: RouteContract | undefined;
  readonly checkRequest: ((context: RequestContext) => void) | undefined;
  readonly criticality: Criticality;
  readonly cors: CrossOrigin | undefined;
  readonly coding: ContentCoding | undefined;
  /** Headers of the upstream's answers that stay inside. */
  readonly removes: ((name: string) => boolean) | undefined;
  /** It stands in the OpenAPI document. */
  readonly documented: boolean;
  /** Of its upstream, or of the version that is made of it. */
  readonly documentName: string;
  /** What it serves, as its clients see it. */
  readonly document: UpstreamDocument | undefined;
  /** The version that it serves, of whatever group. */
  readonly version: string | undefined;
  readonly retirement: Retirement | undefined;
  readonly usedAs: string | undefined;
  readonly rewrite: PathPattern | undefined;
  /** Copies its requests to somebody else. */
  readonly mirror: Mirror | undefined;
  readonly transform: Transform | undefined;
  /** What it answers by a URL is not for everybody who asks for that, so that no cache between may give it to others. */
  readonly closed: boolean;
  readonly limits: readonly LimitSettings[];
  readonly #cost: number | undefined;
  readonly #targets: readonly Target[];
  readonly #target: Target;
  readonly #split: Split | undefined;

  constructor(options: RestRouteOptions) {
    this.name = options.name;
    this.path = options.path;
    this.criteria = options.criteria;
    this.origin = options.origin;
    this.replaces = options.replaces;
    this.#target = options.targets[0];
    this.upstream = this.#target.upstream;
    this.#split = options.split;
    this.timeoutMs = options.timeoutMs;
    this.maxBodyBytes = options.maxBodyBytes;
    this.criticality = options.criticality;
    this.requirement = options.requirement;
    this.cors = options.cors;
    this.coding = options.coding;
    this.removes = headerNames(options.removed);
    const { contract } = options;
    this.contract = contract;
    this.checkRequest =
      contract?.checksRequests === true ? (context) => contract.check(context, this.targetOf(context)) : undefined;
    this.documented = options.documented;
    this.documentName = options.documentName;
    this.document = options.document;
    this.version = options.version;
    this.retirement = options.retirement;
    this.usedAs = options.usedAs;
    this.rewrite = options.rewrite === undefined ? undefined : new PathPattern(options.rewrite);
    this.mirror = options.mirror;
    this.transform = options.transform;
    this.closed = demandsCredential(options.requirement) || options.transform?.differs === true;
    // What is to be changed, or looked into, is held, within `maxBodyBytes`.
    const changed = options.transform?.requestBody ?? options.targets.find(({ transform }) => transform);
    const held = changed !== undefined || contract?.readsBodies === true;
    this.bufferBytes = held ? Number.POSITIVE_INFINITY : bufferBytes;
    this.limits = options.limits;
    this.#cost = options.cost;
    this.#targets = options.targets;
  }

  /** Thousandths of a call; where it may go to several, to the dearest. */
  get cost(): number {
    if (this.#cost !== undefined) return this.#cost;
    let dearest = 0;
    for (const { upstream } of this.#targets) dearest = Math.max(dearest, upstream.settings.weight);
    return dearest;
  }

  get flat(): boolean {
    return this.#cost !== undefined;
  }

  /** Where this request goes. */
  targetFor(context: RequestContext): Target {
    return this.#split ? this.#split.choose(context) : this.#target;
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
