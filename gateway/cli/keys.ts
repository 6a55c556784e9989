import type { IssuedKey, KeyStatus, KeyUsage } from '#policies/auth/api-keys/administration.ts';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { AdminClient } from './admin-client.ts';
import { table } from './amounts.ts';
import { refuseOptions, UsageError, type Arguments } from './arguments.ts';
import { accepted, operatorOf } from './operator.ts';
import type { Terminal } from './terminal.ts';

type Form = (args: Arguments, terminal: Terminal) => Promise<void> | void;

const forms: Readonly<Record<string, Form>> = { new: make, issue, list, rotate, revoke, usage };

/** The life of API keys. */
export async function keys(args: Arguments, terminal: Terminal): Promise<number> {
  const [what = ''] = args.operands;
  const form = Object.hasOwn(forms, what) ? forms[what] : undefined;
  if (!form) throw new UsageError(`'weir keys' needs to know what to do: ${Object.keys(forms).join(', ')}`);
  await form(args, terminal);
  return 0;
}

/** For the file: no gateway need run, and nothing is kept. */
function make(args: Arguments, terminal: Terminal): void {
  refuseOptions(
    args,
    'keys new',
    'by',
    'consumer',
    'name',
    'scopes',
    'methods',
    'allowIps',
    'expiresIn',
    'overlap',
    'json',
  );
  none(args, 'keys new');
  const { key, hash } = newApiKey();
  terminal.out(`${key}\n`);
  terminal.err(`Shown this once. Write its hash under the consumer, in keys: ["${hash}"]\n`);
}

async function issue(args: Arguments, terminal: Terminal): Promise<void> {
  refuseOptions(args, 'keys issue', 'overlap', 'json');
  none(args, 'keys issue');
  if (args.consumer === undefined) throw new UsageError("'weir keys issue' needs --consumer ID");
  const issued = (await ask(args, 'POST', '/admin/keys', {
    consumer: args.consumer,
    by: operatorOf(args).by,
    ...(args.name !== undefined && { name: args.name }),
    ...(args.scopes !== undefined && { scopes: args.scopes.split(',') }),
    ...(args.methods !== undefined && { methods: args.methods.split(',') }),
    ...(args.allowIps !== undefined && { allowIps: args.allowIps.split(',') }),
    ...(args.expiresIn !== undefined && { expiresIn: args.expiresIn }),
  })) as IssuedKey;
  show(issued, terminal);
}

async function list(args: Arguments, terminal: Terminal): Promise<void> {
  refuseOptions(args, 'keys list', 'by', 'name', 'scopes', 'methods', 'allowIps', 'expiresIn', 'overlap');
  none(args, 'keys list');
  const query = args.consumer === undefined ? '' : `?${new URLSearchParams({ consumer: args.consumer }).toString()}`;
  const found = (await ask(args, 'GET', `/admin/keys${query}`)) as readonly KeyStatus[];
  if (args.json) {
    terminal.out(`${JSON.stringify(found, undefined, 2)}\n`);
    return;
  }
  const rows = found.map(({ id, prefix, consumer, state, scopes, expiresAt, name }) => [
    id,
    `${prefix}…`,
    consumer,
    state,
    scopes.join(' ') || '–',
    expiresAt?.slice(0, 10) ?? 'never',
    name,
  ]);
  const lines = table([['ID', 'KEY', 'CONSUMER', 'STATE', 'SCOPES', 'EXPIRES', 'NAME'], ...rows]);
  terminal.out(`${lines.join('\n')}\n`);
}

async function rotate(args: Arguments, terminal: Terminal): Promise<void> {
  refuseOptions(args, 'keys rotate ID', 'consumer', 'name', 'scopes', 'methods', 'allowIps', 'expiresIn', 'json');
  const body = { by: operatorOf(args).by, ...(args.overlap !== undefined && { overlap: args.overlap }) };
  show((await ask(args, 'POST', `${pathOf(args, 'rotate')}/rotate`, body)) as IssuedKey, terminal);
}

async function revoke(args: Arguments, terminal: Terminal): Promise<void> {
  refuseOptions(
    args,
    'keys revoke ID',
    'consumer',
    'name',
    'scopes',
    'methods',
    'allowIps',
    'expiresIn',
    'overlap',
    'json',
  );
  const query = new URLSearchParams({ by: operatorOf(args).by }).toString();
  const { id, consumer } = (await ask(args, 'DELETE', `${pathOf(args, 'revoke')}?${query}`)) as KeyStatus;
  terminal.out(`${id} of ${consumer} is revoked.\n`);
}

async function usage(args: Arguments, terminal: Terminal): Promise<void> {
  refuseOptions(
    args,
    'keys usage ID',
    'by',
    'consumer',
    'name',
    'scopes',
    'methods',
    'allowIps',
    'expiresIn',
    'overlap',
  );
  const found = (await ask(args, 'GET', pathOf(args, 'usage'))) as KeyUsage;
  if (args.json) terminal.out(`${JSON.stringify(found, undefined, 2)}\n`);
  else
    terminal.out(
      `${found.id} of ${found.consumer} (${found.state}): ${found.uses} uses, last ${found.lastUsedAt ?? 'never'}.\n`,
    );
}

/** The key alone on stdout, so that it can be piped to where it belongs. */
function show({ key, id, consumer, expiresAt }: IssuedKey, terminal: Terminal): void {
  terminal.out(`${key}\n`);
  terminal.err(
    `Shown this once: ${id} of ${consumer}, ${expiresAt === undefined ? 'without an end' : `until ${expiresAt}`}.\n`,
  );
}

async function ask(args: Arguments, method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<unknown> {
  return accepted(await new AdminClient(args).call(method, path, body));
}

function pathOf({ operands }: Arguments, form: string): string {
  const [, id] = operands;
  if (id === undefined) throw new UsageError(`'weir keys ${form}' needs the ID of a key; weir keys list shows them`);
  return `/admin/keys/${encodeURIComponent(id)}`;
}

function none({ operands }: Arguments, form: string): void {
  if (operands[1] !== undefined) throw new UsageError(`'${operands[1]}' is one argument too many for 'weir ${form}'`);
}
