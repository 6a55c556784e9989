import { spendDimensions, type SpendLine, type SpendReport } from '#gateway/spend/report.ts';
import { AdminClient } from './admin-client.ts';
import { share, table } from './amounts.ts';
import type { Arguments } from './arguments.ts';
import { accepted } from './operator.ts';
import type { Terminal } from './terminal.ts';

/** Who spends what on which upstream. */
export async function spend(args: Arguments, terminal: Terminal): Promise<number> {
  const { minutes, split: by, top } = args;
  const wanted = Object.entries({ minutes, by, top }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const query = new URLSearchParams(wanted).toString();
  const report = accepted(await new AdminClient(args).call('GET', `/admin/spend?${query}`)) as SpendReport;
  terminal.out(args.json ? `${JSON.stringify(report, null, 2)}\n` : spendText(report));
  return 0;
}

function spendText({ since, instances, calls, cost, lines }: SpendReport): string {
  const from = since.slice(11, 16);
  const who = instances === 'all' ? 'all instances' : 'this instance';
  const total = `Since ${from} UTC ${who} spent ${amount(cost)} on ${calls} calls to upstreams.\n`;
  if (lines.length === 0) return total;
  const told = spendDimensions.filter((dimension) => lines[0]![dimension] !== undefined);
  const heads = [...told.map((dimension) => dimension.toUpperCase()), 'CALLS', 'COST', 'SHARE'];
  const row = (line: SpendLine) => [
    ...told.map((dimension) => line[dimension] ?? ''),
    String(line.calls),
    amount(line.cost),
    share(line.share, line.cost),
  ];
  return `${total}\n${table([heads, ...lines.map(row)])
    .map((text) => `  ${text}`)
    .join('\n')}\n`;
}

/** To the thousandth, which is what is counted in. */
function amount(cost: number): string {
  return String(Math.round(cost * 1_000) / 1_000);
}
