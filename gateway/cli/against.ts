import { readFileSync } from 'node:fs';
import { GraphQLError, type GraphQLSchema } from 'graphql';
import { compareContracts } from '#schema/diff.ts';
import { printContract } from '#schema/print.ts';
import { fileReason } from '#gateway/config/expand.ts';
import type { Findings } from './check.ts';

const fix = "Fix: name a file that holds what 'weir schema' printed.";

/** What `weir check --against FILE` finds: what breaks clients of the schema in FILE is an error, what may surprise them a warning. */
export function compareWith(file: string, schema: GraphQLSchema | undefined): Findings {
  if (!schema) return failed('--against compares schemas, but without modules there is none.');
  let before: string;
  try {
    before = readFileSync(file, 'utf8');
  } catch (error) {
    return failed(`--against ${file}: the file ${fileReason(error)}. ${fix}`);
  }
  try {
    const changes = compareContracts(before, printContract(schema));
    const of = (wanted: string): string[] =>
      changes
        .filter(({ effect }) => effect === wanted)
        .map(({ description }) => `${wanted} for clients of ${file}: ${description}`);
    return { errors: of('breaking'), warnings: of('dangerous') };
  } catch (error) {
    const line = error instanceof GraphQLError ? `:${error.locations?.[0]?.line ?? 1}` : '';
    // graphql-js may have several things to say, a paragraph each.
    const reason = (error as Error).message.replaceAll(/\s*\n\s*/g, ' ');
    return failed(`--against ${file}${line}: the file is no schema: ${reason} ${fix}`);
  }
}

function failed(error: string): Findings {
  return { errors: [error], warnings: [] };
}
