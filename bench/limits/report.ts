/** What came of it, as Markdown. */
import { ratios, spread } from '../figures.ts';
import type { Outcome } from '../measure.ts';
import { inMemory, inRedis, noLimits } from '../scenarios/limits.ts';
import { addedByPause, boundMs, waitsAreBounded, type Pauses, type Waits } from './pauses.ts';
import { returnsAreKept, type Returns } from './returns.ts';

/** CPU time per request, over that without limits; issue 5. */
export const aims: readonly { readonly subject: string; readonly ratio: number }[] = [
  { subject: inMemory, ratio: 1.05 },
  { subject: inRedis, ratio: 1.45 },
];

/** What was added, and whether that is within the aim; undefined where it was not measured. */
export function addedBy({ rounds }: Outcome, subject: string): number | undefined {
  return spread(ratios(rounds, subject, noLimits))?.median;
}

export function aimsReport(outcome: Outcome): string {
  return aims
    .map(({ subject, ratio }) => {
      const added = addedBy(outcome, subject);
      if (added === undefined) return `- ${subject}: not measured; the aim is ${ratio}.`;
      const verdict = added <= ratio ? 'within the aim' : 'above the aim';
      return `- ${subject}: ${added.toFixed(2)} of none, ${verdict} of ${ratio}.`;
    })
    .join('\n');
}

export function pausesReport(pauses: Pauses): string {
  const { before, during, pauses: count, unanswered, wrong, foreign } = pauses;
  return [
    `| \`redis.timeout: ${boundMs}ms\` | requests | p50 ms | p99 ms | slowest of a second, ms | slowest of all, ms |`,
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    row('Redis answers', before),
    row(`it stands still ${count} times`, during),
    '',
    `${unanswered} of these requests had asked Redis when it stopped, and were decided without it. The slowest of a second ` +
      `in which it stops took ${addedByPause(pauses).toFixed(1)} ms longer than that of a second in which it does not ` +
      `(medians): ${waitsAreBounded(pauses) ? 'within' : 'NOT within'} the bound of ${boundMs} ms. ` +
      `${wrong === 0 ? 'All were answered well' : `${wrong} were NOT answered well`}. ` +
      `Others used at most ${(foreign * 100).toFixed(0)} % of the machine.`,
  ].join('\n');
}

function row(name: string, { all, slowestMs }: Waits): string {
  const [p50, p99, slowest] = [0.5, 0.99, 1].map((quantile) => all.quantile(quantile).toFixed(1));
  const { median, min, max } = spread(slowestMs)!;
  const ofSeconds = `${median.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)})`;
  return `| ${name} | ${all.count.toLocaleString('en')} | ${p50} | ${p99} | ${ofSeconds} | ${slowest} |`;
}

export function returnsReport(all: readonly Returns[]): string {
  return [
    '| counted in | algorithm | refused | `Retry-After`, s | admitted when they came back |',
    '| --- | --- | ---: | ---: | ---: |',
    ...all.map(
      ({ store, algorithm, refused, early, leastS, mostS }) =>
        `| ${store} | \`${algorithm}\` | ${refused} | ${leastS} to ${mostS} | ${refused - early} |`,
    ),
    '',
    returnsAreKept(all)
      ? '`Retry-After` was never early, and never 0.'
      : '`Retry-After` was NOT kept: see the lines where fewer were admitted than refused, or 0 was told.',
  ].join('\n');
}
