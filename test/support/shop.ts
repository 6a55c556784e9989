import { spawnShop, type Shop } from '../../examples/shop/services/spawn.ts';
import { startGateway, type TestGateway } from './gateway.ts';

const services = ['users', 'orders', 'catalog', 'reviews'] as const;

export type ServiceName = (typeof services)[number];

export interface ShopGateway {
  readonly shop: Shop;
  readonly gateway: TestGateway;
  /** POSTs a GraphQL operation. */
  query(
    query: string,
    options?: { readonly variables?: object; readonly headers?: Record<string, string> },
  ): Promise<GraphqlAnswer>;
  /** What each service was asked since the last reset. */
  calls(): Promise<Readonly<Record<ServiceName, number>>>;
  /** Mends and forgets: no faults, counters at zero. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

export interface GraphqlAnswer {
  readonly status: number;
  readonly data: Readonly<Record<string, unknown>> | null | undefined;
  readonly errors:
    | readonly {
        readonly message: string;
        readonly path?: readonly (string | number)[];
        readonly extensions: Readonly<Record<string, unknown>>;
      }[]
    | undefined;
  readonly extensions: Readonly<Record<string, unknown>> | undefined;
}

/**
 * The shop's services as processes, and the gateway with its modules in front of them.
 * @param settings YAML that each upstream gets besides its endpoint, such as `attemptTimeout: 300ms`
 */
export async function startShopGateway(settings = ''): Promise<ShopGateway> {
  const shop = await spawnShop({ ports: 'free' });
  // These specifications count calls; what the store saves has its own.
  const upstreams = services.map(
    (name) => `  ${name}: { endpoints: ["${shop[name].url}"], cache: false${settings === '' ? '' : `, ${settings}`} }`,
  );
  const gateway = await startGateway(`upstreams:\n${upstreams.join('\n')}\n`, { modules: 'resolvers' });
  return {
    shop,
    gateway,
    async query(query, { variables = {}, headers = {} } = {}) {
      const response = await fetch(`${gateway.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query, variables }),
      });
      return { status: response.status, ...((await response.json()) as Omit<GraphqlAnswer, 'status'>) };
    },
    async calls() {
      const totals = await Promise.all(
        services.map(async (name) => [name, (await shop[name].counters()).total] as const),
      );
      return Object.fromEntries(totals) as Record<ServiceName, number>;
    },
    async reset() {
      await Promise.all(services.flatMap((name) => [shop[name].clearFault(), shop[name].resetCounters()]));
    },
    async stop() {
      await gateway.stop();
      await shop.stop();
    },
  };
}
