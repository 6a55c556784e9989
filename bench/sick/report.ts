/** The figures of a sick upstream as Markdown. */
import { spread, type Spread } from '../figures.ts';
import { baseline, type Condition, type Measured, type SickRound } from './measure.ts';
import { bound, excesses, ratiosOf, withinNoise } from './verdict.ts';

export function reportOf(measured: Measured): string {
  const { setting, conditions, rounds } = measured;
  const foreign = spread(rounds.map((round) => round.foreign * 100))!;
  return [
    `## ${setting.title}`,
    '',
    '| The other upstream | requests/s | ratio | p99 ms | ratio | within noise | calls | attempts/call | its callers got |',
    '| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |',
    ...conditions.map((condition) => `| ${condition.title} | ${cells(measured, condition).join(' | ')} |`),
    '',
    `Medians of ${Math.max(...rounds.map(({ round }) => round))} rounds (least to most). Meanwhile others used ${foreign.median.toFixed(0)} % of the machine, ${foreign.max.toFixed(0)} % at most.`,
    ...failures(measured),
    '',
  ].join('\n');
}

function cells(measured: Measured, { title, called }: Condition): string[] {
  const all = measured.rounds.filter(({ condition }) => condition === title);
  const good = all.filter(({ failure }) => failure === undefined);
  if (good.length === 0) return ['failed', '', '', '', '', '', '', ''];
  const column = (of: (round: SickRound) => number): number => spread(good.map(of))!.median;
  const ratio = (figure: 'perSecond' | 'p99Ms'): string => {
    const spreadOf = ratiosOf(measured, title, figure);
    return title === baseline.title ? '1' : spreadOf ? withRange(spreadOf) : '–';
  };
  const calls = all.reduce((sum, round) => sum + round.calls, 0);
  const sick = called !== undefined && called !== 'neighbour';
  const within = withinNoise(measured, title);
  return [
    Math.round(column(({ perSecond }) => perSecond)).toLocaleString('en'),
    ratio('perSecond'),
    column(({ p99Ms }) => p99Ms).toFixed(1),
    ratio('p99Ms'),
    sick ? (within === undefined ? '–' : within ? 'yes' : '**no**') : '',
    calls === 0 ? '' : calls.toLocaleString('en'),
    sick ? attempts(all) : '',
    outcomes(all),
  ];
}

/** Over all rounds, and that of the worst. */
function attempts(rounds: readonly SickRound[]): string {
  const worst = Math.max(...rounds.map((round) => attemptsPerCall([round])));
  return `${attemptsPerCall(rounds).toFixed(2)} (${worst.toFixed(2)} at most)`;
}

function attemptsPerCall(rounds: readonly SickRound[]): number {
  return rounds.reduce((sum, round) => sum + round.attempts, 0) / rounds.reduce((sum, round) => sum + round.calls, 0);
}

/** The two most common, in per cent. */
function outcomes(rounds: readonly SickRound[]): string {
  const sums = new Map<string, number>();
  for (const round of rounds) {
    for (const [outcome, count] of Object.entries(round.outcomes)) sums.set(outcome, (sums.get(outcome) ?? 0) + count);
  }
  const total = [...sums.values()].reduce((sum, count) => sum + count, 0);
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 2)
    .map(([outcome, count]) => `${outcome} ${((count / total) * 100).toFixed(0)} %`)
    .join(', ');
}

function failures(measured: Measured): string[] {
  const failed = measured.rounds.flatMap(({ condition, round, failure }) =>
    failure === undefined ? [] : [`- “${condition}”, round ${round} does not count: ${failure}`],
  );
  const exceeding = excesses(measured).map(
    ({ condition, round, calls, attempts: made }) =>
      `- “${condition}”, round ${round}: ${made} attempts for ${calls} calls, more than ${Math.floor(bound(calls))}`,
  );
  return failed.length + exceeding.length > 0 ? ['', ...failed, ...exceeding] : [];
}

function withRange({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}
