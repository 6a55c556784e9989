import { ConfigError } from '#gateway/config/problem.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { version } from '#gateway/version.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import { parseArguments, usage, UsageError, type Arguments, type CommandName } from './arguments.ts';
import { printAlerts } from './alerts.ts';
import { check } from './check.ts';
import { printConfiguration } from './config.ts';
import { debug } from './debug.ts';
import { endpoint } from './endpoint.ts';
import { reload, rollback } from './reload.ts';
import { printSchemaOf } from './schema.ts';
import { start } from './start.ts';
import { status } from './status.ts';
import type { Terminal } from './terminal.ts';
import { types } from './types.ts';
import { upstream } from './upstream.ts';

type Command = (args: Arguments, terminal: Terminal) => Promise<number>;

const commands: Readonly<Record<CommandName, Command>> = {
  start,
  check,
  config: printConfiguration,
  schema: printSchemaOf,
  types,
  alerts: printAlerts,
  status,
  upstream,
  endpoint,
  debug,
  reload,
  rollback,
};

/** @returns the exit status: 0 done, 1 something is wrong with the project or the gateway, 2 with the call */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const args = parseArguments(argv);
    if (args.version) terminal.out(`${version}\n`);
    else if (args.help || args.command === undefined) terminal.out(usage);
    else return await commands[args.command](args, terminal);
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.err(`weir: ${error.message}\n\n${usage}`);
      return 2;
    }
    // Whatever else is thrown is a defect of Weir, of which the stack is wanted.
    if (!(error instanceof ConfigError || error instanceof ProblemsError || error instanceof ModuleError)) throw error;
    terminal.err(`${error.message}\n`);
    return 1;
  }
}
