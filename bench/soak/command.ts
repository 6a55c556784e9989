/** `npm run bench -- soak`: minutes of all that may come, and whether the gateway is the same after it. See docs/benchmarks.md. */
import { parseArgs } from 'node:util';
import { describeMachine, missingTools } from '../machine.ts';
import { whole } from '../options.ts';
import { keepResults } from '../results.ts';
import { session } from '../session.ts';
import { reportOf } from './report.ts';
import { runSoak, type Soaked, type SoakOptions } from './run.ts';
import { checksOf } from './verdict.ts';

const usage = `Usage: npm run bench -- soak [options]

  --minutes N       of load, rests come on top; default 10
  --seed N          of what clients do, and of what goes wrong; default 1
  --json FILE       also write all samples there
  --help
`;

interface Options extends SoakOptions {
  readonly json: string | undefined;
  readonly help: boolean;
}

/**
 * @returns the exit status: 0 the gateway is as it was, 1 it is not, 2 it could not be tried
 * @throws {TypeError} for an option that is unknown, incomplete or out of bounds
 */
export async function soak(argv: readonly string[], say: (text: string) => void): Promise<number> {
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
  return session([], async (run) => {
    const heading = `${describeMachine()}\n`;
    console.log(heading);
    let soaked: Soaked;
    try {
      soaked = await runSoak(run, options, say);
    } catch (error) {
      say(`The soak was broken off. ${String((error as Error).stack)}`);
      return 1;
    }
    const report = reportOf(soaked);
    console.log(report);
    const checks = checksOf(soaked);
    const { tally, ...seen } = soaked;
    const figures = {
      machine: heading.trim(),
      soak: { ...seen, checks, complaints: Object.fromEntries(tally.complaints) },
    };
    await keepResults({ markdown: `${heading}\n${report}\n`, figures }, options.json);
    return checks.every(({ ok }) => ok) ? 0 : 1;
  });
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  return {
    minutes: whole('--minutes', values.minutes, 10),
    seed: whole('--seed', values.seed, 1),
    json: values.json,
    help: values.help,
  };
}
