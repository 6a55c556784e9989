import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';

export const usage = `Usage: weir COMMAND [options]

  weir start               run the gateway
  weir check               check configuration, schema, modules, and compile them
        --production       also: every upstream has a timeout, retry, breaker and health check of its own, every route a timeout
        --against FILE     also: list what would break for clients of the schema in FILE
        --operations DIR   also: the GraphQL operations in DIR are valid, and cost no more than they may
        --budget FILE      and none costs more than FILE has; --write-budget records what they cost now
  weir explain FILE        what the GraphQL operations in FILE may cost, field by field; nothing is connected
        --variables FILE   with these variables, JSON
        --name NAME        only this operation
        --json             as JSON
  weir config              print the effective configuration, and where each value came from
  weir schema              print the schema of all modules as SDL
  weir openapi             print the OpenAPI document of all REST routes
        --of VERSION       of one version, such as v2, with all that is of none
  weir types               generate types for modules from OpenAPI documents and SDL
        --check            only say whether they are up to date
  weir alerts              print the rule file of Prometheus: alerts, and what watches over the slo of the configuration
        --runbook URL      where docs/runbook.md is to be read, to which alerts link; default docs/runbook.md
  weir status              what is wrong with the running gateway, in one look; exit 1 when something is
        --json             all that is known, as JSON
  weir upstream NAME       the same of one upstream; --json
  weir upstream NAME open|close|auto
                           hold its breaker open (calls are refused) or closed, or let it go by its calls again
  weir endpoint URL drain|undrain
                           take an endpoint out of the choice, or give it back
  weir block CONSUMER|IP|CIDR [off]
                           keep a consumer or an address out, or let it in again; --for, --by, --reason
  weir who-uses WHAT       who still uses a deprecated field (User.fax) or a version of a route (/v1/orders); --json
  weir limit NAME [off] --scale N
                           make a limit so many times as large for a while, such as 0.2; --for, --by, --reason
  weir spend               who spends what on which upstream, the dearest first
        --minutes 1|5|60   over how long; default 5
        --split A,B        told apart by consumer, upstream, operation; default all three
        --top N            so many lines; default 20; --json
  weir debug               what is logged in detail now
  weir debug route NAME|consumer ID|trace ID|off
                           log these requests in detail, or none any more
        --for DURATION     how long: 1s to 24h, default 10m; then it ends by itself
        --by NAME          who does it, for the log; default the user's name
        --reason TEXT      why, for the log
  weir keys new            make an API key for the file: prints the key, and the hash to write under consumers
  weir keys issue --consumer ID
                           issue an API key, shown this once; needs redis
        --name TEXT --scopes A,B --methods GET,HEAD --allow-ips CIDR,CIDR --expires-in 90d
  weir keys list           issued keys; --consumer ID, --json
  weir keys rotate ID      issue its successor; both are good for --overlap 24h
  weir keys revoke ID      end a key, everywhere at once
  weir keys usage ID       how often it was used, and when last; all take --by
  weir cache show --url PATH
                           what is stored of it, whom it may be given to, and what the service was shown; --upstream NAME, --json
  weir cache purge --tag TAG|--url PATH|--upstream NAME
                           take stored answers out of the cache, in every process; --by, --reason
  weir reload              let the running gateway load its file again; on a problem nothing changes, exit 1
  weir rollback            restore the last good file, and let it take over; both take --by, --reason

  --config FILE            the configuration; default gateway.yaml
  --modules DIR            the folder with registry.ts; default: what the configuration says
  --help, --version
`;

