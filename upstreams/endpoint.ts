import type { Agent } from 'node:http';
import type { Dispatcher } from 'undici';

/** One address of an upstream, with what is known of its health and the connections to it. */
export class Endpoint {
  readonly url: URL;
  readonly origin: string;
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Connections of the buffered form of the exchange. */
  readonly pool: Dispatcher;
  /** Connections of the streaming form. */
  readonly agent: Agent;
  /** As the active checks see it; true until they have seen otherwise. */
  healthy = true;
  /** Good or failed checks in a row, as `healthy` is or is not about to change. */
  streak = 0;
  /** Calls in flight. */
  active = 0;
  /** Of the smooth weighted round-robin. */
  current = 0;
  lastError: { readonly code: string; readonly atMs: number } | undefined;

  constructor(url: string, weight: number, labels: Readonly<Record<string, string>>, pool: Dispatcher, agent: Agent) {
    this.url = new URL(url);
    this.origin = this.url.origin;
    this.weight = weight;
    this.labels = labels;
    this.pool = pool;
    this.agent = agent;
  }
}
