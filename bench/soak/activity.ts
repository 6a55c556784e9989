import { setTimeout as sleep } from 'node:timers/promises';
import type { Draw } from '../../examples/shop/services/kit/random.ts';
import type { Tally } from './tally.ts';

/** What a client has to do its work with. */
export interface Scene {
  readonly port: number;
  readonly tally: Tally;
  readonly draw: Draw;
  /** Of the activity, for the tally. */
  readonly name: string;
}

/** Something that clients do over and over. */
export interface Activity {
  readonly name: string;
  /** Clients that do it at a time. */
  readonly clients: number;
  /** Between two times of a client, on average. */
  readonly pauseMs: number;
  readonly run: (scene: Scene) => Promise<void>;
}

/** Longer than anything may take: each client ends, or is ended by the gateway, far sooner. */
const stuckMs = 45_000;

/**
 * Lets one client do it until `stop` says so. What fails is the client's outcome, and it goes on; what does not end is a
 * complaint.
 */
export async function keepDoing(activity: Activity, scene: Omit<Scene, 'name'>, stop: AbortSignal): Promise<void> {
  const { tally, draw } = scene;
  const { name } = activity;
  while (!stop.aborted) {
    tally.begin(name);
    const stuck = setTimeout(
      () => tally.complain('a client was left waiting', `${name}: no end within ${stuckMs / 1_000} s`),
      stuckMs,
    );
    try {
      await activity.run({ ...scene, name });
    } catch (error) {
      // A client that cannot connect, or a mistake of the bench: either way not what was to be seen.
      tally.complain('a client failed', `${name}: ${String((error as Error).stack)}`);
    }
    clearTimeout(stuck);
    tally.end(name);
    await sleep(draw.next() * 2 * activity.pauseMs);
  }
}
