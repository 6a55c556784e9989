/** The figures as Markdown. */
import { ratios, spread, type Round, type Spread } from './figures.ts';
import type { Outcome } from './measure.ts';
import type { Checkout } from './scenario.ts';

export function reportOf(outcome: Outcome, checkouts: readonly Checkout[]): string {
  const { scenario, subjects, rounds, failure } = outcome;
  if (failure !== undefined) return `## ${scenario.title}\n\nNot measured: ${gist(failure)}\n`;
  return [
    `## ${scenario.title}`,
    '',
    `| | CPU µs/request | ratio to ${scenario.baseline} | requests/s | p50 ms | p99 ms | upstream calls/request |`,
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...subjects.map((name) => `| ${name} | ${cells(outcome, name).join(' | ')} |`),
    '',
    ...comparisons(rounds, checkouts),
    noise(rounds),
    ...failures(outcome),
    '',
  ].join('\n');
}

function cells({ scenario, rounds, skipped }: Outcome, name: string): string[] {
  if (skipped.has(name)) return ['not measured', '', '', '', '', ''];
  const all = rounds.filter(({ subject }) => subject === name);
  const good = all.filter(({ failure }) => failure === undefined);
  if (good.length === 0) return ['failed', '', '', '', '', ''];
  const column = (of: (round: Round) => number): Spread => spread(good.map(of))!;
  const cpu = column(({ cpuUs }) => cpuUs);
  const ratio = name === scenario.baseline ? undefined : spread(ratios(rounds, name, scenario.baseline));
  return [
    withRange(cpu, cpu.median < 100 ? 1 : 0),
    ratio ? withRange(ratio, 2) : name === scenario.baseline ? '1' : '–',
    Math.round(column(({ perSecond }) => perSecond).median).toLocaleString('en'),
    column(({ p50Ms }) => p50Ms).median.toFixed(1),
    column(({ p99Ms }) => p99Ms).median.toFixed(1),
    column(({ upstreamCalls }) => upstreamCalls).median.toFixed(2),
  ];
}

/** This checkout over the other one. */
function comparisons(rounds: readonly Round[], [own, other]: readonly Checkout[]): string[] {
  const ratio = own && other && spread(ratios(rounds, own.name, other.name));
  return ratio ? [`${own.name} over ${other.name}: **${withRange(ratio, 3)}**`, ''] : [];
}

function noise(rounds: readonly Round[]): string {
  const foreign = spread(rounds.map((round) => round.foreign * 100));
  if (!foreign) return 'Nothing was measured.';
  return `Medians of ${Math.max(...rounds.map(({ round }) => round))} rounds (least to most). Meanwhile others used ${foreign.median.toFixed(0)} % of the machine, ${foreign.max.toFixed(0)} % at most.`;
}

function failures({ rounds, skipped }: Outcome): string[] {
  const missing = [...skipped].map(([subject, why]) => `- ${subject} was not measured: ${gist(why)}`);
  const failed = rounds.flatMap(({ subject, round, failure }) =>
    failure === undefined ? [] : [`- ${subject}, round ${round} does not count: ${failure}`],
  );
  return missing.length + failed.length > 0 ? ['', ...missing, ...failed] : [];
}

/** Of what a process said before it ended, the line that says why. */
function gist(message: string): string {
  return /^\w*Error\b.*$/m.exec(message)?.[0] ?? message.split('\n', 1)[0]!;
}

function withRange({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}
