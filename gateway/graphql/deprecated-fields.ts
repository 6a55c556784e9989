import { isAbstractType, type DocumentNode, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { eachSelectedField } from './selected-fields.ts';

/**
 * The `@deprecated` fields that an operation selects, as `Type.field`. Of a field of an interface: of each type on which it
 * is deprecated.
 */
export function deprecatedFields(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): readonly string[] {
  const found = new Set<string>();
  eachSelectedField(schema, document, operation, (parent, name) => {
    for (const type of isAbstractType(parent) ? [parent, ...schema.getPossibleTypes(parent)] : [parent])
      if ('getFields' in type && typeof type.getFields()[name]?.deprecationReason === 'string')
        found.add(`${type.name}.${name}`);
  });
  return [...found];
}
