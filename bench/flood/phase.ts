/** One phase of load on a gateway, and what came of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Noise } from '../noise.ts';
import { spawnOn } from '../processes.ts';
import { node } from '../subjects/node.ts';
import { merged, type Latencies } from './latencies.ts';
import type { KindCounts, LoaderOrders, LoaderSecond } from './orders.ts';
import type { Subject } from './workloads.ts';

/** How long the operators' listener took to say that the gateway is ready; undefined when it said something else. */
type Health = number | undefined;

export interface Second extends LoaderSecond {
  readonly rssBytes: number;
  readonly health: Health;
}

/** All of it, per second where it says so. */
export interface Phase {
  /** Seconds in which load was offered; looks at a busy generator may be fewer. */
  readonly lengthS: number;
  readonly seconds: readonly Second[];
  readonly sentPerS: number;
  /** Due, but not sent: the generator had no connection left. */
  readonly unsentPerS: number;
  readonly okPerS: number;
  readonly refusedPerS: number;
  /** Neither the good answer nor a refusal: late, broken, wrong. */
  readonly lostPerS: number;
  readonly kinds: readonly KindCounts[];
  readonly ok: Latencies;
  readonly refused: Latencies;
  readonly peakRssBytes: number;
  readonly slowestHealthMs: number | undefined;
  /** Share of the gateway's core that it used, 0 to 1. */
  readonly cpu: number;
  /** Share of the machine that went to others meanwhile. */
  readonly foreign: number;
}

type Offer = Pick<LoaderOrders, 'seconds' | 'connections'> & { readonly rate?: number };

/** @throws {Error} when the loader fails */
export async function runPhase(core: number, subject: Subject, offer: Offer): Promise<Phase> {
  const orders: LoaderOrders = { ...offer, port: subject.port, kinds: subject.kinds, timeoutMs: 10_000 };
  const noise = new Noise();
  const cpuBefore = subject.process.cpuUs;
  const begunMs = performance.now();
  const loader = spawnOn(core, node(join(import.meta.dirname, 'loader.ts'), JSON.stringify(orders)), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const seconds: Second[] = [];
  for await (const line of createInterface({ input: loader.stdout! })) {
    const health = await askHealth(subject.adminUrl);
    seconds.push({ ...(JSON.parse(line) as LoaderSecond), rssBytes: rssBytes(subject.process.pid), health });
  }
  const elapsedUs = (performance.now() - begunMs) * 1_000;
  const cpu = (subject.process.cpuUs - cpuBefore) / elapsedUs;
  if (seconds.length < offer.seconds) throw new Error('The loader ended before its time.');
  return { ...summary(seconds, offer.seconds), cpu, foreign: noise.take() };
}

/** Several phases as one. */
export function together(phases: readonly Phase[]): Phase {
  const all = phases.flatMap(({ seconds }) => seconds);
  // The last of each is what was left after its time.
  const whole = phases.flatMap(({ seconds }) => seconds.slice(0, -1));
  const lengthS = phases.reduce((sum, phase) => sum + phase.lengthS, 0);
  return {
    ...summary(all, lengthS),
    seconds: [...whole, all.at(-1)!],
    cpu: mean(phases.map(({ cpu }) => cpu)),
    foreign: Math.max(...phases.map(({ foreign }) => foreign)),
  };
}

export function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function summary(seconds: readonly Second[], length: number): Omit<Phase, 'cpu' | 'foreign'> {
  const sum = (of: (second: Second) => number) => seconds.reduce((total, second) => total + of(second), 0);
  const kinds = seconds[0]!.kinds.map((_, index) => ({
    sent: sum((second) => second.kinds[index]!.sent),
    ok: sum((second) => second.kinds[index]!.ok),
    refused: sum((second) => second.kinds[index]!.refused),
  }));
  const ok = merged(seconds.map((second) => second.ok));
  const refused = merged(seconds.map((second) => second.refused));
  const health = seconds.map((second) => second.health);
  return {
    lengthS: length,
    seconds,
    kinds,
    ok,
    refused,
    sentPerS: sum(({ sent }) => sent) / length,
    unsentPerS: sum(({ unsent }) => unsent) / length,
    okPerS: ok.count / length,
    refusedPerS: refused.count / length,
    lostPerS: sum(({ late, broken, wrong }) => late + broken + wrong) / length,
    peakRssBytes: Math.max(...seconds.map(({ rssBytes: bytes }) => bytes)),
    slowestHealthMs: health.includes(undefined) ? undefined : Math.max(...(health as number[])),
  };
}

async function askHealth(adminUrl: string): Promise<Health> {
  const begunMs = performance.now();
  try {
    const { ok } = await fetch(`${adminUrl}/readyz`, { signal: AbortSignal.timeout(10_000) });
    return ok ? performance.now() - begunMs : undefined;
  } catch {
    return undefined;
  }
}

/** proc_pid_status(5). */
function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}
