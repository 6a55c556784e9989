import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import type { JsonMap } from '#upstreams/service-document.ts';
import { leafSchema, orNull } from './json-schema.ts';

/** One member of what a selection gives, of all its mentions together. */
interface Member {
  readonly field: GraphQLField<unknown, unknown> | undefined;
  readonly nodes: readonly FieldNode[];
  /** It may be left out: `@include`, `@skip`. */
  conditional: boolean;
}

/** JSON Schema of what a valid operation gives, by its selections (GraphQL §6.3). */
export class SelectionSchema {
  readonly #schema: GraphQLSchema;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;

  constructor(schema: GraphQLSchema, document: DocumentNode) {
    this.#schema = schema;
    this.#fragments = new Map(
      document.definitions.flatMap((definition) =>
        definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [],
      ),
    );
  }

  /**
   * What lies at a way of names below an object, not null.
   * @returns undefined where nothing lies there, or a list is on the way
   */
  at(type: GraphQLObjectType, sets: readonly SelectionSetNode[], way: readonly string[]): JsonMap | undefined {
    const [name, ...rest] = way;
    if (name === undefined) return this.#object(type, sets);
    const member = this.#members(type, sets).get(name);
    if (!member?.field) return undefined;
    const output = isNonNullType(member.field.type) ? member.field.type.ofType : member.field.type;
    if (rest.length === 0) return this.#nonNull(output as GraphQLOutputType, setsOf(member));
    return isObjectType(output) ? this.at(output, setsOf(member), rest) : undefined;
  }

  #of(type: GraphQLOutputType, sets: readonly SelectionSetNode[]): JsonMap {
    return isNonNullType(type)
      ? this.#nonNull(type.ofType as GraphQLOutputType, sets)
      : orNull(this.#nonNull(type, sets));
  }

  #nonNull(type: GraphQLOutputType, sets: readonly SelectionSetNode[]): JsonMap {
    if (isListType(type)) return { type: 'array', items: this.#of(type.ofType, sets) };
    const named = getNamedType(type);
    if (!isCompositeType(named)) return leafSchema(named);
    if (isObjectType(named)) return this.#object(named, sets);
    return { anyOf: this.#schema.getPossibleTypes(named).map((possible) => this.#object(possible, sets)) };
  }

  #object(type: GraphQLObjectType, sets: readonly SelectionSetNode[]): JsonMap {
    const members = [...this.#members(type, sets)];
    return {
      type: 'object',
      required: members.flatMap(([name, { conditional }]) => (conditional ? [] : [name])),
      properties: Object.fromEntries(
        members.map(([name, member]) => [
          name,
          member.field
            ? {
                ...this.#of(member.field.type, setsOf(member)),
                ...(typeof member.field.description === 'string' && { description: member.field.description }),
              }
            : { const: type.name },
        ]),
      ),
    };
  }

  /** CollectFields (GraphQL §6.3.2), for an object of this type. */
  #members(type: GraphQLObjectType, sets: readonly SelectionSetNode[]): Map<string, Member> {
    const members = new Map<string, Member>();
    for (const { selections } of sets) this.#collect(type, selections, false, members);
    return members;
  }

  #collect(
    type: GraphQLObjectType,
    selections: readonly SelectionNode[],
    outer: boolean,
    members: Map<string, Member>,
  ): void {
    for (const selection of selections) {
      const conditional =
        outer || (selection.directives ?? []).some(({ name }) => name.value === 'include' || name.value === 'skip');
      if (selection.kind === Kind.FIELD) {
        const name = selection.alias?.value ?? selection.name.value;
        const known = members.get(name);
        const field = type.getFields()[selection.name.value];
        members.set(name, {
          field,
          nodes: [...(known?.nodes ?? []), selection],
          conditional: conditional && (known?.conditional ?? true),
        });
        continue;
      }
      const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : this.#fragments.get(selection.name.value)!;
      if (this.#applies(type, fragment.typeCondition?.name.value))
        this.#collect(type, fragment.selectionSet.selections, conditional, members);
    }
  }

  #applies(type: GraphQLObjectType, condition: string | undefined): boolean {
    if (condition === undefined || condition === type.name) return true;
    const wanted = this.#schema.getType(condition);
    return isAbstractType(wanted) && this.#schema.isSubType(wanted, type);
  }
}

function setsOf({ nodes }: Member): SelectionSetNode[] {
  return nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
}
