import { isObjectType, type GraphQLSchema } from 'graphql';
import { cacheControlOf, upstreamOf } from '#schema/directives.ts';

/** What SDL says of keeping what a field gives. */
export interface ExplainedCaching {
  /** Seconds, where the upstream says nothing. */
  readonly maxAge?: number;
  readonly scope?: 'PUBLIC' | 'PRIVATE';
  /** How long the last good answer stands in for a failure. */
  readonly staleIfError?: string;
}

/** @param coordinate `Type.field` @returns undefined where nothing is said */
export function cachingOf(schema: GraphQLSchema, coordinate: string): ExplainedCaching | undefined {
  const [typeName = '', name = ''] = coordinate.split('.');
  const type = schema.getType(typeName);
  const field = isObjectType(type) ? type.getFields()[name] : undefined;
  if (!field) return undefined;
  const { maxAge, scope } = cacheControlOf(schema, field) ?? {};
  const staleIfError = upstreamOf(schema, field)?.staleIfError;
  if (maxAge === undefined && scope === undefined && staleIfError === undefined) return undefined;
  return {
    ...(maxAge !== undefined && { maxAge }),
    ...(scope !== undefined && { scope }),
    ...(staleIfError !== undefined && { staleIfError }),
  };
}
