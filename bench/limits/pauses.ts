/** Redis stands still, again and again, under an even load: how long does a request wait for it? */
import { setTimeout as sleep } from 'node:timers/promises';
import { Exposition } from '../exposition.ts';
import type { Latencies } from '../flood/latencies.ts';
import { runPhase } from '../flood/phase.ts';
import { startRedis } from '../redis.ts';
import type { Run } from '../scenario.ts';
import { fixedAnswer, startFixedUpstream } from '../upstreams/fixed.ts';
import { startLimited } from './subject.ts';

/** What is bounded: the default of `redis.timeout`. */
export const boundMs = 25;

/** Few enough that nothing queues, so that what is waited for is Redis. */
const perSecond = 500;

const key = 'bench';

export interface PauseOptions {
  /** Of each of the two phases. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

export interface Pauses {
  readonly pauses: number;
  /** Questions that Redis did not answer in time, by the gateway's own count. */
  readonly unanswered: number;
  /** Of all answers while Redis answers, and of all while it stands still half of the time. */
  readonly before: Latencies;
  readonly during: Latencies;
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
    await sleep(500);
    while (!over.signal.aborted) {
      redis.process.signal('SIGSTOP');
      pauses++;
      await sleep(500);
      redis.process.signal('SIGCONT');
      await sleep(1_000);
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
    before: before.ok,
    during: during.ok,
    wrong: Math.round(wrong * options.seconds),
    foreign: Math.max(before.foreign, during.foreign),
  };
}

async function failures(adminUrl: string): Promise<number> {
  return (await Exposition.of(adminUrl)).sum('weir_limits_store_failures_total');
}

/** No request is slower than the slowest is without a pause, by more than the bound. */
export function waitsAreBounded({ before, during, wrong, unanswered }: Pauses): boolean {
  return wrong === 0 && unanswered > 0 && during.quantile(1) <= before.quantile(1) + boundMs;
}
