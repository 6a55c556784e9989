import type { Clock } from '#core/clock.ts';
import { Endpoint, keyOf, type Address, type EndpointRules } from './endpoint.ts';
import type { Transport } from './transport.ts';

/** Who came and who went, by origin. */
export interface Change {
  readonly joined: readonly string[];
  readonly left: readonly string[];
}

/** The endpoints that an upstream has at present. Those that leave finish what they have. */
export class Endpoints implements EndpointRules {
  readonly clock: Clock;
  #slowStartMs: number;
  #transport: Transport;
  #current: readonly Endpoint[] = [];
  readonly #left = new Set<Endpoint>();
  readonly #memberListeners: (() => void)[] = [];
  readonly #useListeners: (() => void)[] = [];

  constructor(clock: Clock, transport: Transport, slowStartMs: number) {
    this.clock = clock;
    this.#transport = transport;
    this.#slowStartMs = slowStartMs;
  }

  get current(): readonly Endpoint[] {
    return this.#current;
  }

  get slowStartMs(): number {
    return this.#slowStartMs;
  }

  /** Calls `changed` after each change of membership. */
  onMembers(changed: () => void): void {
    this.#memberListeners.push(changed);
  }

  /** Calls `changed` whenever others may be called than before: of membership, of health, of anything. */
  onUse(changed: () => void): void {
    this.#useListeners.push(changed);
  }

  changed(): void {
    for (const listener of this.#useListeners) listener();
  }

  /** Goes on under other settings. With another way to connect all are connected anew; what is known of them stays. */
  configure(transport: Transport, slowStartMs: number): void {
    this.#slowStartMs = slowStartMs;
    if (transport.key === this.#transport.key) return;
    this.#transport = transport;
    for (const endpoint of this.#current) endpoint.reconnect(transport);
  }

  /**
   * Takes the addresses as they are now: known ones stay as they are, new ones join, missing ones leave. One that joins
   * others starts slowly.
   * @throws {TypeError} for an address that is no URL; nothing has changed then
   */
  replace(addresses: readonly Address[]): Change {
    const former = this.#current;
    const known = new Map(former.map((endpoint) => [endpoint.key, endpoint]));
    const next = new Map(addresses.map((address) => [keyOf(address), address]));
    const joined: Endpoint[] = [];
    this.#current = [...next].map(([key, address]) => {
      const endpoint = known.get(key) ?? this.#join(address, joined);
      endpoint.weight = address.weight;
      endpoint.labels = address.labels;
      endpoint.priority = address.priority ?? 0;
      return endpoint;
    });
    if (former.length > 0) for (const endpoint of joined) endpoint.startSlowly();
    const left = former.filter((endpoint) => !next.has(endpoint.key));
    for (const endpoint of left) this.#remove(endpoint);
    this.changed();
    if (joined.length + left.length > 0) for (const listener of this.#memberListeners) listener();
    return { joined: joined.map(({ origin }) => origin), left: left.map(({ origin }) => origin) };
  }

  /** Cuts off whatever is still in flight. */
  async destroy(): Promise<void> {
    const all = [...this.#current, ...this.#left];
    await Promise.all(all.map((endpoint) => endpoint.destroy()));
  }

  #join(address: Address, joined: Endpoint[]): Endpoint {
    const endpoint = new Endpoint(address, this.#transport, this);
    joined.push(endpoint);
    return endpoint;
  }

  #remove(endpoint: Endpoint): void {
    this.#left.add(endpoint);
    endpoint.leave(() => this.#left.delete(endpoint));
  }
}
