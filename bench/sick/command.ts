/** `npm run bench -- sick`: what an upstream that is sick costs those that are well. See docs/benchmarks.md. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine, missingTools } from '../machine.ts';
import { whole } from '../options.ts';
import { keepResults } from '../results.ts';
import { session } from '../session.ts';
import { measureSick, type Measured, type SickOptions } from './measure.ts';
import { reportOf } from './report.ts';
import { settings } from './settings.ts';
import { sicknessNames, type Sickness } from './sicknesses.ts';
import { excesses, withinNoise } from './verdict.ts';

const usage = `Usage: npm run bench -- sick [options]

  --only NAME       this kind of sickness only: ${sicknessNames.join(', ')}; may be repeated
  --rounds N        rounds that count; default 5
  --seconds N       length of a round, whole seconds; default 5
  --calls N         calls to the sick one in a second, whatever comes of them; default 100
  --quick           3 rounds of 2 s
  --json FILE       also write the figures there
  --help
`;

interface Options extends SickOptions {
  readonly json: string | undefined;
  readonly help: boolean;
}

/**
 * @returns the exit status: 0 the sick ones did no harm, 1 they did or something was not measured, 2 nothing could be
 * @throws {TypeError} for an option that is unknown, incomplete or out of bounds
 */
export async function sick(argv: readonly string[], say: (text: string) => void): Promise<number> {
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
    const heading = `${describeMachine()}; ${options.rounds} rounds of ${options.seconds} s; ${options.callsPerSecond} calls/s\n`;
    console.log(heading);
    const measured: Measured[] = [];
    const reports: string[] = [];
    for (const setting of settings) {
      const one = await measureSick(run, setting, options, say);
      const report = reportOf(one);
      console.log(report);
      measured.push(one);
      reports.push(report);
    }
    const markdown = [heading, ...reports].join('\n');
    await keepResults({ markdown, figures: { machine: heading.trim(), sick: measured } }, options.json);
    return measured.every(didNoHarm) ? 0 : 1;
  });
}

function didNoHarm(measured: Measured): boolean {
  const { conditions, rounds } = measured;
  if (excesses(measured).length > 0 || rounds.some(({ failure }) => failure !== undefined)) return false;
  return conditions
    .filter(({ called }) => called !== undefined && called !== 'neighbour')
    .every(({ title }) => withinNoise(measured, title) === true);
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      calls: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  const unknown = values.only.find((name) => !(sicknessNames as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new TypeError(`There is no sickness '${unknown}': there are ${sicknessNames.join(', ')}.`);
  }
  return {
    only: values.only as Sickness[],
    rounds: whole('--rounds', values.rounds, values.quick ? 3 : 5),
    seconds: whole('--seconds', values.seconds, values.quick ? 2 : 5),
    warmUpSeconds: values.quick ? 3 : 10,
    callsPerSecond: whole('--calls', values.calls, 100),
    json: values.json,
    help: values.help,
  };
}
