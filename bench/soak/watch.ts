/** Watches the gateway's process while all of it goes on. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Exposition } from '../exposition.ts';
import { descriptorsOf, type Descriptors } from './descriptors.ts';
import type { HeapUsage } from './inspector.ts';
import { serviceNames, type Stage } from './stage.ts';

export interface Sample {
  /** Since the watch began. */
  readonly atS: number;
  readonly rssBytes: number;
  /** Of it, what is neither files nor shared. */
  readonly anonymousBytes: number;
  readonly descriptors: Descriptors;
  readonly inFlight: number;
  readonly connections: number;
  readonly subscriptions: number;
  /** Connections to services in use, and calls that wait for one. */
  readonly upstreamSlots: number;
  /** The greatest delay of the event loop in the last window of ten seconds. */
  readonly loopDelayMs: number;
  /** Of what is held, after a collection; not in every sample. */
  readonly heap?: HeapUsage;
}

/** @throws {Error} when the gateway does not answer, or is gone, with what it said last */
export function sampleOf(stage: Stage, startMs: number, collect: boolean): Promise<Sample> {
  return stage.gateway.ask(() => takeSample(stage, startMs, collect));
}

async function takeSample(stage: Stage, startMs: number, collect: boolean): Promise<Sample> {
  const { gateway, port, adminUrl, shop, inspector } = stage;
  // First: the memory of a process says more after a collection.
  const heap = collect ? await inspector.heapAfterCollection() : undefined;
  const said = await Exposition.of(adminUrl);
  const status = readFileSync(`/proc/${gateway.pid}/status`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)![1]);
  return {
    atS: (performance.now() - startMs) / 1_000,
    rssBytes: kib('VmRSS') * 1024,
    anonymousBytes: kib('RssAnon') * 1024,
    descriptors: descriptorsOf(
      gateway.pid,
      port,
      new Set(serviceNames.map((name) => Number(new URL(shop[name].url).port))),
    ),
    inFlight: said.sum('http_server_active_requests'),
    connections: said.sum('weir_server_connections'),
    subscriptions: said.sum('weir_graphql_subscriptions_open'),
    upstreamSlots: said.sum('weir_upstream_connections'),
    loopDelayMs: said.sum('nodejs_eventloop_delay_max_seconds') * 1_000,
    ...(heap && { heap }),
  };
}

const everyMs = 1_000;

/** Samples until `stop`. @throws {Error} as above */
export async function watch(stage: Stage, startMs: number, stop: AbortSignal): Promise<Sample[]> {
  const samples: Sample[] = [];
  while (!stop.aborted) {
    samples.push(await sampleOf(stage, startMs, false));
    await sleep(everyMs, undefined, { signal: stop }).catch(() => undefined);
  }
  return samples;
}

export function isQuiet({ inFlight, subscriptions, upstreamSlots }: Sample): boolean {
  return inFlight + subscriptions + upstreamSlots === 0;
}

/** Descriptors that come and go by themselves: a health check under way, a file just being read. */
const fewDescriptors = 4;

/** Nothing is under way, no client is connected, and descriptors are back where they were. */
export function isBack(sample: Sample, baseline: Sample): boolean {
  const { connections, descriptors } = sample;
  return isQuiet(sample) && connections === 0 && descriptors.total <= baseline.descriptors.total + fewDescriptors;
}

/** Waits until nothing is under way. @returns the last sample, with a collection, be it quiet or not */
export async function untilQuiet(stage: Stage, startMs: number, forMs: number): Promise<Sample> {
  await until(stage, startMs, forMs, isQuiet);
  return sampleOf(stage, startMs, true);
}

/**
 * Waits until all is as it was before. Idle connections to services are kept for as long as those say.
 * @returns the last sample, whatever it is
 */
export async function untilBack(stage: Stage, startMs: number, baseline: Sample, forMs: number): Promise<Sample> {
  await until(stage, startMs, forMs, (sample) => isBack(sample, baseline));
  return sampleOf(stage, startMs, true);
}

async function until(
  stage: Stage,
  startMs: number,
  forMs: number,
  reached: (sample: Sample) => boolean,
): Promise<void> {
  const giveUpMs = performance.now() + forMs;
  while (!reached(await sampleOf(stage, startMs, false)) && performance.now() < giveUpMs) await sleep(500);
}
