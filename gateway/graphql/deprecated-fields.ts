import {
  getNamedType,
  isAbstractType,
  Kind,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';

/**
 * The `@deprecated` fields that an operation selects, as `Type.field`, whatever `@skip` and `@include` will make of them. Of
 * a field of an interface: of each type on which it is deprecated.
 */
export function deprecatedFields(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): readonly string[] {
  const found = new Set<string>();
  const spread = new Set<string>();

  function collect(root: DocumentNode['definitions'][number]): void {
    const info = new TypeInfo(schema);
    visit(
      root,
      visitWithTypeInfo(info, {
        Field({ name }) {
          const parent = info.getParentType();
          if (!parent) return;
          const named = getNamedType(parent);
          for (const type of isAbstractType(named) ? [named, ...schema.getPossibleTypes(named)] : [named])
            if ('getFields' in type && typeof type.getFields()[name.value]?.deprecationReason === 'string')
              found.add(`${type.name}.${name.value}`);
        },
        FragmentSpread({ name }) {
          if (spread.has(name.value)) return;
          spread.add(name.value);
          const fragment = document.definitions.find(
            (definition) => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === name.value,
          );
          if (fragment) collect(fragment);
        },
      }),
    );
  }

  collect(operation);
  return [...found];
}
