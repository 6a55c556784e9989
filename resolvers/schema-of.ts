import type { GraphQLSchema } from 'graphql';
import { buildTypes } from '#schema/build.ts';
import { mergeSdl } from '#schema/merge.ts';
import type { Problem } from '#schema/problem.ts';
import type { Module } from './module.ts';

/** The types of all modules, without what runs behind them; no schema where there are problems. */
export function schemaOf(
  modules: readonly Pick<Module, 'name' | 'documents'>[],
):
  | { readonly schema: GraphQLSchema; readonly problems: readonly [] }
  | { readonly schema?: never; readonly problems: readonly Problem[] } {
  const merged = mergeSdl(modules.map(({ name, documents }) => ({ module: name, documents })));
  if (merged.problems.length > 0) return { problems: merged.problems };
  const { schema, problems } = buildTypes(merged);
  return problems.length > 0 ? { problems } : { schema, problems: [] };
}
