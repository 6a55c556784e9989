import { isAbstractType, type DocumentNode, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import type { FieldDemand } from '#policies/auth/field-guard.ts';
import type { Demands } from '#resolvers/guard-fields.ts';
import { eachSelectedField } from './selected-fields.ts';

/**
 * What an operation asks of its reader as a whole: all that any of its fields does. Of a field on an interface or union: what
 * it asks for on any type that it may turn out to be on.
 */
export function operationDemands(
  schema: GraphQLSchema,
  demands: Demands,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): readonly FieldDemand[] {
  if (demands.size === 0) return none;
  const found = new Set<FieldDemand>();
  eachSelectedField(schema, document, operation, (parent, name) => {
    for (const type of isAbstractType(parent) ? schema.getPossibleTypes(parent) : [parent])
      for (const demand of demands.get(`${type.name}.${name}`) ?? []) found.add(demand);
  });
  return [...found];
}

const none: readonly FieldDemand[] = Object.freeze([]);
