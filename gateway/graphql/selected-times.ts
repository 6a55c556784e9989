import {
  getNamedType,
  isAbstractType,
  isInterfaceType,
  isObjectType,
  Kind,
  type DocumentNode,
  type GraphQLNamedType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

/** More than anybody selects. */
const most = 1_000_000;

/**
 * How often an operation selects some fields, `Type.field`, whatever `@skip` and `@include` will make of it: under each alias,
 * and with each spread of a fragment, anew. A field of an interface is one of each of its types.
 * @returns undefined where it selects none of them
 */
export function selectedTimes(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  wanted: ReadonlySet<string>,
): ReadonlyMap<string, number> | undefined {
  const ofFragment = new Map<string, ReadonlyMap<string, number>>();

  function count({ selections }: SelectionSetNode, parent: GraphQLNamedType | undefined): Map<string, number> {
    const times = new Map<string, number>();
    const add = (more: ReadonlyMap<string, number>) => {
      for (const [field, number] of more) times.set(field, Math.min(most, (times.get(field) ?? 0) + number));
    };
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) {
        const name = selection.name.value;
        for (const type of typesOf(parent))
          if (wanted.has(`${type.name}.${name}`)) add(new Map([[`${type.name}.${name}`, 1]]));
        if (selection.selectionSet) add(count(selection.selectionSet, typeOfField(parent, name)));
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        const on = selection.typeCondition?.name.value;
        add(count(selection.selectionSet, on === undefined ? parent : schema.getType(on)));
      } else {
        add(spread(selection.name.value));
      }
    }
    return times;
  }

  function spread(name: string): ReadonlyMap<string, number> {
    const known = ofFragment.get(name);
    if (known) return known;
    const fragment = document.definitions.find(
      (definition) => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === name,
    );
    if (fragment?.kind !== Kind.FRAGMENT_DEFINITION) return new Map();
    const times = count(fragment.selectionSet, schema.getType(fragment.typeCondition.name.value));
    ofFragment.set(name, times);
    return times;
  }

  function typesOf(parent: GraphQLNamedType | undefined): readonly GraphQLNamedType[] {
    if (isAbstractType(parent)) return schema.getPossibleTypes(parent);
    return parent ? [parent] : [];
  }

  const times = count(operation.selectionSet, schema.getRootType(operation.operation) ?? undefined);
  return times.size > 0 ? times : undefined;
}

function typeOfField(parent: GraphQLNamedType | undefined, name: string): GraphQLNamedType | undefined {
  if (!isObjectType(parent) && !isInterfaceType(parent)) return undefined;
  const field = parent.getFields()[name];
  return field && getNamedType(field.type);
}
