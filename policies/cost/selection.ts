import {
  GraphQLDeferDirective,
  Kind,
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLObjectType,
  type GraphQLSchema,
  isAbstractType,
  type SelectionSetNode,
} from 'graphql';
import { always, keyOf, narrowed, type Conditions } from './conditions.ts';

/** A field of the document where it is selected, and when. */
interface Occurrence {
  readonly node: FieldNode;
  readonly when: Conditions;
}

/** A selection set, and when what is in it is selected. */
export interface Source {
  readonly set: SelectionSetNode;
  readonly when: Conditions;
}

/** What becomes one field of the answer: all that is selected under one key. */
export interface SelectedField {
  readonly node: FieldNode;
  /** One of these must hold; it is always there where this is undefined. */
  readonly when: readonly Conditions[] | undefined;
  /** What is selected below it. */
  readonly sources: readonly Source[];
  /** How many parts of the answer it comes after: 0 where it comes with the fields around it. */
  readonly deferred: number;
  /** The same for what comes to the same. */
  readonly key: string;
}

interface Group {
  readonly deferred: number;
  readonly occurrences: Occurrence[];
}

/** The fragment that defers what is selected, and how many do. */
interface Deferral {
  readonly by: number;
  readonly depth: number;
}

const atOnce: Deferral = { by: 0, depth: 0 };

/**
 * CollectFields (GraphQL §6.3.2) with conditions kept open: fields of one key become one, and a fragment that is spread often
 * counts once. What is deferred stays apart, since an executor may run a field in both parts.
 */
export class Selections {
  readonly #schema: GraphQLSchema;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();
  readonly #ids = new Map<object, number>();

  constructor(schema: GraphQLSchema, document: DocumentNode) {
    this.#schema = schema;
    for (const definition of document.definitions)
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.#fragments.set(definition.name.value, definition);
  }

  /** The fields that are selected of an object of a type. */
  of(type: GraphQLObjectType, sources: readonly Source[]): readonly SelectedField[] {
    const groups = new Map<string, Group>();
    const visited = new Map<string, string>();
    for (const { set, when } of sources) this.#collect(type, set, when, atOnce, groups, visited);
    return Array.from(groups, ([key, group]) => this.#joined(key, group));
  }

  #collect(
    type: GraphQLObjectType,
    set: SelectionSetNode,
    above: Conditions,
    deferral: Deferral,
    groups: Map<string, Group>,
    visited: Map<string, string>,
  ): void {
    for (const selection of set.selections) {
      const when = narrowed(above, selection.directives);
      if (!when) continue;
      if (selection.kind === Kind.FIELD) {
        const key = `${deferral.by === 0 ? '' : deferral.by} ${(selection.alias ?? selection.name).value}`;
        const group = groups.get(key);
        if (group) group.occurrences.push({ node: selection, when });
        else groups.set(key, { deferred: deferral.depth, occurrences: [{ node: selection, when }] });
        continue;
      }
      const defers = isDeferred(selection.directives);
      const further = defers ? { by: this.#idOf(selection), depth: deferral.depth + 1 } : deferral;
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        if (this.#applies(selection.typeCondition?.name.value, type))
          this.#collect(type, selection.selectionSet, when, further, groups, visited);
        continue;
      }
      const fragment = this.#fragments.get(selection.name.value);
      if (!fragment || !this.#applies(fragment.typeCondition.name.value, type)) continue;
      // Spread on several conditions it counts as there without any: two visits are enough, however often it is spread.
      const place = `${further.by} ${selection.name.value}`;
      const former = visited.get(place);
      const own = keyOf(when);
      if (former === '' || former === own) continue;
      const effective = former === undefined ? when : always;
      visited.set(place, keyOf(effective));
      this.#collect(type, fragment.selectionSet, effective, further, groups, visited);
    }
  }

  #joined(key: string, { deferred, occurrences }: Group): SelectedField {
    const keys = new Set(occurrences.map(({ when }) => keyOf(when)));
    // What holds for all of them need not be asked again below.
    const uniform = keys.size === 1;
    const sources = occurrences.flatMap(({ node, when }) =>
      node.selectionSet ? [{ set: node.selectionSet, when: uniform ? always : when }] : [],
    );
    const parts = occurrences.map(({ node, when }) => `${this.#idOf(node)}${keyOf(when)}`);
    return {
      node: occurrences[0]!.node,
      when: keys.has('') ? undefined : occurrences.map(({ when }) => when),
      sources,
      deferred,
      key: `${key}:${parts.join(',')}`,
    };
  }

  #applies(condition: string | undefined, type: GraphQLObjectType): boolean {
    if (condition === undefined || condition === type.name) return true;
    const named = this.#schema.getType(condition);
    return isAbstractType(named) && this.#schema.isSubType(named, type);
  }

  #idOf(node: object): number {
    let id = this.#ids.get(node);
    if (id === undefined) this.#ids.set(node, (id = this.#ids.size + 1));
    return id;
  }
}

function isDeferred(directives: readonly DirectiveNode[] | undefined): boolean {
  const defer = directives?.find(({ name }) => name.value === GraphQLDeferDirective.name);
  const condition = defer?.arguments?.find(({ name }) => name.value === 'if')?.value;
  return defer !== undefined && !(condition?.kind === Kind.BOOLEAN && !condition.value);
}
