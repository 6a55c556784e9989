/** `npm run bench`: see docs/benchmarks.md. Tables go to stdout and to bench/results/, progress to stderr. */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { load } from './flood/command.ts';
import { limits } from './limits/command.ts';
import { describeMachine, missingTools } from './machine.ts';
import { measure, type Outcome } from './measure.ts';
import { parseOptions, usage, type Options } from './options.ts';
import { reportOf } from './report.ts';
import { keepResults } from './results.ts';
import type { Checkout, Scenario } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';
import { session } from './session.ts';
import { sick } from './sick/command.ts';
import { soak } from './soak/command.ts';

const root = resolve(import.meta.dirname, '..');
const say = (text: string): void => console.error(text);

/** Runs of their own kind, by their first argument; each returns the exit status. */
const commands: Readonly<Record<string, (argv: readonly string[], tell: typeof say) => Promise<number>>> = {
  limits,
  load,
  sick,
  soak,
};

async function main([name = '', ...rest]: readonly string[]): Promise<number> {
  if (name === '' || name.startsWith('-')) return compare(name === '' ? [] : [name, ...rest]);
  if (Object.hasOwn(commands, name)) return commands[name]!(rest, say);
  throw new TypeError(`There is no command '${name}': there are ${Object.keys(commands).join(', ')}.`);
}

/** @returns the exit status: 0 all was measured, 1 something was not, 2 nothing could be */
async function compare(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options.help) {
    console.log(usage);
    return 0;
  }
  const chosen = choose(options);
  const checkouts = checkoutsOf(options);
  const missing = missingTools();
  if (missing.length > 0) {
    say(missing.join('\n'));
    return 2;
  }

  return session(checkouts, async (run) => {
    const heading = `${describeMachine()}; ${options.rounds} rounds of ${options.seconds} s\n`;
    console.log(heading);
    const outcomes: Outcome[] = [];
    const reports: string[] = [];
    for (const scenario of chosen) {
      const outcome = await measure(run, scenario, options, say);
      const report = reportOf(outcome, checkouts);
      console.log(report);
      outcomes.push(outcome);
      reports.push(report);
    }
    const markdown = [heading, ...reports].join('\n');
    await keepResults({ markdown, figures: figuresOf(heading, outcomes) }, options.json);
    return outcomes.every(isWhole) ? 0 : 1;
  });
}

/** @throws {TypeError} for a name that no scenario has */
function choose({ only }: Options): readonly Scenario[] {
  const unknown = only.find((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown === undefined) return scenarios.filter(({ name }) => only.length === 0 || only.includes(name));
  throw new TypeError(`There is no scenario '${unknown}': there are ${scenarios.map(({ name }) => name).join(', ')}.`);
}

/** @throws {TypeError} when `--against` is no checkout */
function checkoutsOf({ against }: Options): readonly Checkout[] {
  const own = { name: 'Weir', folder: root };
  if (against === undefined) return [own];
  if (!existsSync(join(against, 'gateway/main.ts'))) throw new TypeError(`${against} is no checkout of Weir.`);
  return [own, { name: `Weir in ${basename(against)}`, folder: against }];
}

function figuresOf(heading: string, outcomes: readonly Outcome[]): object {
  return {
    machine: heading.trim(),
    scenarios: outcomes.map(({ scenario, rounds, skipped, failure }) => ({
      name: scenario.name,
      baseline: scenario.baseline,
      failure,
      rounds,
      skipped: Object.fromEntries(skipped),
    })),
  };
}

function isWhole({ rounds, skipped, failure }: Outcome): boolean {
  return failure === undefined && skipped.size === 0 && rounds.every((round) => round.failure === undefined);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof TypeError ? `${error.message}\n\n${usage}` : String((error as Error).stack));
  process.exitCode = 2;
}
