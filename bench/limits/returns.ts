/** Clients that are refused and come back when `Retry-After` says: is there room for them? */
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '../redis.ts';
import type { Run } from '../scenario.ts';
import { startFixedUpstream } from '../upstreams/fixed.ts';
import { startLimited } from './subject.ts';

const algorithms = {
  'sliding-window': { quota: 3, window: '3s' },
  'token-bucket': { quota: 2, window: '3s', burst: 3 },
  'fixed-window': { quota: 3, window: '2s' },
} as const;

type Algorithm = keyof typeof algorithms;

export interface ReturnOptions {
  /** Clients of each algorithm at each store. */
  readonly clients: number;
  /** How often each of them is refused and comes back. */
  readonly turns: number;
}

export interface Returns {
  readonly store: 'memory' | 'Redis';
  readonly algorithm: Algorithm;
  /** Times that somebody was refused, and came back when he was told to. */
  readonly refused: number;
  /** Of these, when he was refused once more. */
  readonly early: number;
  /** What was told, in seconds. */
  readonly leastS: number;
  readonly mostS: number;
}

export async function measureReturns(
  run: Run,
  options: ReturnOptions,
  say: (text: string) => void,
): Promise<readonly Returns[]> {
  await using stack = new AsyncDisposableStack();
  const { origin } = await startFixedUpstream(run, stack);
  const redis = await startRedis(run, stack);
  const names = Object.keys(algorithms) as Algorithm[];
  const keysOf = (name: Algorithm) => Array.from({ length: options.clients }, (_, client) => `${name}-${client}`);
  const tiers = Object.fromEntries(
    names.map((name) => [
      name,
      { limit: { name: 'few', algorithm: name, unit: 'requests', ...algorithms[name] }, keys: keysOf(name) },
    ]),
  );
  say('returns: clients that come back when they are told to');
  const all: Promise<Returns>[] = [];
  for (const store of ['memory', 'Redis'] as const) {
    // Of a Redis that is late there is nothing to be learnt here.
    const settings = store === 'Redis' ? { url: redis.url, timeout: '1s' } : undefined;
    const { port } = await startLimited(run, stack, { upstream: origin, tiers, redis: settings });
    // Until it has heard of Redis it counts alone.
    await sleep(1_000);
    for (const algorithm of names) {
      const clients = keysOf(algorithm).map((key) => comeBack(`http://127.0.0.1:${port}/items/1`, key, options.turns));
      all.push(Promise.all(clients).then((told) => ({ store, algorithm, ...sumOf(told.flat()) })));
    }
  }
  return await Promise.all(all);
}

interface Told {
  readonly retryAfterS: number;
  readonly admitted: boolean;
}

/** A client with a key of its own, so that nobody else takes what there is room for. */
async function comeBack(url: string, key: string, turns: number): Promise<Told[]> {
  const told: Told[] = [];
  await sleep(Math.random() * 1_000);
  while (told.length < turns) {
    const { status, retryAfterS } = await ask(url, key);
    const heardMs = performance.now();
    if (status === 200) continue;
    // A timer may be a little early, and that would be ours.
    for (let leftMs = retryAfterS * 1_000; leftMs > 0; leftMs = heardMs + retryAfterS * 1_000 - performance.now())
      await sleep(Math.ceil(leftMs));
    told.push({ retryAfterS, admitted: (await ask(url, key)).status === 200 });
  }
  return told;
}

/** @throws {Error} when it is neither admitted nor refused by its limit */
async function ask(url: string, key: string): Promise<{ readonly status: number; readonly retryAfterS: number }> {
  const response = await fetch(url, { headers: { 'x-api-key': key, 'x-weir-deadline-ms': '60000' } });
  const text = await response.text();
  if (response.status === 200) return { status: 200, retryAfterS: 0 };
  const retryAfterS = Number(response.headers.get('retry-after') ?? Number.NaN);
  if (response.status === 429 && !Number.isNaN(retryAfterS)) return { status: 429, retryAfterS };
  throw new Error(`It answers ${response.status} ${text.slice(0, 300)}`);
}

function sumOf(told: readonly Told[]): Pick<Returns, 'refused' | 'early' | 'leastS' | 'mostS'> {
  const seconds = told.map(({ retryAfterS }) => retryAfterS);
  return {
    refused: told.length,
    early: told.filter(({ admitted }) => !admitted).length,
    leastS: Math.min(...seconds),
    mostS: Math.max(...seconds),
  };
}

/** `Retry-After` is never early, and never 0. */
export function returnsAreKept(all: readonly Returns[]): boolean {
  return all.every(({ early, leastS }) => early === 0 && leastS >= 1);
}
