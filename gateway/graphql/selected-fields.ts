import {
  getNamedType,
  Kind,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type GraphQLNamedType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';

/**
 * Tells of every field that an operation selects, whatever `@skip` and `@include` will make of it, with the type that it is
 * selected on, which may be an interface or a union. A fragment is gone through once, however often it is spread.
 */
export function eachSelectedField(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  tell: (parent: GraphQLNamedType, name: string) => void,
): void {
  const spread = new Set<string>();

  function collect(root: DocumentNode['definitions'][number]): void {
    const info = new TypeInfo(schema);
    visit(
      root,
      visitWithTypeInfo(info, {
        Field({ name }) {
          const parent = info.getParentType();
          if (parent) tell(getNamedType(parent), name.value);
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
}
