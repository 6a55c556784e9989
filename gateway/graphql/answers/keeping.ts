import {
  isInterfaceType,
  isObjectType,
  isUnionType,
  type DocumentNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { wholeIdentity } from '#core/provenance.ts';
import { cacheControlOf, upstreamOf } from '#schema/directives.ts';
import { eachSelectedField } from '#gateway/graphql/selected-fields.ts';
import type { Audience } from './audience.ts';

/** How the answers of an operation may be kept, as far as its document tells. */
export interface Keeping {
  /** The variables that the operation declares, sorted: what else a request brings changes nothing. */
  readonly variables: readonly string[];
  /** The least that SDL says of fields that no upstream answers; infinite where it says nothing. */
  readonly maxAgeMs: number;
  /** Facets of the identity that SDL says answers are for. */
  readonly facets: number;
  /** Those that its answers have been for so far. */
  readonly audiences: Audience[];
}

type Field = GraphQLField<unknown, unknown>;

/**
 * Queries alone, and of these only those whose every root field is answered by an upstream or says by `@cacheControl` how long it
 * is good: anything else a function may make up anew each time. What asks for the schema is not kept.
 */
export function keepingOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): Keeping | undefined {
  if (operation.operation !== 'query') return undefined;
  const query = schema.getQueryType();
  const whole = { kept: true, maxAgeMs: Number.POSITIVE_INFINITY, facets: 0 };
  eachSelectedField(schema, document, operation, (parent, name) => {
    if (name === '__typename') return;
    if (name.startsWith('__')) whole.kept = false;
    for (const field of fieldsOf(schema, parent, name)) {
      const said = saidOf(schema, field);
      whole.facets |= said.facets;
      whole.maxAgeMs = Math.min(whole.maxAgeMs, said.maxAgeMs);
      if (parent === query && !said.answered) whole.kept = false;
    }
  });
  const { kept, maxAgeMs, facets } = whole;
  if (!kept || maxAgeMs <= 0) return undefined;
  const variables = (operation.variableDefinitions ?? []).map(({ variable }) => variable.name.value).toSorted();
  return { variables, maxAgeMs, facets, audiences: [] };
}

/** The field itself, and on an interface or union those of the types that it may turn out to be. */
function fieldsOf(schema: GraphQLSchema, parent: GraphQLNamedType, name: string): readonly Field[] {
  const types =
    isInterfaceType(parent) || isUnionType(parent) ? [parent, ...schema.getPossibleTypes(parent)] : [parent];
  return types.flatMap((type) => {
    const field = isObjectType(type) || isInterfaceType(type) ? type.getFields()[name] : undefined;
    return field ? [field] : [];
  });
}

interface Said {
  /** By an upstream, or as SDL says. */
  readonly answered: boolean;
  readonly maxAgeMs: number;
  readonly facets: number;
}

const known = new WeakMap<Field, Said>();

function saidOf(schema: GraphQLSchema, field: Field): Said {
  let said = known.get(field);
  if (!said) {
    const upstream = upstreamOf(schema, field) !== undefined;
    const control = cacheControlOf(schema, field);
    said = {
      answered: upstream || control?.maxAge !== undefined || control?.inheritMaxAge === true,
      // Where there is an upstream, it has the last word.
      maxAgeMs: upstream || control?.maxAge === undefined ? Number.POSITIVE_INFINITY : control.maxAge * 1000,
      facets: control?.scope === 'PRIVATE' ? wholeIdentity : 0,
    };
    known.set(field, said);
  }
  return said;
}
