/** What is asked of the gateways and of the services. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Shop } from '../services/spawn.ts';
import type { GatewayAddress } from './stage.ts';

/** Of whoever asks: his key. */
export type Key = 'demo-pro' | 'demo-partner';

export interface OperationAnswer {
  readonly status: number;
  /** Of the error, or the first of several. */
  readonly code: string | undefined;
  readonly extensions: {
    readonly cost?: { readonly estimated: number; readonly actual: number };
    readonly explain?: {
      readonly cost: { readonly estimated: number };
      readonly fields: readonly { readonly path: string; readonly upstream?: string; readonly calls: number }[];
    };
  };
}

export async function operation(
  { url }: GatewayAddress,
  key: Key,
  query: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<OperationAnswer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': key, ...headers },
    body: JSON.stringify({ query }),
  });
  const body = (await response.json()) as Partial<OperationAnswer> & {
    readonly errors?: readonly { readonly extensions: { readonly code: string } }[];
  };
  const { extensions = {}, errors, code = errors?.[0]?.extensions.code } = body;
  return { status: response.status, code, extensions };
}

export interface RestAnswer {
  readonly status: number;
  /** Of an error. */
  readonly code: string | undefined;
  /** As the answer says it itself. */
  readonly remaining: number;
  readonly retryAfterS: number | undefined;
}

export async function rest({ url }: GatewayAddress, key: Key, path: string): Promise<RestAnswer> {
  const response = await fetch(url + path, { headers: { 'x-api-key': key } });
  const { code } = (await response.json()) as { readonly code?: string };
  const retryAfter = response.headers.get('retry-after');
  return {
    status: response.status,
    code,
    remaining: Number(response.headers.get('x-ratelimit-remaining')),
    retryAfterS: retryAfter === null ? undefined : Number(retryAfter),
  };
}

/** What the holder of the key has left, which costs nothing to ask. */
export async function left({ url }: GatewayAddress, key: Key): Promise<number> {
  const response = await fetch(`${url}/limits`, { headers: { 'x-api-key': key } });
  const { limits } = (await response.json()) as { readonly limits: readonly { readonly remaining: number }[] };
  return limits[0]!.remaining;
}

/** Where an instance counts now, and how many of them there are. */
export async function counting({ admin }: GatewayAddress): Promise<string> {
  const { limits } = (await (await fetch(`${admin}/readyz`)).json()) as {
    readonly limits: { readonly counted: string; readonly instances: number };
  };
  return `${limits.counted}, ${limits.instances} instances`;
}

/** Requests that the services have had, by their own count. */
export interface Counters {
  readonly total: number;
  readonly text: string;
}

export async function counters(shop: Shop): Promise<Counters> {
  const names = ['users', 'orders', 'catalog', 'reviews'] as const;
  const counts = await Promise.all(names.map(async (name) => (await shop[name].counters()).total));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const each = names.map((name, place) => `${name} ${String(counts[place]).padStart(4)}`);
  return { total, text: `${each.join('   ')}   together ${String(total).padStart(4)}` };
}

/** Waits for what happens off the path of an answer, half a minute at the most. @returns whether it happened */
export async function soon(happened: () => Promise<boolean>): Promise<boolean> {
  for (const giveUpAt = performance.now() + 30_000; performance.now() < giveUpAt; await sleep(50))
    if (await happened()) return true;
  return false;
}
