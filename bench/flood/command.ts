/** `npm run bench -- load`: what the gateway does when it is offered more than it can do. See docs/load.md. */
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { docs, writeFigures } from '../docs.ts';
import { describeMachine, missingTools } from '../machine.ts';
import { whole } from '../options.ts';
import { keepResults } from '../results.ts';
import { session } from '../session.ts';
import { chartOf } from './chart.ts';
import { held, reportOf } from './report.ts';
import { flood, type Flooded, type FloodOptions } from './run.ts';
import { workloads, type Workload } from './workloads.ts';

const names = workloads.map(({ name }) => name);

const usage = `Usage: npm run bench -- load [options]

  --only NAME       this workload only: ${names.join(', ')}; may be repeated
  --seconds N       length of each flood; default 60
  --quick           floods of 10 s, little warmth before: for a look
  --write           also put tables and chart into docs/load.md and docs/load.svg
  --json FILE       also write the figures there
  --help
`;

interface Options extends FloodOptions {
  readonly chosen: readonly Workload[];
  readonly write: boolean;
  readonly json: string | undefined;
  readonly help: boolean;
}

/**
 * @returns the exit status: 0 what it can do it went on doing, 1 it did not, 2 it could not be tried
 * @throws {TypeError} for an option that is unknown, incomplete or out of bounds
 */
export async function load(argv: readonly string[], say: (text: string) => void): Promise<number> {
  const options = parse(argv);
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const missing = missingTools();
  if (missing.length > 0) {
    say(missing.join('\n'));
    return 2;
  }
  const own = { name: 'Weir', folder: resolve(import.meta.dirname, '../..') };
  return session([own], async (run) => {
    const heading = `${describeMachine()}; floods of ${options.seconds} s\n`;
    console.log(heading);
    const all: Flooded[] = [];
    const reports: string[] = [];
    for (const workload of options.chosen) {
      const flooded = await flood(run, workload, options, say);
      const report = reportOf(flooded);
      console.log(report);
      all.push(flooded);
      reports.push(report);
    }
    await keepResults(
      { markdown: [heading, ...reports].join('\n'), figures: { machine: heading.trim(), load: all } },
      options.json,
    );
    if (options.write) await writeDocs(heading, reports, all[0]!);
    return all.every(held) ? 0 : 1;
  });
}

/** Puts the figures between their marks. @throws {Error} when the page has none */
async function writeDocs(heading: string, reports: readonly string[], charted: Flooded): Promise<void> {
  const chart = `![${charted.title}: served and memory, second by second](load.svg)\n`;
  await writeFigures('load.md', 'npm run bench -- load --write', [heading, chart, ...reports].join('\n'));
  await writeFile(join(docs, 'load.svg'), chartOf(charted));
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  const unknown = values.only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new TypeError(`There is no workload '${unknown}': there are ${names.join(', ')}.`);
  return {
    chosen: workloads.filter(({ name }) => values.only.length === 0 || values.only.includes(name)),
    seconds: whole('--seconds', values.seconds, values.quick ? 10 : 60),
    capacitySeconds: 5,
    warmUpSeconds: values.quick ? 5 : 20,
    write: values.write,
    json: values.json,
    help: values.help,
  };
}
