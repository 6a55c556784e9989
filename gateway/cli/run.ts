import { ConfigError } from '#gateway/config/problem.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { version } from '#gateway/version.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import { parseArguments, usage, UsageError, type Arguments, type CommandName } from './arguments.ts';
import type { Terminal } from './terminal.ts';

type Command = (args: Arguments, terminal: Terminal) => Promise<number>;

/** Loaded when they are called: who looks for what is wrong need not wait for all that a gateway is made of. */
const commands: Readonly<Record<CommandName, () => Promise<Command>>> = {
  start: async () => (await import('./start.ts')).start,
  check: async () => (await import('./check.ts')).check,
  explain: async () => (await import('./explain.ts')).explain,
  config: async () => (await import('./config.ts')).printConfiguration,
  schema: async () => (await import('./schema.ts')).printSchemaOf,
  openapi: async () => (await import('./openapi.ts')).printOpenapi,
  types: async () => (await import('./types.ts')).types,
  alerts: async () => (await import('./alerts.ts')).printAlerts,
  status: async () => (await import('./status.ts')).status,
  cache: async () => (await import('./cache.ts')).cache,
  upstream: async () => (await import('./upstream.ts')).upstream,
  endpoint: async () => (await import('./endpoint.ts')).endpoint,
  block: async () => (await import('./block.ts')).block,
  'who-uses': async () => (await import('./who-uses.ts')).whoUses,
  limit: async () => (await import('./limit.ts')).limit,
  spend: async () => (await import('./spend.ts')).spend,
  debug: async () => (await import('./debug.ts')).debug,
  keys: async () => (await import('./keys.ts')).keys,
  reload: async () => (await import('./reload.ts')).reload,
  rollback: async () => (await import('./reload.ts')).rollback,
};

/** @returns the exit status: 0 done, 1 something is wrong with the project or the gateway, 2 with the call */
export async function run(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const args = parseArguments(argv);
    if (args.version) terminal.out(`${version}\n`);
    else if (args.help || args.command === undefined) terminal.out(usage);
    else return await (await commands[args.command]())(args, terminal);
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
