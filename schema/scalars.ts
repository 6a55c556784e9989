import { GraphQLError, GraphQLScalarType } from 'graphql';

/** RFC 3339 §5.6, with the offset that makes it a moment. */
const pattern = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

function moment(value: unknown): string {
  if (typeof value === 'string' && pattern.test(value) && !Number.isNaN(Date.parse(value))) return value;
  throw new GraphQLError('A DateTime is a text such as "2026-11-21T09:30:00Z".');
}

/** What executes the scalars of base.graphql. */
export const baseScalars = {
  /** A text to modules, as it is in JSON. */
  DateTime: new GraphQLScalarType<string, string>({
    name: 'DateTime',
    coerceInputValue: moment,
    coerceOutputValue: moment,
  }),
};
