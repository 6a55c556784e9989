import type { DocumentNode, GraphQLSchema, OperationDefinitionNode } from 'graphql';
import { moreCritical, type Criticality } from '#core/criticality.ts';
import { criticalityOf } from '#schema/directives.ts';
import { eachRootField } from './root-fields.ts';

/**
 * How critical the operations of a document are: each as its most critical root field, whatever `@skip` and `@include` will
 * make of it. A root field that says nothing has the criticality of `usual`.
 */
export function operationCriticality(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  usual: Criticality,
): Criticality {
  const fields = schema.getRootType(operation.operation)?.getFields() ?? {};
  let found: Criticality | undefined;
  eachRootField(document, operation, (name) => {
    const field = fields[name];
    const own = (field && criticalityOf(schema, field)) ?? usual;
    found = found === undefined ? own : moreCritical(found, own);
  });
  return found ?? usual;
}
