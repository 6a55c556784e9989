/** Reads the Prometheus text exposition format, version 0.0.4, and refuses what is not it. */

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const samplePattern = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)$/;
const labelPattern = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;

export function exposition(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line must end in a line feed');
  const families = new Map<string, Family>();
  const help = new Map<string, string>();
  const seen = new Set<string>();
  let current: { name: string; family: Family } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (help.has(name)) throw new Error(`two HELP lines for ${name}`);
      help.set(name, rest);
    } else if (keyword === 'TYPE') {
      if (families.has(name)) throw new Error(`two TYPE lines for ${name}`);
      if (!help.has(name)) throw new Error(`no HELP line before ${line}`);
      current = { name, family: { type: rest, help: help.get(name)!, samples: [] } };
      families.set(name, current.family);
    } else {
      if (!current) throw new Error(`no TYPE line before ${line}`);
      const sample = parseSample(line);
      const suffixes = current.family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
      if (!suffixes.some((suffix) => sample.name === current!.name + suffix))
        throw new Error(`${line} is out of its family`);
      const series = seriesKey(sample.name, sample.labels);
      if (seen.has(series)) throw new Error(`two samples of ${series}`);
      seen.add(series);
      current.family.samples.push(sample);
    }
  }
  for (const [name, family] of families) check(name, family);
  return families;
}

function parseSample(line: string): Sample {
  const match = samplePattern.exec(line);
  if (!match) throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  let rest = match[2] ?? '';
  while (rest !== '') {
    const label = labelPattern.exec(rest);
    if (!label) throw new Error(`no label: ${rest}`);
    labels[label[1]!] = label[2]!.replaceAll(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : String(escaped)));
    rest = rest.slice(label[0].length);
  }
  return { name: match[1]!, labels, value: Number(match[3]!.replace('Inf', 'Infinity')) };
}

function seriesKey(name: string, labels: Readonly<Record<string, string>>): string {
  return JSON.stringify([name, Object.entries(labels).toSorted(([a], [b]) => a.localeCompare(b))]);
}

/** Counters end in `_total`, buckets are cumulative and end in `+Inf`, which is the count. */
function check(name: string, { type, samples }: Family): void {
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} is a ${type}`);
  if (type !== 'histogram') return;
  const series = Object.groupBy(samples, ({ labels }) => seriesKey('', { ...labels, le: '' }));
  for (const points of Object.values(series)) {
    const buckets = points!.filter((point) => point.name.endsWith('_bucket'));
    const count = points!.find((point) => point.name.endsWith('_count'));
    if (buckets.some((bucket, i) => i > 0 && bucket.value < buckets[i - 1]!.value)) throw new Error(`${name} shrinks`);
    if (buckets.at(-1)?.labels.le !== '+Inf' || buckets.at(-1)?.value !== count?.value)
      throw new Error(`${name} lacks +Inf`);
  }
}
