/** A workload, flooded: what the gateway can do, then several times that, then what it can do again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Run } from '../scenario.ts';
import { mean, runPhase, together, type Phase } from './phase.ts';
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
  /** Mean of before and after each of its parts: what else the machine did meanwhile it did to both. */
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
const restMs = 3_000;

/** Floods come in parts of about so many seconds, turn by turn: a machine that others share is now faster and now slower. */
const partSeconds = 10;

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
  const capacities = [await capacity(options.capacitySeconds)];
  const rounds = Math.max(1, Math.round(options.seconds / partSeconds));
  const parts = multiples.map(() => ({ offeredPerS: 0, capacityPerS: 0, phases: [] as Phase[] }));
  for (let round = 1; round <= rounds; round++) {
    for (const [index, multiple] of multiples.entries()) {
      const rate = mean(capacities) * multiple;
      say(`${workload.name}: ${multiple} × ${Math.round(mean(capacities))} requests/s, ${round} of ${rounds}`);
      const offer = { seconds: Math.round(options.seconds / rounds), connections, rate };
      const part = parts[index]!;
      part.phases.push(await runPhase(run.cores.load, subject, offer));
      await sleep(restMs);
      capacities.push(await capacity(options.capacitySeconds));
      part.offeredPerS += rate / rounds;
      part.capacityPerS += mean(capacities.slice(-2)) / rounds;
    }
  }
  const floods = parts.map(({ phases, ...part }, index) => ({
    multiple: multiples[index]!,
    ...part,
    phase: together(phases),
  }));
  const { name, title, requests } = workload;
  return { workload: name, title, kinds: requests.map((request) => request.name), floods };
}
