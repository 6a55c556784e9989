import { printConfig } from '#gateway/config/print.ts';
import { openProject } from '#gateway/project.ts';
import type { Arguments } from './arguments.ts';
import type { Terminal } from './terminal.ts';

/** Prints the effective configuration, secrets redacted, each value with its source. */
export async function printConfiguration(args: Arguments, terminal: Terminal): Promise<number> {
  const { loaded } = await openProject(args);
  terminal.out(printConfig(loaded));
  return 0;
}
