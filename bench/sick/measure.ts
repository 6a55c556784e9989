/** One setting: a gateway, a load on an upstream that is well, and beside it in turn one that is sick, in every round. */
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runLoad, writeScript, type LoadResult, type Request, type Workload } from '../load.ts';
import { Noise } from '../noise.ts';
import { spawnOn } from '../processes.ts';
import type { Run } from '../scenario.ts';
import { node } from '../subjects/node.ts';
import { fixedAnswer } from '../upstreams/fixed.ts';
import type { CallersOrders, CallersReport } from './orders.ts';
import type { Setting } from './settings.ts';
import { sicknesses, sicknessNames, type Sickness } from './sicknesses.ts';
import { startSubject, type Subject } from './subject.ts';

/** What goes on beside the load that is measured. */
export interface Condition {
  readonly title: string;
  /** Nobody is called beside the load when there is none. */
  readonly called?: 'neighbour' | Sickness;
}

/** The others are divided by it: the same calls to an upstream that is well. */
export const baseline: Condition = { title: 'is well', called: 'neighbour' };

/** The same once more: how far it is from the first is the noise of the run. */
export const again: Condition = { title: 'is well, once more', called: 'neighbour' };

const alone: Condition = { title: 'is not called at all' };

export interface SickRound extends LoadResult {
  readonly condition: string;
  readonly round: number;
  readonly calls: number;
  /** That reached the sick one. */
  readonly attempts: number;
  readonly outcomes: CallersReport['outcomes'];
  /** Share of the machine that went to others meanwhile, 0 to 1. */
  readonly foreign: number;
}

export interface Measured {
  readonly setting: Setting;
  readonly conditions: readonly Condition[];
  readonly rounds: readonly SickRound[];
}

export interface SickOptions {
  readonly only: readonly Sickness[];
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly callsPerSecond: number;
}

/** The callers are at work before the load is, and after. */
const leadSeconds = 1;
const patienceMs = 3_000;

export async function measureSick(
  run: Run,
  setting: Setting,
  options: SickOptions,
  say: (text: string) => void,
): Promise<Measured> {
  await using stack = new AsyncDisposableStack();
  say(`${setting.name}: starting`);
  const subject = await startSubject(run, stack, setting);
  const script = join(run.folder, 'well.lua');
  await writeScript(script, workload);

  const kinds = sicknessNames.filter((name) => options.only.length === 0 || options.only.includes(name));
  const sick: Condition[] = kinds.map((called) => ({ title: sicknesses[called], called }));
  // What disturbs the machine disturbs the first and the second time alike, if it lasts.
  const middle = sick.length >> 1;
  const conditions = [baseline, alone, ...sick.slice(0, middle), again, ...sick.slice(middle)];
  const round = (condition: Condition, number: number, seconds: number): Promise<SickRound> =>
    measureRound(run, subject, condition, { number, seconds, script, callsPerSecond: options.callsPerSecond });

  say(`${setting.name}: warming up`);
  await round(baseline, 0, options.warmUpSeconds);
  for (const condition of conditions) await round(condition, 0, 1);
  const rounds: SickRound[] = [];
  for (let number = 1; number <= options.rounds; number++) {
    say(`${setting.name}: round ${number} of ${options.rounds}`);
    for (const condition of conditions) rounds.push(await round(condition, number, options.seconds));
  }
  return { setting, conditions, rounds };
}

interface RoundOrders {
  readonly number: number;
  readonly seconds: number;
  readonly script: string;
  readonly callsPerSecond: number;
}

async function measureRound(
  { cores }: Run,
  subject: Subject,
  { title, called }: Condition,
  { number, seconds, script, callsPerSecond }: RoundOrders,
): Promise<SickRound> {
  const sick = called === undefined || called === 'neighbour' ? undefined : called;
  const attemptsBefore = sick ? await subject.attempts(sick) : 0;
  const calling = called && callUpon(cores.load, subject.port, called, seconds + 2 * leadSeconds, callsPerSecond);
  await sleep(leadSeconds * 1_000);
  const noise = new Noise();
  const load = await runLoad({ script, seconds, core: cores.load }, `http://127.0.0.1:${subject.port}`, workload);
  const foreign = noise.take();
  const { calls, outcomes } = (await calling) ?? { calls: 0, outcomes: {} };
  await subject.idle();
  const attempts = sick ? (await subject.attempts(sick)) - attemptsBefore : 0;
  const failure = subject.process.ended ? 'the gateway ended' : load.failure;
  return {
    ...load,
    condition: title,
    round: number,
    calls,
    attempts,
    outcomes,
    foreign,
    ...(failure !== undefined && { failure }),
  };
}

async function callUpon(
  core: number,
  port: number,
  name: CallersOrders['name'],
  seconds: number,
  perSecond: number,
): Promise<CallersReport> {
  const orders: CallersOrders = { port, name, seconds, perSecond, patienceMs };
  const child = spawnOn(core, node(join(import.meta.dirname, 'callers.ts'), JSON.stringify(orders)), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(child, 'close');
  return JSON.parse(said) as CallersReport;
}

/** Both doors and both forms of the exchange: of twenty requests fifteen reads, four operations and a streamed upload. */
const workload: Workload = {
  connections: 32,
  requests: Array.from({ length: 1_000 }, (_, index) => requestOf(index)),
  answer: fixedAnswer,
  otherAnswers: [JSON.stringify({ data: { well: { id: '1', name: 'A product' } } })],
  compareAll: true,
};

function requestOf(index: number): Request {
  const kind = index % 20;
  if (kind === 10) {
    const headers = { 'content-type': 'application/octet-stream' };
    return { method: 'POST', path: '/well/upload', headers, body: 'x'.repeat(72 * 1024) };
  }
  if (kind % 5 === 1) {
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    const body = JSON.stringify({ query: `{ well(id: "${index}") { id name } }` });
    return { method: 'POST', path: '/graphql', headers, body };
  }
  return { method: 'GET', path: `/well/items/${index}`, headers: { accept: 'application/json' } };
}
