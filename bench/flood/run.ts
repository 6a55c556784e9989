/** A workload, flooded: what the gateway can do, then several times that, then what it can do again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Run } from '../scenario.ts';
import { runPhase, type Phase } from './phase.ts';
import { startSubject, type Workload } from './workloads.ts';

/** How many times what it can do. */
const multiples: readonly number[] = [1, 2, 5, 10];

export interface FloodOptions {
  /** Of each flood. */
  readonly seconds: number;
  /** Of each measurement of what it can do. */
  readonly capacitySeconds: number;
  /** V8 takes seconds to compile what is hot. */
  readonly warmUpSeconds: number;
}

export interface Flood {
  readonly multiple: number;
  readonly offeredPerS: number;
  /** Mean of before and after: what else the machine did meanwhile it did to both. */
  readonly capacityPerS: number;
  readonly phase: Phase;
}

export interface Flooded {
  readonly workload: string;
  readonly title: string;
  /** Names of its kinds of requests. */
  readonly kinds: readonly string[];
  readonly floods: readonly Flood[];
}

/** Connections of the clients, kept: enough for all that is under way, at any multiple. */
const connections = 2_000;

/** In which a flood is forgotten, and the garbage of it collected. */
const restMs = 5_000;

/** @throws {Error} when the gateway does not start, answers wrong, or ends */
export async function flood(
  run: Run,
  workload: Workload,
  options: FloodOptions,
  say: (text: string) => void,
): Promise<Flooded> {
  await using stack = new AsyncDisposableStack();
  say(`${workload.name}: starting`);
  const subject = await startSubject(run, stack, workload);
  const capacity = async (seconds: number): Promise<number> => {
    const { okPerS } = await runPhase(run.cores.load, subject, { seconds, connections: workload.connections });
    return okPerS;
  };
  say(`${workload.name}: warming up`);
  await capacity(options.warmUpSeconds);
  let before = await capacity(options.capacitySeconds);
  const floods: Flood[] = [];
  for (const multiple of multiples) {
    const offeredPerS = before * multiple;
    say(`${workload.name}: ${multiple} × ${Math.round(before)} requests/s`);
    const offer = { seconds: options.seconds, connections, rate: offeredPerS };
    const phase = await runPhase(run.cores.load, subject, offer);
    await sleep(restMs);
    const after = await capacity(options.capacitySeconds);
    floods.push({ multiple, offeredPerS, capacityPerS: (before + after) / 2, phase });
    before = after;
  }
  const { name, title, requests } = workload;
  return { workload: name, title, kinds: requests.map((request) => request.name), floods };
}
