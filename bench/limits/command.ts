/** `npm run bench -- limits`: what limits add, how long Redis is waited for, and whether `Retry-After` is kept. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeFigures } from '../docs.ts';
import { describeMachine, missingTools } from '../machine.ts';
import { measure } from '../measure.ts';
import { whole, type Options as CompareOptions } from '../options.ts';
import { redisMissing } from '../redis.ts';
import { reportOf } from '../report.ts';
import { keepResults } from '../results.ts';
import { limits as scenario } from '../scenarios/limits.ts';
import { session } from '../session.ts';
import { measurePauses, waitsAreBounded, type PauseOptions } from './pauses.ts';
import { addedBy, aims, aimsReport, pausesReport, returnsReport } from './report.ts';
import { measureReturns, returnsAreKept, type ReturnOptions } from './returns.ts';

const usage = `Usage: npm run bench -- limits [options]

  --rounds N        rounds of each subject that count; default 25
  --seconds N       length of a round, whole seconds; default 2
  --quick           3 rounds, and less of all else: for a look
  --write           also put the figures into docs/limits.md and docs/consumers/rate-limits.md
  --json FILE       also write the figures there
  --help
`;

interface Options {
  readonly compare: CompareOptions;
  readonly pauses: PauseOptions;
  readonly returns: ReturnOptions;
  readonly write: boolean;
  readonly json: string | undefined;
  readonly help: boolean;
}

/**
 * @returns the exit status: 0 all is within its bounds, 1 something is not or was not measured, 2 nothing could be
 * @throws {TypeError} for an option that is unknown, incomplete or out of bounds
 */
export async function limits(argv: readonly string[], say: (text: string) => void): Promise<number> {
  const options = parse(argv);
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const missing = [...missingTools(), redisMissing() ?? []].flat();
  if (missing.length > 0) {
    say(missing.join('\n'));
    return 2;
  }
  const own = { name: 'Weir', folder: resolve(import.meta.dirname, '../..') };
  return session([own], async (run) => {
    const { rounds, seconds } = options.compare;
    const heading = `${describeMachine()}; ${rounds} rounds of ${seconds} s.`;
    console.log(`${heading}\n`);
    const outcome = await measure(run, scenario, options.compare, say);
    const added = `${reportOf(outcome, run.checkouts)}\n${aimsReport(outcome)}`;
    console.log(`${added}\n`);
    const pauses = await measurePauses(run, options.pauses, say);
    const waited = pausesReport(pauses);
    console.log(`${waited}\n`);
    const returned = await measureReturns(run, options.returns, say);
    const kept = returnsReport(returned);
    console.log(`${kept}\n`);
    const markdown = [heading, added, waited, kept].join('\n\n');
    const { before, during } = pauses;
    const waits = {
      before: { ...before, all: before.all.counts() },
      during: { ...during, all: during.all.counts() },
    };
    const figures = { machine: heading, rounds: outcome.rounds, pauses: { ...pauses, ...waits }, returned };
    await keepResults({ markdown, figures }, options.json);
    if (options.write) {
      // A step below the headings of the page.
      const command = 'npm run bench -- limits --write';
      await writeFigures('limits.md', command, markdown.replaceAll(/^## /gm, '### '));
      await writeFigures('consumers/rate-limits.md', command, kept);
    }
    const cheap = aims.every(({ subject, ratio }) => (addedBy(outcome, subject) ?? Number.NaN) <= ratio);
    return cheap && waitsAreBounded(pauses) && returnsAreKept(returned) ? 0 : 1;
  });
}

function parse(argv: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  });
  const { quick, write, json, help } = values;
  return {
    compare: {
      only: [],
      rounds: whole('--rounds', values.rounds, quick ? 3 : 25),
      seconds: whole('--seconds', values.seconds, 2),
      warmUpSeconds: quick ? 2 : 10,
      against: undefined,
      json: undefined,
      help: false,
    },
    pauses: { seconds: quick ? 10 : 60, warmUpSeconds: quick ? 3 : 10 },
    returns: { clients: quick ? 10 : 50, turns: quick ? 2 : 5 },
    write,
    json,
    help,
  };
}
