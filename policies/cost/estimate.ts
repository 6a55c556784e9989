import type { Variables } from './arguments.ts';
import { holds } from './conditions.ts';
import { maxObjects } from './list-size.ts';
import type { Branch, Plan, PlannedField } from './plan.ts';

/** Fields of which no operation has so many, counted once for each path to them; beyond it the price is the highest. */
const maxVisits = 20_000;

/** In thousandths: what is clamped to it is beyond anything that a limit can allow. */
export const maxPrice = 1_000_000_000_000;

/** What one field comes to, for whoever wants to know. */
export interface FieldCost {
  readonly path: string;
  readonly field: PlannedField;
  /** Bound on the objects that it is asked of. */
  readonly parents: number;
  readonly calls: number;
  /** Bound on the objects that it gives, all of them together. */
  readonly objects: number;
  /** In thousandths: its calls, its own weight and its objects, without what is below. */
  readonly cost: number;
}

/** Lists above know the size of these. */
interface Sized {
  readonly names: readonly string[];
  readonly size: number;
}

/**
 * Sums by upstream, and in the last place of everything. What grows in step with the objects is kept apart from calls in
 * batches, which have a first one however few the objects are: of a list of several types, the first is that of the
 * dearest type, the second of all of them.
 */
class Sums {
  readonly even: Float64Array;
  readonly batched: Float64Array;

  constructor(places: number) {
    this.even = new Float64Array(places);
    this.batched = new Float64Array(places);
  }

  add({ even, batched }: Sums): void {
    for (let place = 0; place < even.length; place++) {
      this.even[place]! += even[place]!;
      this.batched[place]! += batched[place]!;
    }
  }

  at(place: number): number {
    return Math.min(this.even[place]! + this.batched[place]!, maxPrice);
  }
}

interface Known {
  readonly parents: number;
  readonly waves: number;
  readonly sums: Sums;
}

/**
 * Walks a plan with the variables of a request: how many objects there may be at each field, in how many waves they may
 * arrive, and what that comes to. It is an upper bound for modules that load by declared loaders.
 */
export class Estimation {
  readonly #plan: Plan;
  readonly #variables: Variables;
  readonly #leftOut: ReadonlySet<string> | undefined;
  readonly #observe: ((cost: FieldCost) => void) | undefined;
  readonly #total: number;
  /** Calls of each field, all its visits together, of this pass and of the one before. */
  #calls: Float64Array;
  #former: Float64Array | undefined;
  readonly #known = new Map<Branch, Known[]>();
  #observing = false;
  #visits = 0;

  /**
   * @param leftOut upstreams whose fields are not resolved
   * @param observe called for each field, once for each path to it
   */
  constructor(
    plan: Plan,
    variables: Variables,
    leftOut: ReadonlySet<string> | undefined,
    observe?: (cost: FieldCost) => void,
  ) {
    this.#plan = plan;
    this.#variables = variables;
    this.#leftOut = leftOut;
    this.#observe = observe;
    this.#total = plan.upstreams.length;
    this.#calls = new Float64Array(plan.fields.length);
  }

