import type { Clock } from '#core/clock.ts';
import { hashOf } from './balancing/hash.ts';
import type { Connections, Transport } from './transport.ts';

/** Where an endpoint is, as configuration or discovery says it. */
export interface Address {
  /** Scheme, host and port; the same for no two endpoints of an upstream. */
  readonly url: string;
  /** Share of the calls, relative to the other endpoints; 0 takes none. */
  readonly weight: number;
  readonly labels: Readonly<Record<string, string>>;
  /** What `Host` and TLS call it, where that is not the host of `url`: the name under which it was discovered. */
  readonly name?: string;
  /** RFC 2782: endpoints of a higher number are used only while none of a lower one is up. Default 0. */
  readonly priority?: number;
}

/** What the endpoints of one upstream have in common. */
export interface EndpointRules {
  readonly clock: Clock;
  readonly slowStartMs: number;
  /** An endpoint is to be called from now on, or not to be called any more. */
  changed(): void;
}

/** What went wrong with the last call that failed here. */
export interface EndpointError {
  readonly code: string;
  /** Where it was an answer: its status. */
  readonly status?: number;
  readonly atMs: number;
}

/** With which share of its weight an endpoint begins again. Less would keep one with a small weight from any call at all. */
const firstShare = 0.1;

/**
 * One address of an upstream, the connections to it, and what is known of it: whether its health checks succeed, whether
 * its calls do, whether an operator has taken it out. All that says `Ms` and is not about a duration is wall clock time.
 */
export class Endpoint {
  readonly url: URL;
  /** The same for an address that is this endpoint. */
  readonly key: string;
  /** Of the consistent hash. */
  readonly hash: number;
  /** Where it is: scheme, host and port. What operators know it by. */
  readonly origin: string;
  /** The same as calls name it, in `Host` and to TLS. */
  readonly target: string;
  /** Follow the configuration, or what discovery says. */
  weight: number;
  labels: Readonly<Record<string, string>>;
  priority: number;
  /** Weight as it is to be used now: less than `weight` during slow start. */
  effectiveWeight: number;
  /** Calls in flight. */
  active = 0;
  /** Of the smooth weighted round-robin. */
  current = 0;
  /** Health checks in a row that contradict `healthy`. */
  streak = 0;
  /** Calls in a row that failed here; of the ejection. */
  failures = 0;
  /** Times that it was ejected, since it joined. */
  ejections = 0;
  /** Ejections that are not forgotten yet; the next one is the longer for them. */
  ejectionLevel = 0;
  lastError: EndpointError | undefined;
  /** When it last came to be in or out of use. */
  since: number;
  readonly #rules: EndpointRules;
  #healthy = true;
  #drained = false;
  #ejectedUntilMs: number | undefined;
  /** Monotonic. */
  #returnedMs = Number.NEGATIVE_INFINITY;
  #transport: Transport;
  #connections: Connections;
  /** Superseded connections on which calls may still be under way. */
  #former: Connections[] = [];
  /** No longer a member: finishes what it has, then its connections are closed. */
  #left: (() => void) | undefined;

  constructor(address: Address, transport: Transport, rules: EndpointRules) {
    const { url, weight, labels, name, priority = 0 } = address;
    this.url = new URL(url);
    this.key = keyOf(address);
    this.origin = this.url.origin;
    this.hash = hashOf(this.origin);
    this.target = targetOf(this.url, name);
    this.weight = weight;
    this.labels = labels;
    this.priority = priority;
    this.effectiveWeight = weight;
    this.since = rules.clock.epochMs();
    this.#rules = rules;
    this.#transport = transport;
    this.#connections = transport.open(this);
  }

  /** As the active checks see it; true until they have seen otherwise. */
  get healthy(): boolean {
    return this.#healthy;
  }

  set healthy(healthy: boolean) {
    if (healthy === this.#healthy) return;
    this.#healthy = healthy;
    this.#moved(healthy);
  }

  /** An operator has taken it out: it gets no calls unless all endpoints are drained, and finishes those it has. */
  get drained(): boolean {
    return this.#drained;
  }

  set drained(drained: boolean) {
    if (drained === this.#drained) return;
    this.#drained = drained;
    this.#moved(!drained);
  }

  /** Until when it is left out because calls to it failed; undefined while it is not. */
  get ejectedUntilMs(): number | undefined {
    return this.#ejectedUntilMs;
  }

  set ejectedUntilMs(untilMs: number | undefined) {
    this.#ejectedUntilMs = untilMs;
    this.#moved(untilMs === undefined);
  }

  /** It may be called: its checks succeed, it is not ejected, and no operator has taken it out. */
  get up(): boolean {
    return this.#healthy && this.#ejectedUntilMs === undefined && !this.#drained;
  }

  /** Milliseconds since it came back; infinite for one that was there from the start. */
  get returnedForMs(): number {
    return this.#rules.clock.monotonicMs() - this.#returnedMs;
  }

  /** The part of its weight that it is given now: from 0.1 as it comes back to 1 when its slow start is over. */
  get share(): number {
    const { slowStartMs } = this.#rules;
    const sinceMs = this.returnedForMs;
    return sinceMs >= slowStartMs ? 1 : firstShare + (1 - firstShare) * (sinceMs / slowStartMs);
  }

  /** No longer a member of its upstream. */
  get left(): boolean {
    return this.#left !== undefined;
  }

  get connections(): Connections {
    return this.#connections;
  }

  /** Begins with a small share of its weight, as one does that joins others or comes back. */
  startSlowly(): void {
    this.failures = 0;
    this.#returnedMs = this.#rules.clock.monotonicMs();
  }

  #moved(back: boolean): void {
    this.since = this.#rules.clock.epochMs();
    if (back) this.startSlowly();
    this.#rules.changed();
  }

  /** Calls from now on get connections of their own; those under way finish on the ones they have. */
  reconnect(transport: Transport = this.#transport): void {
    this.#transport = transport;
    this.#former = this.#former.filter((former) => former.busy);
    this.#former.push(this.#connections);
    this.#connections.drain();
    this.#connections = transport.open(this);
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
    await Promise.all([this.#connections, ...this.#former.splice(0)].map((connections) => connections.destroy()));
  }
}

/** The same for two addresses that are one endpoint. */
export function keyOf({ url, name }: Address): string {
  return `${new URL(url).origin} ${name ?? ''}`;
}

function targetOf(url: URL, name: string | undefined): string {
  if (name === undefined) return url.origin;
  const target = new URL(url.origin);
  target.hostname = name;
  return target.origin;
}
