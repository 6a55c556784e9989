import { promises } from 'node:dns';
import { isIP } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Endpoint } from '#upstreams/endpoint.ts';
import type { Surroundings } from '#upstreams/upstream.ts';
import { NameServers } from './names.ts';
import type { DnsSettings } from './settings.ts';

/**
 * Looks up the host names of endpoints again and again. A connection knows only the address it was made to, and a busy one
 * lasts: when a name gets other addresses, calls move to new connections, and the old ones close when they are idle.
 */
export class HostNames {
  readonly #upstream: string;
  readonly #surroundings: Surroundings;
  readonly #endpoints: () => readonly Endpoint[];
  #settings: DnsSettings;
  #running: AbortController | undefined;
  /** By host name, of those that endpoints have. */
  #known = new Map<string, string>();

  constructor(
    upstream: string,
    settings: DnsSettings,
    surroundings: Surroundings,
    endpoints: () => readonly Endpoint[],
  ) {
    this.#upstream = upstream;
    this.#settings = settings;
    this.#surroundings = surroundings;
    this.#endpoints = endpoints;
  }

  start(): void {
    this.#running = new AbortController();
    void this.#run(this.#settings, this.#running.signal);
  }

  configure(settings: DnsSettings): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
    this.#settings = settings;
    if (!this.#running) return;
    this.stop();
    this.start();
  }

  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
  }

  async #run({ every, servers }: DnsSettings, signal: AbortSignal): Promise<void> {
    const names = servers.length > 0 ? new NameServers(servers) : undefined;
    signal.addEventListener('abort', () => names?.cancel(), { once: true });
    const addressesOf = async (name: string): Promise<readonly string[]> =>
      names ? names.addresses(name) : (await promises.lookup(name, { all: true })).map(({ address }) => address);
    while (!signal.aborted) {
      await this.#lookUp(addressesOf, signal);
      await wait(every * (0.9 + Math.random() * 0.2), undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async #lookUp(addressesOf: (name: string) => Promise<readonly string[]>, signal: AbortSignal): Promise<void> {
    const named = this.#endpoints().filter(({ url }) => isNamed(url.hostname));
    const known = new Map<string, string>();
    for (const hostname of new Set(named.map(({ url }) => url.hostname))) {
      const before = this.#known.get(hostname);
      const addresses = await addressesOf(hostname).catch(() => []);
      if (signal.aborted) return;
      // A name that cannot be looked up has not moved: connections that are there may well work.
      const now = addresses.length > 0 ? addresses.toSorted((a, b) => (a < b ? -1 : 1)).join(' ') : before;
      if (now === undefined) continue;
      known.set(hostname, now);
      if (before === undefined || now === before) continue;
      const moved = this.#endpoints().filter(({ url }) => url.hostname === hostname);
      for (const endpoint of moved) endpoint.reconnect();
      const { log } = this.#surroundings;
      log.info(
        { upstream: this.#upstream, endpoints: moved.map(({ origin }) => origin) },
        'host name has other addresses',
      );
    }
    this.#known = known;
  }
}

/** RFC 6761 §6.3: `localhost` is always the machine itself. */
function isNamed(hostname: string): boolean {
  return !hostname.startsWith('[') && isIP(hostname) === 0 && hostname !== 'localhost';
}
