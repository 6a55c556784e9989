/** The soak: legs of mixed load and trouble, and after each a rest, in which nothing may be left under way. */
import { setTimeout as sleep } from 'node:timers/promises';
import { draw } from '../../examples/shop/services/kit/random.ts';
import { Noise } from '../noise.ts';
import { pin } from '../processes.ts';
import type { Run } from '../scenario.ts';
import { keepDoing, type Activity } from './activity.ts';
import { graphql } from './clients/graphql.ts';
import { hostile } from './clients/hostile.ts';
import { rest } from './clients/rest.ts';
import { streams } from './clients/streams.ts';
import { setStage, type Stage } from './stage.ts';
import { Tally } from './tally.ts';
import { makeTrouble, Trouble } from './trouble.ts';
import { sampleOf, untilBack, untilQuiet, watch, type Sample } from './watch.ts';

const activities: readonly Activity[] = [...graphql, ...rest, ...streams, ...hostile];

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
}

export interface Soaked {
  readonly options: SoakOptions;
  readonly tally: Tally;
  readonly trouble: Trouble;
  /** Before the first client came. */
  readonly baseline: Sample;
  /** During the legs. */
  readonly samples: readonly Sample[];
  /** After each leg, when nothing was under way or the wait for that was given up. */
  readonly rests: readonly Sample[];
  /** At the end, when connections to services have been given up as well. */
  readonly last: Sample;
  readonly foreign: number;
}

/** Longer than any limit of the gateway; what is still under way then is stuck. */
const restMs = 30_000;
/** Services keep idle connections for 75 s. */
const lastMs = 100_000;
const shortestLegMs = 15_000;

/** @throws {Error} when the gateway ends, or does not say how it is */
export async function runSoak(run: Run, options: SoakOptions, say: (text: string) => void): Promise<Soaked> {
  await using stack = new AsyncDisposableStack();
  const tally = new Tally();
  const trouble = new Trouble();
  const stage = await setStage(run, stack, tally);
  // The clients are this process.
  pin(process.pid, run.cores.load);
  const noise = new Noise();
  await sleep(2_000);
  const startMs = performance.now();
  const baseline = await sampleOf(stage, startMs, true);
  const legs = Math.max(4, options.minutes);
  const legMs = Math.max(shortestLegMs, (options.minutes * 60_000) / legs);
  const samples: Sample[] = [];
  const rests: Sample[] = [];
  for (let leg = 1; leg <= legs; leg++) {
    say(`soak: leg ${leg} of ${legs}`);
    samples.push(
      ...(await runLeg(stage, {
        number: leg,
        seed: options.seed,
        core: run.cores.load,
        legMs,
        startMs,
        tally,
        trouble,
      })),
    );
    rests.push(await untilQuiet(stage, startMs, restMs));
    say(`soak: at rest, ${(rests.at(-1)!.heap!.usedBytes / 1024 ** 2).toFixed(1)} MiB of heap held`);
  }
  say('soak: waiting for connections to be given up');
  const last = await untilBack(stage, startMs, baseline, lastMs);
  return { options, tally, trouble, baseline, samples, rests, last, foreign: noise.take() };
}

interface Leg {
  readonly number: number;
  readonly seed: number;
  readonly core: number;
  readonly legMs: number;
  readonly startMs: number;
  readonly tally: Tally;
  readonly trouble: Trouble;
}

async function runLeg(stage: Stage, leg: Leg): Promise<Sample[]> {
  const { number, seed, core, legMs, startMs, tally, trouble } = leg;
  const stop = new AbortController();
  const clients = activities.flatMap((activity, index) =>
    Array.from({ length: activity.clients }, (_, client) =>
      keepDoing(
        activity,
        { port: stage.port, tally, draw: draw(`soak ${seed} ${number} ${index}`, client) },
        stop.signal,
      ),
    ),
  );
  const bother = makeTrouble(stage, draw(`soak ${seed} trouble`, number), core, stop.signal, trouble);
  const watching = watch(stage, startMs, stop.signal);
  try {
    await Promise.race([sleep(legMs), watching, bother]);
  } finally {
    stop.abort();
  }
  const [seen] = await Promise.all([watching, bother, ...clients]);
  return seen;
}
