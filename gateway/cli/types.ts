import { relative } from 'node:path';
import { generateTypes, type TypeGenerator } from '#resolvers/types.ts';
import { modulesFolder } from '#gateway/project.ts';
import type { Arguments } from './arguments.ts';
import type { Terminal } from './terminal.ts';

/** Writes the types of a folder of modules; with `--check` only says what is out of date. */
export async function types(args: Arguments, terminal: Terminal): Promise<number> {
  const folder = modulesFolder(args);
  if (folder === undefined) {
    terminal.err(
      'There are no modules to make types for. Fix: name their folder with --modules DIR, or modules: in the configuration.\n',
    );
    return 1;
  }
  const files = await generateTypes(folder, await loadGenerator(), { check: args.check });
  const changed = files.filter(({ state }) => state !== 'current');
  for (const { file, state } of changed) terminal.out(`${relative('', file)} ${state}\n`);
  if (!args.check) terminal.out(`${changed.length} of ${files.length} files changed.\n`);
  else if (changed.length > 0) terminal.err('The generated types are out of date. Fix: run weir types.\n');
  return args.check && changed.length > 0 ? 1 : 0;
}

/** Apart from everything else, for it brings a TypeScript of its own: in the package it is one bundled file. */
async function loadGenerator(): Promise<TypeGenerator> {
  const path = import.meta.url.endsWith('.ts') ? '../../tools/types/generate.ts' : '../../tools/types.js';
  return (await import(new URL(path, import.meta.url).href)) as TypeGenerator;
}
