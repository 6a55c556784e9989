import { Endpoint, type Address } from './endpoint.ts';
import type { Transport } from './transport.ts';

/** The endpoints that an upstream has at present. Those that leave finish what they have. */
export class Endpoints {
  #transport: Transport;
  #current: readonly Endpoint[] = [];
  readonly #left = new Set<Endpoint>();
  readonly #listeners = new Set<() => void>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get current(): readonly Endpoint[] {
    return this.#current;
  }

  /** Calls `changed` after each change of membership. */
  onChange(changed: () => void): void {
    this.#listeners.add(changed);
  }

  /**
   * Takes the addresses as they are now: known ones stay as they are, new ones join, missing ones leave. With another way
   * to connect all are connected anew; what is known of their health stays.
   */
  replace(addresses: readonly Address[], transport: Transport = this.#transport): void {
    this.#transport = transport;
    const known = new Map(this.#current.map((endpoint) => [endpoint.origin, endpoint]));
    const next = new Map<string, Endpoint>();
    for (const address of addresses) {
      const origin = new URL(address.url).origin;
      if (next.has(origin)) continue;
      next.set(origin, this.#member(address, known.get(origin)));
    }
    const current = [...next.values()];
    const left = this.#current.filter((endpoint) => next.get(endpoint.origin) !== endpoint);
    const changed = left.length > 0 || current.length !== this.#current.length;
    this.#current = current;
    for (const endpoint of left) this.#remove(endpoint);
    if (changed) for (const listener of this.#listeners) listener();
  }

  /** Cuts off whatever is still in flight. */
  async destroy(): Promise<void> {
    const all = [...this.#current, ...this.#left];
    await Promise.all(all.map((endpoint) => endpoint.destroy()));
  }

  #member(address: Address, known: Endpoint | undefined): Endpoint {
    if (known?.transportKey === this.#transport.key) {
      known.weight = address.weight;
      known.labels = address.labels;
      return known;
    }
    const endpoint = new Endpoint(address, this.#transport);
    if (known) endpoint.inherit(known);
    return endpoint;
  }

  #remove(endpoint: Endpoint): void {
    this.#left.add(endpoint);
    endpoint.leave(() => this.#left.delete(endpoint));
  }
}
