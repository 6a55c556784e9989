import type { GraphQLField, GraphQLSchema } from 'graphql';
import { parseDuration } from '#core/duration.ts';
import { cacheControlOf, type UpstreamField } from '#schema/directives.ts';
import type { Problem } from '#schema/problem.ts';
import type { FieldCaching } from '#upstreams/purpose.ts';
import { placeOf } from './field-problems.ts';

type Field = GraphQLField<unknown, unknown>;

const longestMs = 365 * 86_400_000;

/** What `@cacheControl` and `@upstream(staleIfError:)` say of a field; undefined where they say nothing, a problem where it makes no sense. */
export function fieldCaching(
  schema: GraphQLSchema,
  typeName: string,
  field: Field,
  upstream: UpstreamField | undefined,
): FieldCaching | Problem | undefined {
  const control = cacheControlOf(schema, field);
  const stale = upstream?.staleIfError;
  if (!control && stale === undefined) return undefined;
  const path = `${typeName}.${field.name}`;
  const problem = (message: string, fix: string): Problem => ({ where: placeOf(field), message, fix });
  if (typeName !== schema.getQueryType()?.name && isRoot(schema, typeName)) {
    // A type may say it for all fields that give it, those of mutations among them.
    if (stale !== undefined)
      return problem(`${path} has staleIfError, but what is not read has no last good answer`, 'remove staleIfError');
    return undefined;
  }
  if (control?.maxAge !== undefined && control.maxAge < 0)
    return problem(`${path} has maxAge: ${control.maxAge} in @cacheControl`, 'write seconds, 0 or more');
  const staleIfErrorMs = stale === undefined ? undefined : durationOf(stale);
  if (Number.isNaN(staleIfErrorMs))
    return problem(`${path} has staleIfError: "${stale}"`, 'write a duration up to 365d, such as "10m"');
  return {
    rules: {
      ...(control?.maxAge !== undefined && { ttl: control.maxAge * 1000 }),
      ...(control?.scope !== undefined && { scope: control.scope === 'PUBLIC' ? 'shared' : 'subject' }),
      ...(staleIfErrorMs !== undefined && { staleIfError: staleIfErrorMs }),
    },
    inherits: control?.inheritMaxAge === true,
  };
}

function isRoot(schema: GraphQLSchema, typeName: string): boolean {
  return [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].some(
    (root) => root?.name === typeName,
  );
}

/** NaN for what is none, or too long. */
function durationOf(text: string): number {
  try {
    const ms = parseDuration(text);
    return ms > 0 && ms <= longestMs ? ms : Number.NaN;
  } catch {
    return Number.NaN;
  }
}
