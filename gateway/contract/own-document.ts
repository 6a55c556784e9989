import { ServiceDocument, type JsonMap } from '#upstreams/service-document.ts';
import { PathPattern } from '#gateway/routing/pattern.ts';
import type { UpstreamDocument } from './documents.ts';
import { plainPaths } from './served.ts';

/** What a route gives that is answered here, in the words of OpenAPI 3.1. */
export interface OwnOperation {
  readonly method: string;
  /** Without those of the path, which are texts unless they stand here. */
  readonly operation: JsonMap & { readonly parameters?: readonly JsonMap[] };
}

/**
 * A document of one route, at its own paths.
 * @param from where it was written
 * @param schemas that are referred to as components
 * @throws {Error} when it is no OpenAPI
 */
export function ownDocument(
  path: string,
  from: string,
  operations: readonly OwnOperation[],
  schemas: Readonly<Record<string, JsonMap>> = {},
): UpstreamDocument {
  const paths = plainPaths(new PathPattern(path)).map((template) => {
    const names = [...template.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name!);
    const item = operations.map(({ method, operation }) => {
      const stated = operation.parameters ?? [];
      const ofPath = names
        .filter((name) => !stated.some((parameter) => parameter.in === 'path' && parameter.name === name))
        .map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
      const others = stated.filter(({ in: place, name }) => place !== 'path' || names.includes(String(name)));
      return [method.toLowerCase(), { ...operation, parameters: [...ofPath, ...others] }] as const;
    });
    return [template, Object.fromEntries(item)] as const;
  });
  const info = { title: path, version: '1' };
  const components = { schemas };
  const document = new ServiceDocument({ openapi: '3.1.0', info, paths: Object.fromEntries(paths), components });
  return { document, from };
}

/** An answer of JSON. */
export function jsonResponse(description: string, schema: unknown): JsonMap {
  return { description, content: { 'application/json': { schema } } };
}
