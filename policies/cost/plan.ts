import {
  getNamedType,
  isAbstractType,
  isInputObjectType,
  isLeafType,
  isObjectType,
  type DocumentNode,
  type FieldNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { perCall } from '#core/price.ts';
import { costOf, upstreamOf } from '#schema/directives.ts';
import { givenArgument, isVariable, valueAt, type GivenArgument, type Variables } from './arguments.ts';
import { always, type Conditions } from './conditions.ts';
import { sizeOf, type Size } from './list-size.ts';
import { Selections, type SelectedField, type Source } from './selection.ts';
import type { CostSettings } from './settings.ts';

/** The calls behind a field. */
export interface PlannedCalls {
  readonly upstream: string;
  /** Its place among the upstreams of the plan. */
  readonly index: number;
  /** Of one call, in thousandths. */
  readonly weight: number;
  /** Parents in one call; undefined where each costs one. */
  readonly batch: number | undefined;
  /** Fields that may ask for the same objects, this one among them; what one has loaded is there for all. */
  readonly group: PlannedField[];
}

/** A field of the answer that costs something, or below which something does. */
export interface PlannedField {
  /** Its place among the fields of the plan. */
  readonly id: number;
  /** Under which the answer has it. */
  readonly responseKey: string;
  readonly name: string;
  /** `Type.field`. */
  readonly coordinate: string;
  readonly when: readonly Conditions[] | undefined;
  /** Each parent may ask for it at another time: when a part of the answer is complete that came later itself. */
  readonly scattered: boolean;
  /** Each of its objects may come at another time. */
  readonly streamed: boolean;
  readonly calls: PlannedCalls | undefined;
  /** What `@cost` says for one parent, in thousandths. */
  readonly weight: number | ((variables: Variables) => number);
  readonly size: Size;
  /** What one value costs, where it has no fields: in thousandths. */
  readonly leafWeight: number;
  /** What may be selected of an object, by what it may turn out to be. */
  readonly branches: readonly Branch[];
  /** Below it, fields of the same group. */
  readonly below: PlannedField[];
}

/** What is selected of objects of a type. */
export interface Branch {
  /** Of one object, in thousandths. */
  readonly weight: number;
  readonly fields: readonly PlannedField[];
  /** Several fields have it below them. */
  shared: boolean;
}

export interface Plan {
  readonly root: Branch;
  /** In the order of their indices. */
  readonly upstreams: readonly string[];
  readonly fields: readonly PlannedField[];
  /** It comes to the same for all requests. */
  readonly fixed: boolean;
  /** Fields of one group feed others: what one loads, another may have to wait for. */
  readonly entangled: boolean;
}

/** How an operation is priced, besides what its document and its schema say. */
export interface Pricing {
  readonly settings: CostSettings;
  /** What a call to an upstream costs, in thousandths. */
  readonly weightOf: (upstream: string) => number;
}

/**
 * More fields than this, with their fragments spread, are not priced one by one: nobody writes them, and the work of pricing
 * is to be bounded. A document within its limits on tokens has far fewer, unless it is made to have more.
 */
const maxFields = 4_000;

/**
 * Plans how an operation is priced. Selections that come to the same are planned once, so that fragments which spread each
 * other do not multiply.
 * @returns undefined for an operation with too many fields to be priced
 */
export function planOperation(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  pricing: Pricing,
): Plan | undefined {
  const type = schema.getRootType(operation.operation);
  return type ? new Planner(schema, document, pricing).plan(type, operation) : undefined;
}

class TooManyFields extends Error {}

class Planner {
  readonly #schema: GraphQLSchema;
  readonly #pricing: Pricing;
  readonly #selections: Selections;
  readonly #branches = new Map<string, Branch>();
  readonly #fields: PlannedField[] = [];
  readonly #upstreams: string[] = [];
  readonly #groups = new Map<string, PlannedField[]>();
  /** Fields above the one at hand. */
  readonly #above: PlannedField[] = [];
  /** How many of these are deferred. */
  #deferred = 0;
  #fixed = true;

  constructor(schema: GraphQLSchema, document: DocumentNode, pricing: Pricing) {
    this.#schema = schema;
    this.#pricing = pricing;
    this.#selections = new Selections(schema, document);
  }

  plan(type: GraphQLObjectType, operation: OperationDefinitionNode): Plan | undefined {
    try {
      const root = this.#branch(type, [{ set: operation.selectionSet, when: always }], 0);
      const entangled = [...this.#groups.values()].some(
        (group) => group.length > 1 && group.some(({ branches }) => branches.some(({ fields }) => fields.length > 0)),
      );
      return { root, upstreams: this.#upstreams, fields: this.#fields, fixed: this.#fixed, entangled };
    } catch (error) {
      if (error instanceof TooManyFields) return undefined;
      throw error;
    }
  }

  #branch(type: GraphQLObjectType, sources: readonly Source[], weight: number): Branch {
    const selected = this.#selections.of(type, sources);
    const key = `${type.name} ${weight} ${this.#deferred > 0} ${selected.map((field) => field.key).join(' ')}`;
    const known = this.#branches.get(key);
    if (known) {
      known.shared = true;
      return known;
    }
    const fields: PlannedField[] = [];
    const branch: Branch = { weight, fields, shared: false };
    for (const field of selected) {
      const planned = this.#field(type, field);
      if (planned) fields.push(planned);
    }
    this.#branches.set(key, branch);
    return branch;
  }

  #field(type: GraphQLObjectType, selected: SelectedField): PlannedField | undefined {
    const { node, when, sources, deferred } = selected;
    // Introspection is answered from memory.
    const field = node.name.value.startsWith('__') ? undefined : type.getFields()[node.name.value];
    if (!field) return undefined;
    const returned = getNamedType(field.type);
    const weight = this.#weightOf(type, field, node);
    const leafWeight = isLeafType(returned) ? Math.max(0, this.#thousandths(costOf(this.#schema, returned) ?? 0)) : 0;
    const upstream = upstreamOf(this.#schema, field);
    if (isLeafType(returned) && !upstream && weight === 0 && leafWeight === 0) return undefined;
    if (this.#fields.length >= maxFields) throw new TooManyFields();
    const size = sizeOf(this.#schema, type, field, node, this.#pricing.settings.defaultListSize);
    if (when || size.read || typeof weight === 'function') this.#fixed = false;
    const streamed = node.directives?.some(({ name }) => name.value === 'stream') ?? false;
    const branches: Branch[] = [];
    const planned: PlannedField = {
      id: this.#fields.length,
      responseKey: (node.alias ?? node.name).value,
      name: field.name,
      coordinate: `${type.name}.${field.name}`,
      when,
      scattered: deferred > 0 && this.#deferred + deferred > 1,
      streamed,
      calls: upstream && this.#calls(upstream.name, upstream.batch, returned),
      weight,
      size,
      leafWeight,
      branches,
      below: [],
    };
    this.#fields.push(planned);
    planned.calls?.group.push(planned);
    for (const ancestor of this.#above)
      if (ancestor.calls && ancestor.calls.group === planned.calls?.group) ancestor.below.push(planned);
    this.#above.push(planned);
    this.#deferred += deferred;
    branches.push(...this.#branchesOf(returned, sources));
    this.#deferred -= deferred;
    this.#above.pop();
    return planned;
  }

  /** Types of which nothing is selected that costs anything are one, as far as they weigh the same. */
  #branchesOf(returned: GraphQLNamedType, sources: readonly Source[]): readonly Branch[] {
    const types = isObjectType(returned)
      ? [returned]
      : isAbstractType(returned)
        ? this.#schema.getPossibleTypes(returned)
        : [];
    const found = new Set<Branch>();
    const plain = new Map<number, Branch>();
    for (const type of types) {
      const own = costOf(this.#schema, type);
      const weight = own === undefined ? this.#pricing.settings.nodeCost : Math.max(0, this.#thousandths(own));
      const branch = this.#branch(type, sources, weight);
      if (branch.fields.length > 0) found.add(branch);
      else plain.set(weight, plain.get(weight) ?? branch);
    }
    const [heaviest] = [...plain.values()].toSorted((a, b) => b.weight - a.weight);
    return heaviest ? [...found, heaviest] : [...found];
  }

  #calls(upstream: string, batch: number | undefined, returned: GraphQLNamedType): PlannedCalls {
    let index = this.#upstreams.indexOf(upstream);
    if (index < 0) index = this.#upstreams.push(upstream) - 1;
    const key = `${upstream} ${returned.name}`;
    // Without a batch each parent's call is a wave already.
    const group = batch === undefined ? [] : (this.#groups.get(key) ?? []);
    if (batch !== undefined) this.#groups.set(key, group);
    return { upstream, index, weight: this.#pricing.weightOf(upstream), batch, group };
  }

  /** The field's own `@cost`, and that of the arguments it is given; together never below nothing. */
  #weightOf(type: GraphQLObjectType, field: GraphQLField<unknown, unknown>, node: FieldNode): PlannedField['weight'] {
    const declared = [field, ...type.getInterfaces().flatMap((shared) => shared.getFields()[field.name] ?? [])].flatMap(
      (bearer) => costOf(this.#schema, bearer) ?? [],
    );
    const own = this.#thousandths(declared[0] ?? 0);
    const weighed = field.args.filter((argument) => this.#weighs(argument, getNamedType(argument.type)));
    if (weighed.length === 0) return Math.max(0, own);
    const given = weighed.map((argument) => givenArgument(argument, node));
    const total = (variables: Variables): number =>
      Math.max(
        0,
        given.reduce((sum, argument) => sum + this.#argumentWeight(argument, variables), own),
      );
    return given.some((argument) => isVariable(argument.node)) ? total : total({});
  }

  #argumentWeight(given: GivenArgument, variables: Variables): number {
    const value = valueAt(given, [], variables, true);
    return this.#inputWeight(given.argument, getNamedType(given.argument.type), value);
  }

  #inputWeight(bearer: Parameters<typeof costOf>[1], type: GraphQLNamedType, value: unknown): number {
    if (value === undefined || value === null) return 0;
    const own = costOf(this.#schema, bearer) ?? (isLeafType(type) ? costOf(this.#schema, type) : undefined) ?? 0;
    let sum = this.#thousandths(own);
    if (!isInputObjectType(type)) return sum;
    if (Array.isArray(value)) {
      for (const item of value) sum += this.#inputWeight(type, type, item);
    } else if (typeof value === 'object') {
      const members = value as Readonly<Record<string, unknown>>;
      for (const field of Object.values(type.getFields()))
        sum += this.#inputWeight(field, getNamedType(field.type), members[field.name]);
    }
    return sum;
  }

  /** Whether what is given for an input can cost anything. */
  #weighs(
    bearer: Parameters<typeof costOf>[1],
    type: GraphQLNamedType,
    seen: ReadonlySet<GraphQLNamedType> = new Set(),
  ): boolean {
    if (costOf(this.#schema, bearer) !== undefined) return true;
    if (isLeafType(type)) return costOf(this.#schema, type) !== undefined;
    if (!isInputObjectType(type) || seen.has(type)) return false;
    const further = new Set([...seen, type]);
    return Object.values(type.getFields()).some((field) => this.#weighs(field, getNamedType(field.type), further));
  }

  #thousandths(calls: number): number {
    return Math.round(Math.min(Math.max(calls, -maxWeight), maxWeight) * perCall);
  }
}

/** In calls; what is beyond is a slip. */
const maxWeight = 1_000_000;
