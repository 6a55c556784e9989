import type { UseReport } from '#gateway/uses/uses.ts';
import { AdminClient } from './admin-client.ts';
import { table } from './amounts.ts';
import { UsageError, type Arguments } from './arguments.ts';
import { accepted } from './operator.ts';
import type { Terminal } from './terminal.ts';

/** Who still uses a version of a route or a deprecated field, the latest first. */
export async function whoUses(args: Arguments, terminal: Terminal): Promise<number> {
  const [what] = args.operands;
  if (what === undefined)
    throw new UsageError("'weir who-uses' needs a field such as User.fax, or a path such as /v1/orders");
  const query = new URLSearchParams({ of: what }).toString();
  const report = accepted(await new AdminClient(args).call('GET', `/admin/uses?${query}`)) as UseReport;
  terminal.out(args.json ? `${JSON.stringify(report, null, 2)}\n` : textOf(what, report));
  return 0;
}

function textOf(what: string, { instances, uses }: UseReport): string {
  const scope = instances === 'all' ? 'Of all instances' : 'Of this instance, since it started';
  if (uses.length === 0) return `${scope}: nobody has used ${what}.\n`;
  const rows = uses.map(({ consumer, count, last, what: used }) => [
    consumer,
    String(count),
    `${last.slice(0, 19).replace('T', ' ')} UTC`,
    used,
  ]);
  const lines = table([['CONSUMER', 'TIMES', 'LAST', 'WHAT'], ...rows]).map((text) => `  ${text}`);
  return `${scope}:\n\n${lines.join('\n')}\n`;
}
