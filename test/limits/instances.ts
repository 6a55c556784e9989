import { expect } from 'vitest';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { spawnShop, type Shop } from '../../examples/shop/services/spawn.ts';
import { GatewayProgram } from '../support/gateway-program.ts';
import { Load, type LoadRequest, type Sent } from '../support/load.ts';
import { send, until } from '../support/raw-client.ts';

const services = ['users', 'orders', 'catalog', 'reviews'] as const;

export type StoreFailure = 'local-share' | 'open' | 'closed';

/** Four gateways as processes of their own that share one Redis, before the services of the shop, which count what they are asked. */
export class Instances {
  readonly gateways: readonly GatewayProgram[];
  readonly #shop: Shop;
  readonly #config: object;
  #onStoreFailure: StoreFailure = 'local-share';

  private constructor(gateways: readonly GatewayProgram[], shop: Shop, config: object) {
    this.gateways = gateways;
    this.#shop = shop;
    this.#config = config;
  }

  /** @param limits by consumer, whose key is his name; each has a tier of his own */
  static async start(redis: object, limits: Readonly<Record<string, object>>): Promise<Instances> {
    const shop = await spawnShop({ ports: 'free' });
    const names = Object.keys(limits);
    // Nothing is saved nor tried again, and nothing is given up on a busy machine: each call that is paid for is one that arrives.
    const patient = { cache: false, timeout: '2m', attemptTimeout: '2m', retry: { attempts: 0 } };
    const config = {
      listen: { maxEventLoopLag: '60s' },
      modules: `${process.cwd()}/resolvers`,
      upstreams: Object.fromEntries(services.map((name) => [name, { endpoints: [shop[name].url], ...patient }])),
      consumers: names.map((id) => ({ id, tier: id, keys: [hashOf(id)] })),
      tiers: Object.fromEntries(names.map((id) => [id, { limits: [limits[id]] }])),
      redis,
    };
    const gateways = Array.from({ length: 4 }, () => GatewayProgram.begin(config));
    const instances = new Instances(gateways, shop, config);
    try {
      for (const gateway of gateways) await gateway.listening();
    } catch (error) {
      await instances.stop();
      throw error;
    }
    return instances;
  }

