import { loadModules } from '#resolvers/load-modules.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import { schemaOf } from '#resolvers/schema-of.ts';
import { printContract } from '#schema/print.ts';
import { modulesFolder } from '#gateway/project.ts';
import type { Arguments } from './arguments.ts';
import type { Terminal } from './terminal.ts';

/** Prints the schema of all modules as SDL, the contract with clients. */
export async function printSchemaOf(args: Arguments, terminal: Terminal): Promise<number> {
  const folder = modulesFolder(args);
  if (folder === undefined) {
    terminal.err(
      'There is no schema without modules. Fix: name their folder with --modules DIR, or modules: in the configuration.\n',
    );
    return 1;
  }
  const { schema, problems } = schemaOf(await loadModules(folder));
  if (!schema) throw new ModuleError(problems);
  terminal.out(printContract(schema));
  return 0;
}
