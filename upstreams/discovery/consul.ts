import { setTimeout as wait } from 'node:timers/promises';
import { Pool } from 'undici';
import { z } from 'zod';
import { Pieces } from '#core/pieces.ts';
import type { Address } from '#upstreams/endpoint.ts';
import type { DiscoverySettings } from './settings.ts';
import { addressAt, type Source } from './source.ts';

type Settings = Extract<DiscoverySettings, { kind: 'consul' }>;

/** Some thousand instances; a catalogue that says more is not read. */
const maxAnswerBytes = 8 * 1024 * 1024;

/** For the network, on top of what Consul may hold a query: `wait` and up to a sixteenth of it. */
const networkMs = 10_000;

/** Questions at once and per second after that: a service that flaps, or an agent that does not block, is not asked in a loop. */
const burst = 10;

/** What is read of `/v1/health/service/:service`. */
const instances = z.array(
  z.object({
    Node: z.object({ Address: z.string() }),
    Service: z.object({
      Address: z.string(),
      Port: z.int().min(0).max(65_535),
      Tags: z.array(z.string()).nullish(),
      Weights: z.object({ Passing: z.number().min(0) }).nullish(),
    }),
  }),
);

/**
 * The instances of a service that pass their checks, from Consul's HTTP API by blocking queries: an answer comes when
 * something has changed (developer.hashicorp.com/consul/api-docs/features/blocking).
 */
export class ConsulSource implements Source {
  readonly pauseMs = 0;
  readonly #settings: Settings;
  readonly #pool: Pool;
  readonly #path: string;
  /** Text, since it is a 64-bit number. Empty: ask without waiting. */
  #index = '';
  #permits = burst;
  #permitsMs = performance.now();

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#pool = new Pool(settings.url, { connections: 1, connect: { timeout: 5_000 } });
    const query = new URLSearchParams({ passing: 'true' });
    if (settings.tag !== undefined) query.set('tag', settings.tag);
    if (settings.datacenter !== undefined) query.set('dc', settings.datacenter);
    this.#path = `/v1/health/service/${encodeURIComponent(settings.service)}?${query}`;
  }

  async ask(signal: AbortSignal): Promise<readonly Address[] | undefined> {
    await this.#permit(signal);
    const { wait: waitMs, token } = this.#settings;
    const blocking = this.#index === '' ? '' : `&index=${this.#index}&wait=${waitMs}ms`;
    const { statusCode, headers, body } = await this.#pool.request({
      method: 'GET',
      path: this.#path + blocking,
      headers: { accept: 'application/json', ...(token && { 'x-consul-token': token }) },
      headersTimeout: waitMs + waitMs / 16 + networkMs,
      bodyTimeout: networkMs,
      signal,
    });
    if (statusCode !== 200) {
      await body.dump();
      this.#index = '';
      throw new Error(`Consul answered with status ${statusCode}`);
    }
    const before = this.#index;
    const text = await bounded(body);
    const found = this.#read(text);
    this.#index = nextIndex(before, String(headers['x-consul-index'] ?? ''));
    return before !== '' && this.#index === before ? undefined : found;
  }

  #read(text: string): readonly Address[] {
    const { service, host = service, scheme } = this.#settings;
    return instances.parse(JSON.parse(text)).flatMap(({ Node, Service }) => {
      if (Service.Port === 0) return [];
      const found = {
        host: Service.Address || Node.Address,
        port: Service.Port,
        weight: Service.Weights?.Passing ?? 1,
      };
      return [addressAt(found, host, scheme, labelsOf(Service.Tags ?? []))];
    });
  }

  async #permit(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    this.#permits = Math.min(burst, this.#permits + (now - this.#permitsMs) / 1000);
    this.#permitsMs = now;
    this.#permits--;
    if (this.#permits < 0) await wait(-this.#permits * 1000, undefined, { signal, ref: false });
  }

  close(): void {
    void this.#pool.destroy();
  }
}

/**
 * What to wait on next. An index that goes backwards, as after a restored snapshot, starts anew without waiting, or changes
 * would be missed; one that is not above zero is a known defect of Consul's, and 1 is always safe to wait on.
 */
function nextIndex(before: string, received: string): string {
  const index = /^\d{1,20}$/.test(received) ? BigInt(received) : 0n;
  if (before !== '' && index < BigInt(before)) return '';
  return String(index > 0n ? index : 1n);
}

/** A tag `key=value` is that label; one without a value is its own name, and `true`. */
function labelsOf(tags: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    tags.map((tag) => {
      const equals = tag.indexOf('=');
      return equals > 0 ? [tag.slice(0, equals), tag.slice(equals + 1)] : [tag, 'true'];
    }),
  );
}

async function bounded(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces = new Pieces();
  for await (const chunk of body) {
    if (pieces.length + chunk.length > maxAnswerBytes)
      throw new Error(`Consul answered with more than ${maxAnswerBytes} bytes`);
    pieces.push(chunk);
  }
  return pieces.join().toString();
}
