/** A soak as Markdown. */
import type { Soaked } from './run.ts';
import { checksOf } from './verdict.ts';
import type { Sample } from './watch.ts';

const mib = (bytes: number): string => (bytes / 1024 ** 2).toFixed(1);

export function reportOf(soaked: Soaked): string {
  const { options, trouble, foreign } = soaked;
  return [
    `## A soak of ${options.minutes} minutes, seed ${options.seed}`,
    '',
    `Services had ${trouble.faults} faults and died ${trouble.deaths} times; the configuration was loaded ${trouble.reloads} times. Others used ${(foreign * 100).toFixed(0)} % of the machine.`,
    '',
    '| | found | allowed | |',
    '| --- | --- | --- | --- |',
    ...checksOf(soaked).map(
      ({ name, found, allowed, ok }) => `| ${name} | ${found} | ${allowed} | ${ok ? 'yes' : '**no**'} |`,
    ),
    '',
    '| at | heap held MiB | buffers MiB | anonymous MiB | resident MiB | descriptors | of clients | to services | in flight | loop delay ms |',
    '| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...memory(soaked),
    '',
    '| Clients | begun | what came of it |',
    '| --- | ---: | --- |',
    ...activities(soaked),
    '',
    ...complaints(soaked),
  ].join('\n');
}

function memory({ baseline, samples, rests, last }: Soaked): string[] {
  const highest = (of: (sample: Sample) => number): number => Math.max(...samples.map(of));
  const most: Sample = {
    atS: 0,
    anonymousBytes: highest(({ anonymousBytes }) => anonymousBytes),
    rssBytes: highest(({ rssBytes }) => rssBytes),
    descriptors: {
      total: highest(({ descriptors }) => descriptors.total),
      clients: highest(({ descriptors }) => descriptors.clients),
      upstreams: highest(({ descriptors }) => descriptors.upstreams),
    },
    inFlight: highest(({ inFlight }) => inFlight),
    connections: highest(({ connections }) => connections),
    subscriptions: highest(({ subscriptions }) => subscriptions),
    upstreamSlots: highest(({ upstreamSlots }) => upstreamSlots),
    loopDelayMs: highest(({ loopDelayMs }) => loopDelayMs),
  };
  return [
    row('start', baseline),
    ...rests.map((rest) => row(`${rest.atS.toFixed(0)} s`, rest)),
    row('end', last),
    row('most under load', most),
  ];
}

function row(name: string, { heap, ...sample }: Sample): string {
  return `| ${[
    name,
    heap ? mib(heap.usedBytes) : '',
    heap ? mib(heap.buffersBytes) : '',
    mib(sample.anonymousBytes),
    mib(sample.rssBytes),
    sample.descriptors.total,
    sample.descriptors.clients,
    sample.descriptors.upstreams,
    sample.inFlight,
    sample.loopDelayMs.toFixed(0),
  ].join(' | ')} |`;
}

function activities({ tally }: Soaked): string[] {
  return [...tally.activities].map(([name, { begun, outcomes }]) => {
    const sorted = [...outcomes].sort(([, a], [, b]) => b - a).map(([outcome, count]) => `${outcome} ${count}`);
    return `| ${name} | ${begun.toLocaleString('en')} | ${sorted.join(', ')} |`;
  });
}

function complaints({ tally }: Soaked): string[] {
  return [...tally.complaints].flatMap(([kind, { count, examples }]) => [
    `- ${count} × ${kind}`,
    ...examples.map((example) => `  - \`${example.replaceAll('`', "'").replaceAll(/\s+/g, ' ')}\``),
  ]);
}
