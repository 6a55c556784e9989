import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';

export const usage = `Usage: weir COMMAND [options]

  weir start               run the gateway
  weir check               check configuration, schema, modules, and compile them
        --production       also: every upstream has a timeout, retry, breaker and health check of its own, every route a timeout
        --against FILE     also: list what would break for clients of the schema in FILE
  weir config              print the effective configuration, and where each value came from
  weir schema              print the schema of all modules as SDL
  weir types               generate types for modules from OpenAPI documents and SDL
        --check            only say whether they are up to date
  weir reload              let the running gateway load its file again; on a problem nothing changes, exit 1
  weir rollback            restore the last good file, and let it take over

  --config FILE            the configuration; default gateway.yaml
  --modules DIR            the folder with registry.ts; default: what the configuration says
  --help, --version
`;

const options = {
  config: { type: 'string' },
  modules: { type: 'string' },
  production: { type: 'boolean' },
  against: { type: 'string' },
  check: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const satisfies ParseArgsOptionsConfig;

/** What each command takes besides what all take. */
const own = {
  start: [],
  check: ['production', 'against'],
  config: [],
  schema: [],
  types: ['check'],
  reload: [],
  rollback: [],
} as const satisfies Record<string, readonly (keyof typeof options)[]>;

const common: ReadonlySet<string> = new Set(['config', 'modules', 'help', 'version']);

export type CommandName = keyof typeof own;

export interface Arguments {
  /** Undefined where only help or the version is asked for. */
  readonly command: CommandName | undefined;
  readonly config: string | undefined;
  readonly modules: string | undefined;
  readonly production: boolean;
  readonly against: string | undefined;
  readonly check: boolean;
  readonly help: boolean;
  readonly version: boolean;
}

/** The program was called in a way that it does not understand. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws {UsageError} for a call that is not in the usage */
export function parseArguments(argv: readonly string[]): Arguments {
  const { values, positionals } = parse(argv);
  const [command, surplus] = positionals;
  const { config, modules, against, production = false, check = false, help = false, version = false } = values;
  if (command !== undefined && !isCommand(command)) throw new UsageError(`there is no command '${command}'`);
  if (surplus !== undefined) throw new UsageError(`'${surplus}' is one argument too many`);
  if (command === undefined && !help && !version) throw new UsageError('a command is missing');
  for (const [option, value] of Object.entries(values)) {
    if (value === '') throw new UsageError(`--${option} names nothing`);
    // What would have no effect is refused rather than ignored.
    if (command !== undefined && !takes(command, option))
      throw new UsageError(`'weir ${command}' takes no --${option}`);
  }
  return { command, config, modules, production, against, check, help, version };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (error) {
    // Node goes on with advice that does not fit a program without positional arguments.
    throw new UsageError((error as Error).message.split(/\.\s/)[0]);
  }
}

function isCommand(name: string): name is CommandName {
  return Object.hasOwn(own, name);
}

function takes(command: CommandName, option: string): boolean {
  return common.has(option) || (own[command] as readonly string[]).includes(option);
}