  /** Loads the configuration again with another `limits.onStoreFailure`, which changes nothing of what has been counted. */
  async on(onStoreFailure: StoreFailure): Promise<void> {
    if (this.#onStoreFailure === onStoreFailure) return;
    this.#onStoreFailure = onStoreFailure;
    for (const gateway of this.gateways) {
      gateway.write({ ...this.#config, limits: { onStoreFailure } });
      expect((await gateway.admin('/admin/reload', 'POST')).json()).toMatchObject({ ok: true });
    }
  }

  /** Waits until all of them count there, and know of each other. */
  async counting(counted: 'redis' | StoreFailure): Promise<void> {
    for (const gateway of this.gateways) {
      const wanted = JSON.stringify({ counted, instances: this.gateways.length });
      await until(async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return JSON.stringify((await gateway.admin('/readyz')).json().limits) === wanted;
      });
    }
  }

  /** Waits until each of them has found out once more that Redis does not answer, after what `happens` here. */
  async losing(happens: () => void | Promise<void>): Promise<void> {
    const text = 'limits are not counted in redis: it does not answer';
    const told = () => this.gateways.map(({ log }) => log.filter(({ msg }) => msg === text).length);
    const before = told();
    await happens();
    const all = () => told().every((times, place) => times > before[place]!);
    await expect.poll(all, { timeout: 60_000 }).toBe(true);
  }

  /** So many clients of one consumer, as many at each instance, which use both doors until they are stopped. */
  crowd(consumer: string, clients = 200): Crowd {
    return new Crowd(
      this.gateways.map(
        ({ url }) =>
          new Load(url, {
            clients: clients / this.gateways.length,
            pauseMs: 20,
            request: (id) => requestOf(consumer, id),
          }),
      ),
    );
  }

  /** One request of each of so many clients, all at once. @returns how many had each status */
  async once(consumer: string, clients = 200): Promise<Record<number, number>> {
    const answers = Array.from({ length: clients }, (_, client) => {
      const { method, path, headers, body } = requestOf(consumer, `once-${client}`);
      const { url } = this.gateways[client % this.gateways.length]!;
      return send(url + path, { method, headers: { ...headers }, ...(body !== null && { body }) });
    });
    const tally: Record<number, number> = {};
    for (const { status } of await Promise.all(answers)) tally[status] = (tally[status] ?? 0) + 1;
    return tally;
  }

  /** Uses up what is left, call by call. */
  async exhaust(consumer: string): Promise<void> {
    for (const { url } of this.gateways) {
      const headers = { 'x-api-key': consumer };
      while ((await send(`${url}/v1/users/1`, { headers })).status === 200);
    }
  }

  /** What each instance says that the consumer has left. */
  async left(consumer: string): Promise<number[]> {
    const answers = this.gateways.map(({ url }) => send(`${url}/limits`, { headers: { 'x-api-key': consumer } }));
    return (await Promise.all(answers)).map(
      ({ json }) => (json().limits as readonly { readonly remaining: number }[])[0]!.remaining,
    );
  }

  /** Requests that have arrived at the services since the start, by their own count. */
  async calls(): Promise<number> {
    const counters = await Promise.all(services.map((name) => this.#shop[name].counters()));
    return counters.reduce((sum, { total }) => sum + total, 0);
  }

  /** The sum of a metric over all of them. */
  async metric(name: string): Promise<number> {
    const values = await Promise.all(this.gateways.map((gateway) => gateway.metric(name)));
    return values.reduce((sum, value) => sum + value, 0);
  }

  async stop(): Promise<void> {
    for (const gateway of this.gateways) gateway.kill();
    await this.#shop.stop();
  }
}

/** Clients at all instances. */
export class Crowd {
  readonly #loads: readonly Load[];

  constructor(loads: readonly Load[]) {
    this.#loads = loads;
  }

  get sent(): Sent[] {
    return this.#loads.flatMap(({ sent }) => sent);
  }

  /** Waits until each instance has answered so many more requests. */
  async more(count: number): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.more(count)));
  }

  /** Waits until each instance refuses: what it had to give is used up. */
  async refused(): Promise<void> {
    const seen = this.#loads.map(({ sent }) => sent.length);
    const refuses = ({ sent }: Load, place: number) => sent.slice(seen[place]).some(({ status }) => status === 429);
    while (!this.#loads.every(refuses)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Waits until each client has been answered what it had asked, and something that it asked later. */
  async turn(): Promise<void> {
    await Promise.all(this.#loads.map((load) => load.turn()));
  }

  /** Lets each client finish. @returns all that was sent */
  async stop(): Promise<readonly Sent[]> {
    await Promise.all(this.#loads.map((load) => load.stop()));
    return this.sent;
  }
}

/** How often each status was answered; no answer is `lost`. */
export function statusesOf(sent: readonly Sent[]): Record<string, number> {
  const tally: Record<string, number> = {};
  for (const { status = 'lost' } of sent) tally[status] = (tally[status] ?? 0) + 1;
  return tally;
}

/** Calls that the answers say were made: one for a REST call that was answered, what it says itself for an operation. */
export function paidBy(sent: readonly Sent[]): number {
  const answered = sent.filter(({ status }) => status === 200);
  return answered.reduce((sum, { headers }) => sum + Number(headers['x-weir-cost'] ?? 1), 0);
}

let serial = 0;

const larger = '{ users(first: 3) { orders(first: 1) { items { product { name } } } } }';

/** By turns a REST call, an operation of one call, and now and then one of three that may take more. */
function requestOf(consumer: string, id: string): LoadRequest {
  const turn = serial++;
  const user = (turn % 1_000) + 1;
  // Reads in flight that are alike are one call; a deadline of its own makes each its own.
  const headers = { 'x-api-key': consumer, 'x-request-id': id, 'x-weir-deadline-ms': '120000' };
  if (turn % 2 === 0) return { method: 'GET', path: `/v1/users/${user}`, headers, body: null };
  const query = turn % 16 === 1 ? larger : `{ user(id: ${user}) { name } }`;
  const json = { ...headers, 'content-type': 'application/json' };
  return { method: 'POST', path: '/graphql', headers: json, body: JSON.stringify({ query }) };
}
