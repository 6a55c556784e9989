import { getDirectiveValues, type GraphQLField, type GraphQLSchema } from 'graphql';

/** `@upstream` as written on a field. */
export interface UpstreamField {
  readonly name: string;
  /** Parents in one call; undefined where each costs a call. */
  readonly batch: number | undefined;
  readonly optional: boolean;
  readonly staleIfError: string | undefined;
}

/** `@listSize` as written on a field. */
export interface ListSize {
  readonly assumedSize: number | undefined;
  readonly slicingArguments: readonly string[];
  readonly sizedFields: readonly string[];
  readonly requireOneSlicingArgument: boolean;
}

type Field = GraphQLField<unknown, unknown>;

export function upstreamOf(schema: GraphQLSchema, field: Field): UpstreamField | undefined {
  const values = valuesOf<UpstreamField>(schema, field, 'upstream');
  return (
    values && { name: values.name!, batch: values.batch, optional: values.optional!, staleIfError: values.staleIfError }
  );
}

export function listSizeOf(schema: GraphQLSchema, field: Field): ListSize | undefined {
  const values = valuesOf<ListSize>(schema, field, 'listSize');
  return (
    values && {
      assumedSize: values.assumedSize,
      slicingArguments: values.slicingArguments ?? [],
      sizedFields: values.sizedFields ?? [],
      requireOneSlicingArgument: values.requireOneSlicingArgument!,
    }
  );
}

/** Arguments that were left out and have no default are absent. */
function valuesOf<T>(schema: GraphQLSchema, { astNode }: Field, name: string): Partial<T> | undefined {
  const directive = schema.getDirective(name);
  return directive && astNode ? (getDirectiveValues(directive, astNode) as Partial<T> | undefined) : undefined;
}
