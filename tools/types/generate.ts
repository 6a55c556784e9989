/**
 * Writes TypeScript from what a module is made of: its OpenAPI documents and the schema. Pure functions over texts; which
 * files there are, and where the results go, is the matter of `resolvers/types.ts`.
 */
import { codegen } from '@graphql-codegen/core';
import * as typescriptPlugin from '@graphql-codegen/typescript';
import * as resolversPlugin from '@graphql-codegen/typescript-resolvers';
import { parse } from 'graphql';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';

export interface ResolverTypesOptions {
  /** For GraphQL types that are made from something else than their own fields say: `path#Type` by name. */
  readonly models: Readonly<Record<string, string>>;
  /** TypeScript types of scalars besides the built-in ones; `unknown` where nothing is said. */
  readonly scalars: Readonly<Record<string, string>>;
  /** The module whose `Register` is told of the result. */
  readonly register: string;
}

/**
 * `paths` and `components` of an OpenAPI document.
 * @param url where the document is from; references to other files start there
 */
export async function openapiTypes(document: string, url: URL): Promise<string> {
  const nodes = await openapiTS(document, { cwd: new URL('.', url), silent: true, emptyObjectsUnknown: true });
  return astToString(nodes);
}

/** The types of all resolvers of a schema, told to `Register` so that `defineModule` knows them. */
export async function resolverTypes(sdl: string, options: ResolverTypesOptions): Promise<string> {
  const code = await codegen({
    filename: 'schema.ts',
    schema: parse(sdl),
    documents: [],
    plugins: [{ typescript: {} }, { resolvers: {} }],
    pluginMap: { typescript: typescriptPlugin, resolvers: resolversPlugin },
    config: {
      contextType: 'unknown',
      defaultScalarType: 'unknown',
      emitLegacyCommonJSImports: false,
      enumsAsTypes: true,
      inputMaybeValue: 'T | null | undefined',
      makeResolverTypeCallable: true,
      mappers: options.models,
      maybeValue: 'T | null | undefined',
      noSchemaStitching: true,
      rootValueType: 'unknown',
      scalars: { ID: { input: 'string', output: 'string' }, ...options.scalars },
      skipTypename: true,
      useTypeImports: true,
    },
  });
  return `${code.trim()}\n\ndeclare module '${options.register}' {\n  interface Register {\n    resolvers: Resolvers;\n  }\n}\n`;
}

/** The names of the types that a TypeScript file exports. */
export function exportedTypes(source: string): readonly string[] {
  return ts.createSourceFile('models.ts', source, ts.ScriptTarget.Latest).statements.flatMap((statement) => {
    if (ts.isExportDeclaration(statement)) {
      const { exportClause } = statement;
      return exportClause && ts.isNamedExports(exportClause) ? exportClause.elements.map(({ name }) => name.text) : [];
    }
    const declares =
      ts.isTypeAliasDeclaration(statement) || ts.isInterfaceDeclaration(statement) || ts.isClassDeclaration(statement);
    const exported = declares && statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
    return exported && statement.name ? [statement.name.text] : [];
  });
}
