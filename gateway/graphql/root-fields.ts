import { Kind, type DocumentNode, type OperationDefinitionNode, type SelectionSetNode } from 'graphql';

/** Tells of the root fields that an operation selects, by name, whatever `@skip` and `@include` will make of them. */
export function eachRootField(
  document: DocumentNode,
  operation: OperationDefinitionNode,
  tell: (name: string) => void,
): void {
  const spread = new Set<string>();

  function visit({ selections }: SelectionSetNode): void {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) {
        tell(selection.name.value);
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
}

/** It asks for what is left of the budget and for nothing else, so that it costs nothing. */
export function asksForBudgetAlone(document: DocumentNode, operation: OperationDefinitionNode): boolean {
  let [asked, others] = [false, false];
  eachRootField(document, operation, (name) => {
    if (name === 'rateLimit') asked = true;
    else if (name !== '__typename') others = true;
  });
  return asked && !others && operation.operation === 'query';
}
