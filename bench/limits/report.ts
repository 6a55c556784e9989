/** What came of it, as Markdown. */
import { ratios, spread } from '../figures.ts';
import type { Latencies } from '../flood/latencies.ts';
import type { Outcome } from '../measure.ts';
import { inMemory, inRedis, noLimits } from '../scenarios/limits.ts';
import { boundMs, waitsAreBounded, type Pauses } from './pauses.ts';
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
    `| \`redis.timeout: ${boundMs}ms\` | requests | p50 ms | p99 ms | p99.9 ms | slowest ms |`,
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    row('Redis answers', before),
    row(`it stands still ${count} times`, during),
    '',
    `${unanswered} of these requests had asked Redis when it stopped, and were decided without it. The slowest took ` +
      `${(during.quantile(1) - before.quantile(1)).toFixed(1)} ms longer than the slowest with it: ` +
      `${waitsAreBounded(pauses) ? 'within' : 'NOT within'} the bound of ${boundMs} ms. ` +
      `${wrong === 0 ? 'All were answered well' : `${wrong} were NOT answered well`}. ` +
      `Others used at most ${(foreign * 100).toFixed(0)} % of the machine.`,
  ].join('\n');
}

function row(name: string, latencies: Latencies): string {
  const cells = [0.5, 0.99, 0.999, 1].map((quantile) => latencies.quantile(quantile).toFixed(1));
  return `| ${name} | ${latencies.count.toLocaleString('en')} | ${cells.join(' | ')} |`;
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
