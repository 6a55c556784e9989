import { setTimeout as wait } from 'node:timers/promises';
import type { Address } from '#upstreams/endpoint.ts';
import type { Change } from '#upstreams/endpoints.ts';
import type { Surroundings } from '#upstreams/upstream.ts';
import { ConsulSource } from './consul.ts';
import { DnsSource, DnsSrvSource } from './dns.ts';
import type { DiscoverySettings } from './settings.ts';
import type { Source } from './source.ts';

/** After a failure it is asked again within this time at first, twice as long each time, and no longer than that at last. */
const retryMs = { least: 500, most: 60_000 };

/** More than this is a mistake of whoever answers. */
const maxEndpoints = 1_000;

/**
 * Asks for an upstream's addresses as long as it runs. Nothing waits for it but calls that find no address at all, before
 * the first answer. Where there is no answer, or an empty one, the addresses stay what they were: that the directory has
 * trouble does not mean that the service has.
 */
export class Discovery {
  /** Questions without an answer, and empty answers, since the start. */
  errors = 0;
  /** What was wrong with the last question; undefined when nothing was. Wall clock. */
  lastError: { readonly message: string; readonly atMs: number } | undefined;
  /** When there last was an answer, wall clock. */
  lastAnswerMs: number | undefined;
  readonly #upstream: string;
  readonly #surroundings: Surroundings;
  readonly #take: (addresses: readonly Address[]) => Change;
  #settings: DiscoverySettings | undefined;
  #asking: AbortController | undefined;
  #started = false;
  #asked = false;
  readonly #waiting = new Set<() => void>();

  constructor(
    upstream: string,
    settings: DiscoverySettings | undefined,
    surroundings: Surroundings,
    take: (addresses: readonly Address[]) => Change,
  ) {
    this.#upstream = upstream;
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#take = take;
  }

  /** How addresses are found; undefined where they are written down. */
  get kind(): DiscoverySettings['kind'] | undefined {
    return this.#settings?.kind;
  }

  start(): void {
    this.#started = true;
    this.#begin();
  }

  /** Goes on as it is unless something about it has changed. What was found before stays until the first answer. */
  configure(settings: DiscoverySettings | undefined): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
    this.#asking?.abort();
    this.#settings = settings;
    this.#asked = false;
    this.lastError = undefined;
    this.lastAnswerMs = undefined;
    if (this.#started) this.#begin();
  }

  stop(): void {
    this.#started = false;
    this.#asking?.abort();
    this.#settle();
  }

  /** Calls `settled` once there is a first answer, or none to be had. @returns how to stop waiting; undefined when there is nothing to wait for */
  onFirst(settled: () => void): (() => void) | undefined {
    if (this.#asked || !this.#settings || !this.#started) return undefined;
    this.#waiting.add(settled);
    return () => void this.#waiting.delete(settled);
  }

  #begin(): void {
    if (!this.#settings) {
      this.#settle();
      return;
    }
    this.#asking = new AbortController();
    void this.#run(sourceOf(this.#settings), this.#asking.signal);
  }

  async #run(source: Source, signal: AbortSignal): Promise<void> {
    // Ends what is under way at once, for a name server that does not answer.
    signal.addEventListener('abort', () => source.close(), { once: true });
    let failures = 0;
    while (!signal.aborted) {
      let pauseMs = source.pauseMs * (0.9 + Math.random() * 0.2);
      try {
        const addresses = await source.ask(signal);
        if (signal.aborted) return;
        this.#answered(addresses);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(error instanceof Error ? error.message : String(error));
        pauseMs = Math.min(retryMs.most, retryMs.least * 2 ** failures++) * (0.5 + Math.random() / 2);
      }
      this.#settle();
      if (pauseMs > 0) await wait(pauseMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  #answered(addresses: readonly Address[] | undefined): void {
    const { clock, log } = this.#surroundings;
    this.lastAnswerMs = clock.epochMs();
    // As before: what was wrong with it then is so still.
    if (addresses === undefined) return;
    if (addresses.length === 0) {
      this.#failed('there is no endpoint');
      return;
    }
    const { joined, left } = this.#take(addresses.slice(0, maxEndpoints));
    if (addresses.length > maxEndpoints)
      this.#failed(`there are ${addresses.length} endpoints; ${maxEndpoints} are used`);
    else if (this.lastError) {
      this.lastError = undefined;
      log.info({ upstream: this.#upstream, kind: this.kind }, 'discovery works again');
    }
    if (joined.length + left.length > 0) {
      log.info({ upstream: this.#upstream, kind: this.kind, joined, left }, 'endpoints discovered');
    }
  }

  #failed(message: string): void {
    const { clock, log } = this.#surroundings;
    const again = this.lastError?.message === message;
    this.errors++;
    this.lastError = { message, atMs: clock.epochMs() };
    // Once, not for every question: the metric counts.
    if (again) return;
    log.warn(
      { upstream: this.#upstream, kind: this.kind, reason: message },
      'discovery failed, endpoints stay as they are',
    );
  }

  #settle(): void {
    this.#asked = true;
    for (const settled of this.#waiting) settled();
    this.#waiting.clear();
  }
}

function sourceOf(settings: DiscoverySettings): Source {
  switch (settings.kind) {
    case 'dns':
      return new DnsSource(settings);
    case 'dns-srv':
      return new DnsSrvSource(settings);
    default:
      return new ConsulSource(settings);
  }
}
