import type { GraphQLError, GraphQLFormattedError } from 'graphql';
import type { Degraded, RequestContext } from '#core/context.ts';

/** An answer, or a part of one, as it is sent: GraphQL §7.1 and the incremental formats. */
export interface Result {
  readonly errors?: readonly GraphQLFormattedError[];
  readonly data?: unknown;
  readonly incremental?: readonly unknown[];
  readonly completed?: readonly unknown[];
  readonly hasNext?: boolean;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

interface RawPart {
  readonly errors?: readonly GraphQLError[];
}

/** The same as the engine makes it, in any of the formats. */
export interface RawResult extends RawPart {
  readonly data?: unknown;
  readonly incremental?: readonly RawPart[];
  readonly completed?: readonly RawPart[];
  readonly hasNext?: boolean;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/**
 * Makes a result ready to be sent: errors lose what is internal, and fields that may fail leave their note. In an answer in
 * parts each part repeats the notes so far, since clients let a later `extensions` stand in for an earlier one.
 * @param added further `extensions`
 */
export function formatResult(
  raw: RawResult,
  context: RequestContext,
  formatError: (error: GraphQLError) => GraphQLFormattedError,
  added?: Readonly<Record<string, unknown>>,
): Result {
  const { errors, incremental, completed, extensions, ...rest } = raw;
  const { degraded } = context;
  if (!errors && !incremental && !completed && !degraded && !added) return raw as Result;
  const formatPart = (part: RawPart) => (part.errors ? { ...part, errors: part.errors.map(formatError) } : part);
  return {
    ...(errors && { errors: errors.map(formatError) }),
    ...rest,
    ...(incremental && { incremental: incremental.map(formatPart) }),
    ...(completed && { completed: completed.map(formatPart) }),
    ...((extensions || degraded || added) && {
      extensions: { ...extensions, ...(degraded && { degraded: degraded.map(note) }), ...added },
    }),
  };
}

function note({ path, code, upstream, fallback, ageMs }: Degraded): object {
  return {
    path,
    code,
    ...(upstream !== undefined && { upstream }),
    ...(fallback && { fallback }),
    ...(ageMs !== undefined && { age: Math.floor(ageMs / 1000), reason: reasons[code] ?? 'error' }),
  };
}

/** Why an old answer stands in, in a word. */
const reasons: Readonly<Record<string, string>> = {
  DEADLINE_EXCEEDED: 'timeout',
  UPSTREAM_OVERLOADED: 'overloaded',
  UPSTREAM_TIMEOUT: 'timeout',
  UPSTREAM_UNAVAILABLE: 'breaker-open',
  UPSTREAM_UNREACHABLE: 'unreachable',
};
