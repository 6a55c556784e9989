import {
  isIntrospectionType,
  isSpecifiedDirective,
  isSpecifiedScalarType,
  print,
  type ASTNode,
  type GraphQLNamedType,
  type GraphQLSchema,
} from 'graphql';

/**
 * The contract: the whole schema as SDL, with the directives that graphql-js's own printer leaves out. Types are in the
 * order of their names; what modules add to a type stands together with it.
 */
export function printContract(schema: GraphQLSchema): string {
  const directives = schema.getDirectives().filter((directive) => !isSpecifiedDirective(directive));
  const types = Object.values(schema.getTypeMap()).filter(
    (type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type),
  );
  const nodes = [...byName(directives).map(({ astNode }) => astNode), ...byName(types).map(whole)];
  return `${nodes.flatMap((node) => (node ? [print(node)] : [])).join('\n\n')}\n`;
}

function byName<T extends { readonly name: string }>(named: readonly T[]): T[] {
  return named.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** What a definition and its extensions each have some of. */
const lists = ['interfaces', 'directives', 'fields', 'values', 'types'] as const;

/** A type's definition with all that extends it. */
function whole({ astNode, extensionASTNodes }: GraphQLNamedType): ASTNode | undefined {
  if (!astNode) return undefined;
  const parts: readonly { readonly [_ in (typeof lists)[number]]?: readonly ASTNode[] | undefined }[] = [
    astNode,
    ...extensionASTNodes,
  ];
  const joined = lists.map((list) => [list, parts.flatMap((part) => part[list] ?? [])]);
  return { ...astNode, ...(Object.fromEntries(joined) as object) };
}
