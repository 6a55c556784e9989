import type { RequestContext } from '#core/context.ts';
import type { Criticality } from '#core/criticality.ts';
import type { ContentCoding } from '#core/reply.ts';
import type { CrossOrigin, Requirement, Retirement } from '#core/route.ts';
import type { LimitSettings } from '#policies/limits/settings.ts';
import type { RouteContract } from '#policies/validation/route-contract.ts';
import type { UpstreamDocument } from '#gateway/contract/documents.ts';
import { demandsCredential } from '#policies/auth/demands.ts';
import type { RunOperation } from '#gateway/graphql/door.ts';
import type { Criteria, TableEntry } from '#gateway/routing/table.ts';

/** Makes an answer of several calls: an aggregate, code of a module, a GraphQL operation. */
export interface Composition {
  /** What stands for it among the tags of the OpenAPI document. */
  readonly tag: string;
  /** What it may take, in thousandths of a call; undefined where each operation has a price of its own. */
  readonly cost: number | undefined;
  /** What it gives, at the paths of its route; undefined where nobody has said it. */
  readonly document: UpstreamDocument | undefined;
  /** @throws what is to be told instead */
  answer(context: RequestContext, run: RunOperation | undefined): Promise<void>;
}

export interface ComposedRouteOptions {
  readonly name: string;
  readonly path: string;
  readonly criteria: Criteria;
  readonly origin: string;
  readonly replaces: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly criticality: Criticality;
  readonly requirement: Requirement;
  readonly cors: CrossOrigin | undefined;
  readonly coding: ContentCoding | undefined;
  readonly maxBodyBytes: number;
  readonly documented: boolean;
  readonly version: string | undefined;
  readonly composition: Composition;
  readonly document: UpstreamDocument | undefined;
  readonly contract: RouteContract | undefined;
  readonly retirement: Retirement | undefined;
  readonly usedAs: string | undefined;
  readonly cost: number | undefined;
  readonly limits: readonly LimitSettings[];
}

/** A route whose answer is made here. */
export class ComposedRoute implements TableEntry {
  readonly door = 'rest';
  readonly name: string;
  readonly path: string;
  readonly criteria: Criteria;
  readonly origin: string;
  readonly replaces: string | undefined;
  /** For the whole answer. */
  readonly timeoutMs: number | undefined;
  readonly criticality: Criticality;
  readonly requirement: Requirement;
  readonly contract: RouteContract | undefined;
  readonly checkRequest: ((context: RequestContext) => void) | undefined;
  readonly cors: CrossOrigin | undefined;
  readonly coding: ContentCoding | undefined;
  readonly maxBodyBytes: number;
  readonly bufferBytes = Number.POSITIVE_INFINITY;
  /** It stands in the OpenAPI document. */
  readonly documented: boolean;
  /** The version that it serves, of whatever group. */
  readonly version: string | undefined;
  readonly retirement: Retirement | undefined;
  readonly usedAs: string | undefined;
  readonly limits: readonly LimitSettings[];
  /** What it gives, as its clients see it. */
  readonly document: UpstreamDocument | undefined;
  /** Not everybody who asks is answered, so that no cache between may give an answer to others. */
  readonly closed: boolean;
  readonly #composition: Composition;
  readonly #cost: number | undefined;

  constructor(options: ComposedRouteOptions) {
    this.name = options.name;
    this.path = options.path;
    this.criteria = options.criteria;
    this.origin = options.origin;
    this.replaces = options.replaces;
    this.timeoutMs = options.timeoutMs;
    this.criticality = options.criticality;
    this.requirement = options.requirement;
    this.closed = demandsCredential(options.requirement);
    this.cors = options.cors;
    this.coding = options.coding;
    this.maxBodyBytes = options.maxBodyBytes;
    this.documented = options.documented;
    this.version = options.version;
    this.retirement = options.retirement;
    this.usedAs = options.usedAs;
    this.limits = options.limits;
    this.document = options.document;
    this.#composition = options.composition;
    this.#cost = options.cost;
    const { contract } = options;
    this.contract = contract;
    // What describes it is written in the paths of its own.
    this.checkRequest =
      contract?.checksRequests === true ? (context) => contract.check(context, context.target) : undefined;
  }

  get tag(): string {
    return this.#composition.tag;
  }

  /** Thousandths of a call. */
  get cost(): number | undefined {
    return this.#cost ?? this.#composition.cost;
  }

  get flat(): boolean {
    return this.#cost !== undefined;
  }

  /** @throws what is to be told instead */
  answer(context: RequestContext, run: RunOperation | undefined): Promise<void> {
    const { timeoutMs } = this;
    if (timeoutMs !== undefined) context.deadlineMs = Math.min(context.deadlineMs, context.startedMs + timeoutMs);
    return this.#composition.answer(context, run);
  }
}
