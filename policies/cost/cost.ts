import { Kind, type DocumentNode, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { perCall, type Estimate, type OperationPrice } from '#core/price.ts';
import type { Variables } from './arguments.ts';
import { Estimation, maxPrice } from './estimate.ts';
import { planOperation, type Plan, type Pricing } from './plan.ts';

/** What one field of an operation comes to, without what is below it. */
export interface FieldPrice {
  /** Response keys from the root, with dots; lists have no index. */
  readonly path: string;
  /** `Type.field`. */
  readonly field: string;
  readonly upstream: string | undefined;
  /** Parents in one call; undefined where each costs one. */
  readonly batch: number | undefined;
  /** Bound on the objects that it is asked of. */
  readonly parents: number;
  /** Bound on the calls. */
  readonly calls: number;
  /** Bound on the objects that it gives. */
  readonly objects: number;
  /** Its calls, its own `@cost` and its objects, in thousandths of a call. */
  readonly cost: number;
}

/** A price that can be looked into, and that knows what it comes to without some upstreams. */
export interface ItemizedPrice extends OperationPrice {
  /** @param leftOut upstreams whose fields are not resolved */
  estimate(variables: Variables, leftOut?: ReadonlySet<string>): Estimate;
  /** The fields that cost something, in the order of the document; the first thousand. */
  fields(variables: Variables, leftOut?: ReadonlySet<string>): readonly FieldPrice[];
}

/** What a reader can still take in. */
const maxRows = 1_000;

/** The phase of a document: the price of each of its operations, as a function of variables. */
export function priceDocument(
  draft: { readonly document: DocumentNode; readonly prices: Map<OperationDefinitionNode, ItemizedPrice> },
  scope: Pricing & { readonly schema: GraphQLSchema },
): void {
  for (const definition of draft.document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const plan = planOperation(scope.schema, draft.document, definition, scope);
    draft.prices.set(definition, plan ? new PlannedPrice(plan) : beyondPrice);
  }
}

class PlannedPrice implements ItemizedPrice {
  readonly #plan: Plan;
  #fixed: Estimate | undefined;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  estimate(variables: Variables, leftOut?: ReadonlySet<string>): Estimate {
    const same = this.#plan.fixed && leftOut === undefined;
    if (same && this.#fixed) return this.#fixed;
    const estimate = this.#estimate(variables, leftOut);
    if (same) this.#fixed = estimate;
    return estimate;
  }

  fields(variables: Variables, leftOut?: ReadonlySet<string>): readonly FieldPrice[] {
    const rows: FieldPrice[] = [];
    new Estimation(this.#plan, variables, leftOut, ({ path, field, cost, ...bounds }) => {
      const { calls, coordinate } = field;
      if ((cost === 0 && !calls) || rows.length >= maxRows) return;
      rows.push({ path, field: coordinate, upstream: calls?.upstream, batch: calls?.batch, ...bounds, cost });
    }).run();
    return rows;
  }

  #estimate(variables: Variables, leftOut: ReadonlySet<string> | undefined): Estimate {
    const sums = new Estimation(this.#plan, variables, leftOut).run();
    if (!sums) return beyondPrice.estimate();
    const { upstreams } = this.#plan;
    const byUpstream = new Map<string, number>();
    upstreams.forEach((name, index) => byUpstream.set(name, sums.at(index)));
    return { total: sums.at(upstreams.length), byUpstream };
  }
}

const beyond: Estimate = { total: maxPrice, byUpstream: new Map() };

/** Of an operation that has more fields than can be priced. */
const beyondPrice = { estimate: () => beyond, fields: () => [] };

/** A price as people read it: in calls. */
export function inCalls(thousandths: number): number {
  return thousandths / perCall;
}