const options = {
  config: { type: 'string' },
  modules: { type: 'string' },
  production: { type: 'boolean' },
  against: { type: 'string' },
  operations: { type: 'string' },
  budget: { type: 'string' },
  'write-budget': { type: 'boolean' },
  variables: { type: 'string' },
  check: { type: 'boolean' },
  runbook: { type: 'string' },
  json: { type: 'boolean' },
  consumer: { type: 'string' },
  name: { type: 'string' },
  scopes: { type: 'string' },
  methods: { type: 'string' },
  'allow-ips': { type: 'string' },
  'expires-in': { type: 'string' },
  overlap: { type: 'string' },
  scale: { type: 'string' },
  minutes: { type: 'string' },
  split: { type: 'string' },
  top: { type: 'string' },
  tag: { type: 'string' },
  url: { type: 'string' },
  upstream: { type: 'string' },
  of: { type: 'string' },
  for: { type: 'string' },
  by: { type: 'string' },
  reason: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const satisfies ParseArgsOptionsConfig;

/** What each command takes besides what all take. */
const own = {
  start: [],
  check: ['production', 'against', 'operations', 'budget', 'write-budget'],
  explain: ['variables', 'name', 'json'],
  config: [],
  schema: [],
  openapi: ['of'],
  types: ['check'],
  alerts: ['runbook'],
  status: ['json'],
  upstream: ['json', 'for', 'by', 'reason'],
  endpoint: ['for', 'by', 'reason'],
  block: ['for', 'by', 'reason'],
  'who-uses': ['json'],
  limit: ['scale', 'for', 'by', 'reason'],
  spend: ['json', 'minutes', 'split', 'top'],
  debug: ['for', 'by', 'reason'],
  keys: ['json', 'by', 'consumer', 'name', 'scopes', 'methods', 'allow-ips', 'expires-in', 'overlap'],
  cache: ['json', 'tag', 'url', 'upstream', 'by', 'reason'],
  reload: ['by', 'reason'],
  rollback: ['by', 'reason'],
} as const satisfies Record<string, readonly (keyof typeof options)[]>;

/** How many words a command takes at most besides its options; the others take none. */
const operandsOf: Readonly<Partial<Record<CommandName, number>>> = {
  'who-uses': 1,
  upstream: 2,
  endpoint: 2,
  block: 2,
  limit: 2,
  debug: 2,
  keys: 2,
  explain: 1,
  cache: 1,
};

const common: ReadonlySet<string> = new Set(['config', 'modules', 'help', 'version']);

export type CommandName = keyof typeof own;

export interface Arguments {
  /** Undefined where only help or the version is asked for. */
  readonly command: CommandName | undefined;
  /** The words after it. */
  readonly operands: readonly string[];
  readonly config: string | undefined;
  readonly modules: string | undefined;
  readonly production: boolean;
  readonly against: string | undefined;
  readonly operations: string | undefined;
  readonly budget: string | undefined;
  readonly writeBudget: boolean;
  readonly variables: string | undefined;
  readonly check: boolean;
  readonly runbook: string | undefined;
  readonly json: boolean;
  readonly consumer: string | undefined;
  readonly name: string | undefined;
  readonly scopes: string | undefined;
  readonly methods: string | undefined;
  readonly allowIps: string | undefined;
  readonly expiresIn: string | undefined;
  readonly overlap: string | undefined;
  readonly scale: string | undefined;
  readonly minutes: string | undefined;
  readonly split: string | undefined;
  readonly top: string | undefined;
  readonly tag: string | undefined;
  readonly url: string | undefined;
  readonly upstream: string | undefined;
  readonly of: string | undefined;
  readonly for: string | undefined;
  readonly by: string | undefined;
  readonly reason: string | undefined;
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
  const [command, ...operands] = positionals;
  const {
    config,
    modules,
    against,
    runbook,
    by,
    reason,
    production = false,
    check = false,
    json = false,
    help = false,
    version = false,
  } = values;
  if (command !== undefined && !isCommand(command)) throw new UsageError(`there is no command '${command}'`);
  const surplus = command && operands[operandsOf[command] ?? 0];
  if (surplus !== undefined) throw new UsageError(`'${surplus}' is one argument too many`);
  if (command === undefined && !help && !version) throw new UsageError('a command is missing');
  for (const [option, value] of Object.entries(values)) {
    if (value === '') throw new UsageError(`--${option} names nothing`);
    // What would have no effect is refused rather than ignored.
    if (command !== undefined && !takes(command, option))
      throw new UsageError(`'weir ${command}' takes no --${option}`);
  }
  const { scale, minutes, split, top } = values;
  const shown = {
    production,
    against,
    check,
    runbook,
    json,
    scale,
    minutes,
    split,
    top,
    of: values.of,
    for: values.for,
    by,
    reason,
  };
  const { consumer, name, scopes, methods, 'allow-ips': allowIps, 'expires-in': expiresIn, overlap } = values;
  const { operations, budget, 'write-budget': writeBudget = false, variables } = values;
  if (budget !== undefined && operations === undefined)
    throw new UsageError('--budget is of operations: name their folder by --operations');
  if (writeBudget && budget === undefined) throw new UsageError('--write-budget needs --budget, the file to write');
  const priced = { operations, budget, writeBudget, variables };
  const { tag, url, upstream } = values;
  const key = { consumer, name, scopes, methods, allowIps, expiresIn, overlap, tag, url, upstream };
  return { command, operands, config, modules, ...shown, ...priced, ...key, help, version };
}

type OptionName = Exclude<keyof Arguments, 'command' | 'operands' | 'config' | 'modules' | 'help' | 'version'>;

/**
 * For a command that takes an option in some of its forms only.
 * @throws {UsageError} when one of the options is there that would have no effect
 */
export function refuseOptions(args: Arguments, form: string, ...names: readonly OptionName[]): void {
  for (const name of names)
    if (args[name] !== undefined && args[name] !== false)
      throw new UsageError(
        `'weir ${form}' takes no --${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      );
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
