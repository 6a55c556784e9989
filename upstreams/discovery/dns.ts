import type { SrvRecord } from 'node:dns';
import type { Address } from '#upstreams/endpoint.ts';
import { NameServers } from './names.ts';
import type { DiscoverySettings } from './settings.ts';
import { addressAt, type Source } from './source.ts';

/** The A and AAAA records of a name, all at one port. */
export class DnsSource implements Source {
  readonly pauseMs: number;
  readonly #settings: Extract<DiscoverySettings, { kind: 'dns' }>;
  readonly #names: NameServers;

  constructor(settings: Extract<DiscoverySettings, { kind: 'dns' }>) {
    this.pauseMs = settings.every;
    this.#settings = settings;
    this.#names = new NameServers(settings.servers);
  }

  async ask(): Promise<readonly Address[]> {
    const { name, port, scheme, host = withoutDot(name) } = this.#settings;
    const addresses = await this.#names.addresses(name);
    return addresses.map((address) => addressAt({ host: address, port }, host, scheme));
  }

  close(): void {
    this.#names.cancel();
  }
}

/** SRV records (RFC 2782): host, port, weight and priority of each instance. */
export class DnsSrvSource implements Source {
  readonly pauseMs: number;
  readonly #settings: Extract<DiscoverySettings, { kind: 'dns-srv' }>;
  readonly #names: NameServers;

  constructor(settings: Extract<DiscoverySettings, { kind: 'dns-srv' }>) {
    this.pauseMs = settings.every;
    this.#settings = settings;
    this.#names = new NameServers(settings.servers);
  }

  async ask(): Promise<readonly Address[]> {
    const { name, scheme, host = serviceName(name) } = this.#settings;
    const records = await this.#names.services(name);
    // RFC 2782: a target of "." says that the service is decidedly not available there.
    const available = records.filter((record) => record.name !== '' && record.name !== '.');
    const targets = await Promise.allSettled(available.map((record) => this.#names.addresses(record.name)));
    const failed = targets.find((target) => target.status === 'rejected');
    const found = available.flatMap((record, index) => {
      const target = targets[index];
      const addresses = target?.status === 'fulfilled' ? target.value : [];
      // The addresses of one target share its weight.
      const weight = weightOf(record, available) / addresses.length;
      return addresses.map((address) =>
        addressAt({ host: address, port: record.port, priority: record.priority, weight }, host, scheme),
      );
    });
    if (found.length === 0 && failed) throw failed.reason;
    return found;
  }

  close(): void {
    this.#names.cancel();
  }
}

/** RFC 2782: a weight of 0 beside others has a very small chance; among its like it says that there is nothing to weigh. */
function weightOf({ weight }: SrvRecord, all: readonly SrvRecord[]): number {
  if (weight > 0) return weight;
  const weights = all.flatMap((record) => (record.weight > 0 ? [record.weight] : []));
  return weights.length > 0 ? Math.min(...weights) / 100 : 1;
}

/** The name of the service without what RFC 2782 puts before it: `orders.svc` of `_http._tcp.orders.svc`. */
function serviceName(name: string): string {
  return withoutDot(name).replace(/^(_[^.]*\.)+/, '');
}

function withoutDot(name: string): string {
  return name.replace(/\.$/, '');
}
