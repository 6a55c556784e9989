/** What came of the floods, as Markdown. */
import type { Latencies } from './latencies.ts';
import type { Flood, Flooded } from './run.ts';

/** Of what it can do, what it has to go on doing. */
const leastGoodput = 0.8;

/** Below it not all went out that was to be offered. */
const leastSent = 0.95;

const mebibyte = 1024 ** 2;

export function reportOf(flooded: Flooded): string {
  return [
    `### ${flooded.title}`,
    '',
    '| offered | sent/s | served/s | of what it can | p50 ms | p99 ms | refused/s | refused in, p50 ms | lost/s | memory, peak | `/readyz`, slowest |',
    '| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...flooded.floods.map(row),
    '',
    ...byKind(flooded),
    ...remarks(flooded),
    '',
  ].join('\n');
}

/** In every flood it went on with what it could. */
export function held({ floods }: Flooded): boolean {
  return floods.every((flood) => flood.phase.okPerS >= leastGoodput * flood.capacityPerS);
}

function isWhole({ phase, offeredPerS }: Flood): boolean {
  return phase.sentPerS >= leastSent * offeredPerS;
}

function row({ multiple, capacityPerS, phase }: Flood): string {
  const { sentPerS, okPerS, refusedPerS, lostPerS, ok, refused, peakRssBytes, slowestHealthMs } = phase;
  const cells = [
    `${multiple} ×`,
    count(sentPerS),
    count(okPerS),
    `${Math.round((okPerS / capacityPerS) * 100)} %`,
    ms(ok, 0.5),
    ms(ok, 0.99),
    count(refusedPerS),
    ms(refused, 0.5),
    lostPerS === 0 ? '0' : lostPerS.toFixed(1),
    `${Math.round(peakRssBytes / mebibyte)} MiB`,
    slowestHealthMs === undefined ? 'failed' : `${Math.round(slowestHealthMs)} ms`,
  ];
  return `| ${cells.join(' | ')} |`;
}

function byKind({ kinds, floods }: Flooded): string[] {
  if (kinds.length === 1) return [];
  return [
    'Served of what was sent, by criticality:',
    '',
    `| offered | ${kinds.join(' | ')} |`,
    `| ---: |${' ---: |'.repeat(kinds.length)}`,
    ...floods.map(({ multiple, phase }) => {
      const shares = phase.kinds.map(({ ok, sent }) => `${Math.round((ok / sent) * 100)} %`);
      return `| ${multiple} × | ${shares.join(' | ')} |`;
    }),
    '',
  ];
}

function remarks({ floods }: Flooded): string[] {
  const capacity = floods.map(({ capacityPerS }) => Math.round(capacityPerS));
  const foreign = Math.max(...floods.map(({ phase }) => phase.foreign)) * 100;
  const seconds = floods[0]!.phase.lengthS;
  const short = floods.filter((flood) => !isWhole(flood));
  return [
    `What it can do: ${Math.min(...capacity).toLocaleString('en')} to ${Math.max(...capacity).toLocaleString('en')} requests/s, ` +
      `measured before and after each part of a flood of ${seconds} s. Meanwhile others used at most ${foreign.toFixed(0)} % of the machine.`,
    ...short.map(
      ({ multiple, capacityPerS, phase }) =>
        `At ${multiple} × ${(phase.sentPerS / capacityPerS).toFixed(1)} × was sent: all connections of the clients waited, for an answer or to be heard again.`,
    ),
  ];
}

function count(perS: number): string {
  return Math.round(perS).toLocaleString('en');
}

function ms(latencies: Latencies, quantile: number): string {
  const value = latencies.quantile(quantile);
  return Number.isNaN(value) ? '' : value.toFixed(value < 10 ? 1 : 0);
}