  /** @returns undefined where there is more to walk than is worth it */
  run(): Sums | undefined {
    // What fields of a group call decides in how many waves others have their objects, so it is found first without.
    const passes = this.#plan.entangled ? 3 : 1;
    let sums: Sums | undefined;
    for (let pass = 1; pass <= passes; pass++) {
      this.#observing = pass === passes && this.#observe !== undefined;
      this.#known.clear();
      this.#visits = 0;
      if (pass > 1) {
        this.#former = this.#calls;
        this.#calls = new Float64Array(this.#former.length);
      }
      sums = new Sums(this.#total + 1);
      this.#branch(this.#plan.root, 1, 1, undefined, '', sums);
    }
    return this.#visits > maxVisits ? undefined : sums;
  }

  #branch(branch: Branch, parents: number, waves: number, sized: Sized | undefined, path: string, sums: Sums): void {
    // Of fields that wait for each other every visit counts.
    if (!branch.shared || sized || this.#observing || this.#plan.entangled)
      return this.#fields(branch, parents, waves, sized, path, sums);
    const known = this.#known.get(branch) ?? [];
    let same = known.find((one) => one.parents === parents && one.waves === waves);
    if (!same) {
      same = { parents, waves, sums: new Sums(this.#total + 1) };
      this.#fields(branch, parents, waves, undefined, path, same.sums);
      known.push(same);
      this.#known.set(branch, known);
    }
    sums.add(same.sums);
  }

  #fields(
    { fields, weight }: Branch,
    parents: number,
    waves: number,
    sized: Sized | undefined,
    path: string,
    sums: Sums,
  ): void {
    sums.even[this.#total]! += parents * weight;
    for (const field of fields) this.#field(field, parents, waves, sized, path, sums);
  }

  #field(
    field: PlannedField,
    parents: number,
    waves: number,
    sized: Sized | undefined,
    above: string,
    sums: Sums,
  ): void {
    const { calls: called, when, size, leafWeight, branches } = field;
    if (parents === 0 || ++this.#visits > maxVisits) return;
    if (when && !when.some((conditions) => holds(conditions, this.#variables))) return;
    if (called && this.#leftOut?.has(called.upstream)) return;
    const arriving = field.scattered ? parents : waves;
    let calls = 0;
    let answering = arriving;
    if (called) {
      const { batch, index, weight } = called;
      calls = batch === undefined ? parents : Math.min(parents, Math.ceil(parents / batch) + arriving - 1);
      this.#calls[field.id]! += calls;
      const kind = batch === undefined ? sums.even : sums.batched;
      kind[index]! += calls * weight;
      kind[this.#total]! += calls * weight;
      answering = Math.min(parents, calls + this.#othersOf(field, called.group, waves));
    }
    const weight = typeof field.weight === 'number' ? field.weight : field.weight(this.#variables);
    const count = this.#sizeOf(field, sized);
    const objects = Math.min(parents * count, maxObjects);
    sums.even[this.#total]! += parents * weight + objects * leafWeight;
    const path = this.#observing ? `${above === '' ? '' : `${above}.`}${field.responseKey}` : '';
    if (this.#observing) {
      const own = Math.max(0, ...branches.map((branch) => branch.weight));
      const cost = calls * (called?.weight ?? 0) + parents * weight + objects * (leafWeight + own);
      this.#observe?.({ path, field, parents, calls, objects: branches.length > 0 ? objects : 0, cost });
    }
    if (branches.length === 0) return;
    const below = size.sizedFields.length > 0 ? { names: size.sizedFields, size: this.#ownSize(field) } : undefined;
    if (field.streamed) answering = objects;
    const [only] = branches;
    if (branches.length === 1) return this.#branch(only!, objects, answering, below, path, sums);
    this.#dearest(branches, objects, answering, below, path, sums);
  }

  /**
   * One object is of one type: the dearest. Several may be of different types, and the batches of each are its own, so the
   * calls of all types are added up; what grows with the objects is that of the dearest.
   */
  #dearest(
    branches: readonly Branch[],
    objects: number,
    waves: number,
    sized: Sized | undefined,
    path: string,
    sums: Sums,
  ): void {
    const { even, batched } = new Sums(this.#total + 1);
    for (const branch of branches) {
      const own = new Sums(this.#total + 1);
      this.#branch(branch, objects, waves, sized, path, own);
      for (let place = 0; place < even.length; place++) {
        if (objects === 1) {
          even[place] = Math.max(even[place]!, own.even[place]! + own.batched[place]!);
        } else {
          even[place] = Math.max(even[place]!, own.even[place]!);
          batched[place]! += own.batched[place]!;
        }
      }
    }
    for (let place = 0; place < even.length; place++) {
      sums.even[place]! += even[place]!;
      sums.batched[place]! += batched[place]!;
    }
  }

  #sizeOf(field: PlannedField, sized: Sized | undefined): number {
    const { size, name } = field;
    if (size.sizedFields.length > 0) return 1;
    const known = size.open && sized?.names.includes(name) ? sized.size : this.#ownSize(field);
    return Math.min(known * size.within, maxObjects);
  }

  #ownSize({ size }: PlannedField): number {
    return size.read ? size.read(this.#variables) : size.fixed;
  }

  /**
   * In how many more waves the objects of a field may arrive since other fields have asked for some of them already: a key
   * that is on its way for another field is there when that one's call is answered. What is below the field itself asks
   * later than all of its parents, where those arrive at once.
   */
  #othersOf(field: PlannedField, group: readonly PlannedField[], waves: number): number {
    const former = this.#former;
    if (!former || group.length < 2) return 0;
    let calls = 0;
    for (const other of group)
      if (other !== field && !(waves === 1 && field.below.includes(other))) calls += former[other.id]!;
    return calls;
  }
}
