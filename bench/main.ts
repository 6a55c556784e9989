/** `npm run bench`: see docs/benchmarks.md. Tables go to stdout and to bench/results/, progress to stderr. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { chooseCores, describeMachine, missingTools } from './machine.ts';
import { measure, type Outcome } from './measure.ts';
import { parseOptions, usage, type Options } from './options.ts';
import { killAll } from './processes.ts';
import { reportOf } from './report.ts';
import type { Checkout, Run, Scenario } from './scenario.ts';
import { scenarios } from './scenarios/index.ts';

const root = resolve(import.meta.dirname, '..');
const say = (text: string): void => console.error(text);

/** @returns the exit status: 0 all was measured, 1 something was not, 2 nothing could be */
async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
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

  const folder = await mkdtemp(join(tmpdir(), 'weir-bench-'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      killAll();
      void rm(folder, { recursive: true, force: true }).then(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    });
  }
  try {
    const run: Run = { folder, cores: chooseCores(), checkouts };
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
    await keep(options, heading, outcomes, reports);
    return outcomes.every(isWhole) ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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

async function keep(
  options: Options,
  heading: string,
  outcomes: readonly Outcome[],
  reports: readonly string[],
): Promise<void> {
  const at = new Date().toISOString();
  const figures = {
    at,
    machine: heading.trim(),
    scenarios: outcomes.map(({ scenario, rounds, skipped, failure }) => ({
      name: scenario.name,
      baseline: scenario.baseline,
      failure,
      rounds,
      skipped: Object.fromEntries(skipped),
    })),
  };
  const json = `${JSON.stringify(figures, undefined, 2)}\n`;
  const results = join(import.meta.dirname, 'results');
  await mkdir(results, { recursive: true });
  const name = at.replaceAll(/[:.]/g, '-');
  await writeFile(join(results, `${name}.md`), [heading, ...reports].join('\n'));
  await writeFile(join(results, `${name}.json`), json);
  if (options.json !== undefined) await writeFile(options.json, json);
}

function isWhole({ rounds, skipped, failure }: Outcome): boolean {
  return failure === undefined && skipped.size === 0 && rounds.every((round) => round.failure === undefined);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof TypeError ? `${error.message}\n\n${usage}` : String((error as Error).stack));
  process.exitCode = 2;
}
