import {
  Kind,
  type DocumentNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { moreCritical, type Criticality } from '#core/criticality.ts';
import { criticalityOf } from '#schema/directives.ts';

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
  const spread = new Set<string>();
  let found: Criticality | undefined;

  function visit({ selections }: SelectionSetNode): void {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) {
        const field = fields[selection.name.value];
        const own = (field && criticalityOf(schema, field)) ?? usual;
        found = found === undefined ? own : moreCritical(found, own);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        visit(selection.selectionSet);
      } else if (!spread.has(selection.name.value)) {
        spread.add(selection.name.value);
        const fragment = document.definitions.find(
          (definition) =>
            definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === selection.name.value,
        );
        if (fragment && 'selectionSet' in fragment) visit(fragment.selectionSet);
      }
    }
  }

  visit(operation.selectionSet);
  return found ?? usual;
}
