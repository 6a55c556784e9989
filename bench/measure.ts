/** One scenario: everything started, checked and warmed up, then rounds in turn, so that what disturbs hits all alike. */
import { join } from 'node:path';
import type { Round } from './figures.ts';
import { runLoad, writeScript, type Workload } from './load.ts';
import { Noise } from './noise.ts';
import type { Options } from './options.ts';
import { freePort } from './ports.ts';
import { Running } from './processes.ts';
import type { Prepared, Run, Scenario, Subject } from './scenario.ts';

export interface Outcome {
  readonly scenario: Scenario;
  /** In the order of the table. */
  readonly subjects: readonly string[];
  readonly rounds: readonly Round[];
  /** What was not measured, by subject, and why. */
  readonly skipped: ReadonlyMap<string, string>;
  /** Why nothing of it was measured. */
  readonly failure?: string;
}

interface Contender {
  readonly name: string;
  readonly origin: string;
  readonly process: Running;
  readonly script: string;
}

export async function measure(
  run: Run,
  scenario: Scenario,
  options: Options,
  say: (text: string) => void,
): Promise<Outcome> {
  await using stack = new AsyncDisposableStack();
  say(`${scenario.name}: starting`);
  let prepared: Prepared;
  try {
    prepared = await scenario.prepare(run, stack);
  } catch (error) {
    const failure = (error as Error).message;
    say(`${scenario.name}: ${failure}`);
    return { scenario, subjects: [], rounds: [], skipped: new Map(), failure };
  }
  const { subjects, workload } = prepared;
  const skipped = new Map<string, string>();
  const contenders: Contender[] = [];
  for (const subject of subjects) {
    try {
      if (subject.missing !== undefined) throw new Error(subject.missing);
      const own = { ...workload, requests: subject.requests ?? workload.requests };
      const script = join(run.folder, `${scenario.name}-${contenders.length}.lua`);
      await writeScript(script, own);
      contenders.push({ ...(await start(run, stack, subject, own)), script });
    } catch (error) {
      skipped.set(subject.name, (error as Error).message);
      say(`${scenario.name}: ${subject.name} is left out: ${(error as Error).message}`);
    }
  }

  const round = (contender: Contender, number: number, seconds: number): Promise<Round> =>
    measureRound(run, prepared, contender, { number, seconds });

  say(`${scenario.name}: warming up`);
  for (const contender of contenders) await round(contender, 0, options.warmUpSeconds);
  const rounds: Round[] = [];
  for (let number = 1; number <= options.rounds; number++) {
    say(`${scenario.name}: round ${number} of ${options.rounds}`);
    for (const contender of contenders) rounds.push(await round(contender, number, options.seconds));
  }
  return { scenario, subjects: subjects.map(({ name }) => name), rounds, skipped };
}

/** @throws {Error} when it does not start, or answers wrong */
async function start(
  run: Run,
  stack: AsyncDisposableStack,
  subject: Subject,
  workload: Workload,
): Promise<Omit<Contender, 'script'>> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const command = { ...(await subject.launch(port)), name: subject.name, core: run.cores.subject };
  const process = await Running.start(command, port);
  stack.defer(() => process.stop());
  await process.ask(() => probe(origin, workload));
  return { name: subject.name, origin, process };
}

/** One request of the workload. @throws {Error} when its answer is not the good one */
async function probe(origin: string, { requests, answer }: Workload): Promise<void> {
  const { method, path, headers, body } = requests[0]!;
  const response = await fetch(`${origin}${path}`, { method, headers, ...(body !== undefined && { body }) });
  const text = await response.text();
  if (response.status === 200 && text === answer) return;
  throw new Error(`It answers ${method} ${path} with ${response.status} ${text.slice(0, 300)}`);
}

async function measureRound(
  { cores }: Run,
  { workload, upstream }: Prepared,
  { name, origin, process, script }: Contender,
  { number, seconds }: { readonly number: number; readonly seconds: number },
): Promise<Round> {
  const askedBefore = await upstream.asked();
  const noise = new Noise();
  const cpuBefore = process.cpuUs;
  const { requests, ...load } = await runLoad({ script, seconds, core: cores.load }, origin, workload);
  const cpuUs = process.cpuUs - cpuBefore;
  const foreign = noise.take();
  const calls = (await upstream.asked()) - askedBefore;
  return {
    subject: name,
    round: number,
    cpuUs: cpuUs / requests,
    ...load,
    upstreamCalls: calls / requests,
    foreign,
    ...(process.ended && { failure: 'it ended' }),
  };
}
