/** Redis stands still, again and again, under an even load: how long does a request wait for it? */
import { setTimeout as sleep } from 'node:timers/promises';
import { Exposition } from '../exposition.ts';
import { spread } from '../figures.ts';
import { merged, type Latencies } from '../flood/latencies.ts';
import { runPhase, type Phase } from '../flood/phase.ts';
import { startRedis } from '../redis.ts';
import type { Run } from '../scenario.ts';
import { fixedAnswer, startFixedUpstream } from '../upstreams/fixed.ts';
import { startLimited } from './subject.ts';

/** What is bounded: the default of `redis.timeout`. */
export const boundMs = 25;

/** Few enough that nothing queues, so that what is waited for is Redis. */
const perSecond = 500;

const key = 'bench';

/** Stands still for so much of each second: long enough that it is given up, short enough that it is asked again. */
const stillMs = 400;
const periodMs = 1_000;

export interface Waits {
  readonly all: Latencies;
  /** The slowest answer of each second. The machine halts for tens of milliseconds at times, whatever runs on it. */
  readonly slowestMs: readonly number[];
}

export interface PauseOptions {
  /** Of each of the two phases. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

export interface Pauses {
  readonly pauses: number;
  /** Questions that Redis did not answer in time, by the gateway's own count. */
  readonly unanswered: number;
  /** While Redis answers, and while it stands still once in each second. */
  readonly before: Waits;
  readonly during: Waits;
  /** Answers that were not the good one, or did not come. */
  readonly wrong: number;
  /** Share of the machine that went to others meanwhile, 0 to 1. */
  readonly foreign: number;
}

export async function measurePauses(run: Run, options: PauseOptions, say: (text: string) => void): Promise<Pauses> {
  await using stack = new AsyncDisposableStack();
  const { origin } = await startFixedUpstream(run, stack);
  const redis = await startRedis(run, stack);
  stack.defer(() => redis.process.signal('SIGCONT'));
  const limit = { name: 'minute', algorithm: 'sliding-window', quota: 100_000_000, window: '1m' };
  const limited = await startLimited(run, stack, {
    upstream: origin,
    tiers: { pro: { limit, keys: [key] } },
    redis: { url: redis.url, timeout: `${boundMs}ms` },
  });
  // Reads in flight that are alike are one call, which is never late for each of them.
  const text = `GET /items/1 HTTP/1.1\r\nhost: bench\r\nx-api-key: ${key}\r\nx-weir-deadline-ms: 60000\r\n\r\n`;
  const subject = {
    ...limited,
    kinds: [{ name: 'limited', text, answerBytes: fixedAnswer.length, share: 1 }],
  };
  const phase = (seconds: number) => runPhase(run.cores.load, subject, { seconds, connections: 64, rate: perSecond });
  say('pauses: warming up');
  await phase(options.warmUpSeconds);
  say('pauses: Redis answers');
  const before = await phase(options.seconds);
  say('pauses: Redis stands still, again and again');
  const failed = await failures(limited.adminUrl);
  let pauses = 0;
  const over = new AbortController();
  const disturb = async (): Promise<void> => {
    const begunMs = performance.now();
    for (;;) {
      await sleep(begunMs + (pauses + 1) * periodMs - stillMs - performance.now());
      if (over.signal.aborted) return;
      pauses++;
      redis.process.signal('SIGSTOP');
      await sleep(stillMs);
      redis.process.signal('SIGCONT');
    }
  };
  const disturbing = disturb();
  const during = await phase(options.seconds);
  over.abort();
  await disturbing;
  const unanswered = (await failures(limited.adminUrl)) - failed;
  const wrong = [before, during].reduce((sum, { lostPerS, refusedPerS }) => sum + lostPerS + refusedPerS, 0);
  return {
    pauses,
    unanswered,
    before: waits(before),
    during: waits(during),
    wrong: Math.round(wrong * options.seconds),
    foreign: Math.max(before.foreign, during.foreign),
  };
}

async function failures(adminUrl: string): Promise<number> {
  return (await Exposition.of(adminUrl)).sum('weir_limits_store_failures_total');
}

function waits({ ok, seconds }: Phase): Waits {
  // The last is what was left when the time was over.
  const slowestMs = seconds.slice(0, -1).map((second) => merged([second.ok]).quantile(1));
  return { all: ok, slowestMs };
}

/** How much longer the slowest request of a second with a pause takes than that of a second without, as a median. */
export function addedByPause({ before, during }: Pauses): number {
  return spread(during.slowestMs)!.median - spread(before.slowestMs)!.median;
}

/** The slowest request of a second is slower by no more than the bound where there is a pause in that second. */
export function waitsAreBounded(pauses: Pauses): boolean {
  return pauses.wrong === 0 && pauses.unanswered > 0 && addedByPause(pauses) <= boundMs;
}
