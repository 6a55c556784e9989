import { spawnShop, type CountersSnapshot, type Shop } from '../../examples/shop/services/spawn.ts';
import { startGateway, type TestConfig, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';

export type ServiceName = 'users' | 'orders' | 'catalog' | 'reviews';

const services: readonly ServiceName[] = ['users', 'orders', 'catalog', 'reviews'];

/** An answer of the GraphQL path, its JSON read. */
export interface GraphqlAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: GraphqlBody;
}

export interface GraphqlBody {
  readonly data?: unknown;
  readonly errors?: readonly GraphqlErrorBody[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface GraphqlErrorBody {
  readonly message: string;
  readonly locations?: readonly { readonly line: number; readonly column: number }[];
  readonly path?: readonly (string | number)[];
  readonly extensions: Readonly<Record<string, unknown>> & { readonly code: string; readonly requestId: string };
}

/** Something that a gateway serves GraphQL of. */
export interface GraphqlServer extends TestGateway {
  readonly graphqlUrl: string;
  /** Sends a document by POST; with an object, all parameters. */
  query(request: string | object, headers?: Readonly<Record<string, string>>): Promise<GraphqlAnswer>;
}

export interface ShopGateway extends GraphqlServer {
  readonly shop: Shop;
  /** Requests to each service since the last {@link resetCounters}, health checks left out. */
  calls(): Promise<Record<ServiceName, number>>;
  counters(): Promise<Record<ServiceName, CountersSnapshot>>;
  resetCounters(): Promise<void>;
  clearFaults(): Promise<void>;
}

/** The real gateway over the real services of the shop. */
export async function startShopGateway(config: TestConfig = {}): Promise<ShopGateway> {
  const shop = await spawnShop({ ports: 'free' });
  const gateway = await startModules('resolvers', {
    ...config,
    upstreams: Object.fromEntries(
      services.map((name) => [
        name,
        // These specifications count calls; what the store saves has its own.
        {
          endpoints: [shop[name].url],
          cache: false,
          ...(config.upstreams as Record<string, object> | undefined)?.[name],
        },
      ]),
    ),
  });
  const each = async <T>(what: (name: ServiceName) => Promise<T>): Promise<Record<ServiceName, T>> =>
    Object.fromEntries(await Promise.all(services.map(async (name) => [name, await what(name)]))) as Record<
      ServiceName,
      T
    >;
  return {
    ...gateway,
    shop,
    counters: () => each((name) => shop[name].counters()),
    calls: () => each(async (name) => (await shop[name].counters()).total),
    resetCounters: async () => void (await each((name) => shop[name].resetCounters())),
    clearFaults: async () => void (await each((name) => shop[name].clearFault())),
    async stop() {
      await gateway.stop();
      await shop.stop();
    },
  };
}

/** The same modules with no service behind them, for what must be answered without any. */
export function startLoneGateway(config: TestConfig = {}): Promise<GraphqlServer> {
  return startModules('resolvers', lone(config));
}

/** A configuration whose services are nowhere. */
export function lone(config: TestConfig): TestConfig {
  const upstreams = Object.fromEntries(services.map((name) => [name, { endpoints: ['http://127.0.0.1:1'] }]));
  return { ...config, upstreams };
}

export async function startModules(
  folder: string,
  config: TestConfig,
  options: Pick<TestGatewayOptions, 'demoKeys'> = {},
): Promise<GraphqlServer> {
  const gateway = await startGateway({ modules: folder, ...config }, options);
  const graphqlUrl = `${gateway.url}/graphql`;
  return {
    ...gateway,
    graphqlUrl,
    async query(request, headers = {}) {
      const response = await fetch(graphqlUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(typeof request === 'string' ? { query: request } : request),
      });
      return { status: response.status, headers: response.headers, body: (await response.json()) as GraphqlBody };
    },
  };
}
