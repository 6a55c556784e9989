import type { Connections, Transport } from './transport.ts';

/** Where an endpoint is, as configuration or discovery says it. */
export interface Address {
  /** Scheme, host and port. */
  readonly url: string;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** One address of an upstream, with what is known of its health and the connections to it. */
export class Endpoint {
  readonly url: URL;
  readonly origin: string;
  /** Share of the calls; follows the configuration. */
  weight: number;
  labels: Readonly<Record<string, string>>;
  readonly transportKey: string;
  readonly connections: Connections;
  /** As the active checks see it; true until they have seen otherwise. */
  healthy = true;
  /** Good or failed checks in a row, as `healthy` is or is not about to change. */
  streak = 0;
  /** Calls in flight. */
  active = 0;
  /** Of the smooth weighted round-robin. */
  current = 0;
  lastError: { readonly code: string; readonly atMs: number } | undefined;
  /** No longer a member: finishes what it has, then its connections are closed. */
  #left: (() => void) | undefined;

  constructor({ url, weight, labels }: Address, transport: Transport) {
    this.url = new URL(url);
    this.origin = this.url.origin;
    this.weight = weight;
    this.labels = labels;
    this.transportKey = transport.key;
    this.connections = transport.open(this.origin);
  }

  /** Takes over what is known of the same address from an endpoint with other connections. */
  inherit(other: Endpoint): void {
    this.healthy = other.healthy;
    this.streak = other.streak;
    this.lastError = other.lastError;
  }

  /** A call has ended. */
  release(): void {
    this.active--;
    if (this.#left && this.active === 0) this.#close(this.#left);
  }

  /** Lets what is in flight finish, then closes, and says so. */
  leave(left: () => void): void {
    this.#left = left;
    if (this.active === 0) this.#close(left);
  }

  #close(left: () => void): void {
    left();
    void this.destroy();
  }

  async destroy(): Promise<void> {
    this.connections.agent.destroy();
    await this.connections.pool.destroy();
  }
}
