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
import type { FieldDemand } from '#policies/auth/field-guard.ts';
import type { Demands } from '#resolvers/guard-fields.ts';

/**
 * What an operation asks of its reader as a whole: all that any of its fields does, whatever `@skip` and `@include` will
 * make of them. Of a field on an interface or union: what it asks for on any type that it may turn out to be on.
 */
export function operationDemands(
  schema: GraphQLSchema,
  demands: Demands,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): readonly FieldDemand[] {
  if (demands.size === 0) return none;
  const found = new Set<FieldDemand>();
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
          const types = isAbstractType(named) ? schema.getPossibleTypes(named) : [named];
          for (const type of types)
            for (const demand of demands.get(`${type.name}.${name.value}`) ?? []) found.add(demand);
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

const none: readonly FieldDemand[] = Object.freeze([]);
