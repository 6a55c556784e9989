import type { RequestContext } from '#core/context.ts';
import type { Criticality } from '#core/criticality.ts';
import type { ContentCoding } from '#core/reply.ts';
import type { CrossOrigin, Requirement, Retirement } from '#core/route.ts';
import type { LimitSettings } from '#policies/limits/settings.ts';
import type { Criteria, TableEntry } from '#gateway/routing/table.ts';
import type { Aggregate } from './aggregate.ts';

export interface AggregateRouteOptions {
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
  readonly aggregate: Aggregate;
  readonly retirement: Retirement | undefined;
  readonly usedAs: string | undefined;
  readonly cost: number | undefined;
  readonly limits: readonly LimitSettings[];
}

/** Asks for all of it within the route's time. */
export function answerAggregate(context: RequestContext, { aggregate, timeoutMs }: AggregateRoute): void {
  if (timeoutMs !== undefined) context.deadlineMs = Math.min(context.deadlineMs, context.startedMs + timeoutMs);
  aggregate.answer(context);
}

/** A route whose answer is made of several. */
export class AggregateRoute implements TableEntry {
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
  readonly cors: CrossOrigin | undefined;
  readonly coding: ContentCoding | undefined;
  readonly aggregate: Aggregate;
  readonly retirement: Retirement | undefined;
  readonly usedAs: string | undefined;
  /** It is read, and a read has no content. */
  readonly maxBodyBytes = 0;
  readonly bufferBytes = Number.POSITIVE_INFINITY;
  readonly limits: readonly LimitSettings[];
  readonly #cost: number | undefined;

  constructor(options: AggregateRouteOptions) {
    this.name = options.name;
    this.path = options.path;
    this.criteria = options.criteria;
    this.origin = options.origin;
    this.replaces = options.replaces;
    this.timeoutMs = options.timeoutMs;
    this.criticality = options.criticality;
    this.requirement = options.requirement;
    this.cors = options.cors;
    this.coding = options.coding;
    this.aggregate = options.aggregate;
    this.retirement = options.retirement;
    this.usedAs = options.usedAs;
    this.limits = options.limits;
    this.#cost = options.cost;
  }

  /** Thousandths of a call. */
  get cost(): number {
    return this.#cost ?? this.aggregate.cost;
  }

  get flat(): boolean {
    return this.#cost !== undefined;
  }
}
