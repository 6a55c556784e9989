import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { spawnShop, type Shop } from '../../examples/shop/services/spawn.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import type { TestConfig } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';

/** "One budget" of DESIGN.md: REST calls and GraphQL operations of one consumer are paid from one bucket, in upstream calls. */

const services = ['users', 'orders', 'catalog', 'reviews'] as const;
const key = { 'x-api-key': 'acme-key' };
const sliding = { algorithm: 'sliding-window', window: '1h' } as const;

let shop: Shop;
let server: GraphqlServer;

beforeAll(async () => {
  shop = await spawnShop({ ports: 'free' });
});

afterAll(() => shop.stop());

afterEach(() => server.stop());

async function start(quota: number, config: TestConfig = {}): Promise<void> {
  server = await startModules('resolvers', {
    upstreams: Object.fromEntries(services.map((name) => [name, { endpoints: [shop[name].url] }])),
    consumers: [{ id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] }],
    tiers: { pro: { limits: [{ name: 'hour', quota, ...sliding }] } },
    ...config,
  });
}

/** One call to users. */
const one = '{ users(first: 2) { name } }';
/** One to each of four services. */
const four = '{ users(first: 2) { name orders(first: 1) { items { product { name reviews(first: 1) { body } } } } } }';

const operation = (query: string) => server.query(query, key);
const rest = async () => send(`${server.url}/v1/users/1`, { headers: key });

interface Cost {
  readonly estimated: number;
  readonly actual: number;
  readonly remaining: number;
  readonly limit: number;
  readonly resetSeconds: number;
  readonly warnings?: readonly string[];
}

const costOf = (body: { readonly extensions?: unknown }) =>
  (body.extensions as { readonly cost?: unknown } | undefined)?.cost as Cost;

/** Waits until what has been answered so far is settled. */
async function settled(lines: number): Promise<void> {
  await expect.poll(() => server.log.filter(({ msg }) => msg === 'request').length).toBe(lines);
}

describe('One consumer, both doors', () => {
  test('pays REST calls and operations from one bucket, by what was really called', async () => {
    await start(100);
    const first = await operation(four);
    expect(first.status).toBe(200);
    expect(costOf(first.body)).toMatchObject({ actual: 4, remaining: 96, limit: 100 });
    expect(costOf(first.body).resetSeconds).toBeGreaterThanOrEqual(3_600);
    expect(first.headers.get('x-weir-cost')).toBe('4');
    await settled(1);
    const second = await rest();
    expect([second.status, second.headers['x-ratelimit-remaining']]).toEqual([200, '95']);
    await settled(2);
    const third = await operation('{ users(first: 3) { name } }');
    expect(costOf(third.body)).toMatchObject({ actual: 1, remaining: 94 });
    await settled(3);
  });

  test('is refused at both once it is empty, and no service is called for it', async () => {
    await start(2);
    await operation(one);
    expect((await rest()).status).toBe(200);
    await settled(2);
    await shop.users.resetCounters();
    const refused = await operation('{ users(first: 3) { name } }');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('x-ratelimit-remaining')).toBe('0');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(3_590);
    expect(refused.body.errors?.[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', 'violated-policies': ['hour'] });
    expect((await rest()).status).toBe(429);
    // A finished answer from the store costs nothing, and nothing is what is left.
    expect((await operation(one)).status).toBe(200);
    expect((await shop.users.counters()).total).toBe(0);
  });

  test('pays nothing for what was answered from the cache', async () => {
    await start(100);
    await operation(one);
    await settled(1);
    expect(costOf((await operation(one)).body)).toMatchObject({ actual: 0, remaining: 99 });
  });

  test('is told of an operation that may cost more than his quota ever holds, and nothing of it runs', async () => {
    await start(8);
    await shop.users.resetCounters();
    const { status, headers, body } = await operation(four);
    expect([status, headers.get('retry-after')]).toEqual([400, null]);
    expect(body.errors?.[0]?.extensions).toMatchObject({ code: 'COST_EXCEEDS_QUOTA', 'violated-policies': ['hour'] });
    expect((await shop.users.counters()).total).toBe(0);
  });

  test('pays for what is in error, as far as it was called', async () => {
    await start(10);
    await shop.users.setFault({ errorRate: 1 });
    try {
      const { body } = await operation(one);
      expect(body.errors).toHaveLength(1);
      expect(costOf(body)).toMatchObject({ actual: 1, remaining: 9 });
    } finally {
      await shop.users.clearFault();
    }
  });

  test('pays nothing for a document that is refused before it runs', async () => {
    await start(2);
    expect((await operation('{ nothing }')).status).toBe(200);
    expect((await operation('{')).status).toBe(200);
    expect((await operation(one)).status).toBe(200);
  });
});

describe('Each operation is charged for itself', () => {
  test('in a batch: those that there is room for run', async () => {
    await start(3);
    const response = await fetch(server.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...key },
      body: JSON.stringify([
        { query: one },
        { query: '{ users(first: 3) { name } }' },
        { query: '{ users(first: 4) { id } }' },
      ]),
    });
    const results = (await response.json()) as { data?: unknown; errors?: { extensions: { code: string } }[] }[];
    expect(results.filter(({ data }) => data)).toHaveLength(2);
    expect(results.flatMap(({ errors = [] }) => errors.map(({ extensions }) => extensions.code))).toEqual([
      'RATE_LIMITED',
    ]);
  });

  test('on a WebSocket', async () => {
    await start(2);
    const client = createClient({
      url: server.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, { headers: key });
        }
      },
      retryAttempts: 0,
    });
    const run = (query = one) =>
      new Promise<unknown>((resolve) => {
        client.subscribe({ query }, { next: (result) => resolve(costOf(result)), error: resolve, complete() {} });
      });
    expect(await run()).toMatchObject({ actual: 1, remaining: 1 });
    const other = '{ users(first: 3) { name city } }';
    await expect
      .poll(async () => (await run(other)) as object)
      .toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
    await client.dispose();
  });

  test('and a consumer without limits hears nothing of it', async () => {
    await start(2);
    const { body, headers } = await server.query(one);
    expect(body.extensions).toBeUndefined();
    expect(headers.get('ratelimit')).toBeNull();
    expect(headers.get('x-weir-cost')).toBeNull();
  });
});

describe('A warning', () => {
  beforeEach(() => start(4, { limits: { warnAt: 0.5 } }));

  test('stands in the result, too', async () => {
    expect(costOf((await operation(one)).body).warnings).toBeUndefined();
    await settled(1);
    const { body, headers } = await operation('{ users(first: 3) { name } }');
    expect(costOf(body).warnings).toEqual(['hour']);
    expect(headers.get('x-weir-limit-warning')).toBe('hour');
  });
});
