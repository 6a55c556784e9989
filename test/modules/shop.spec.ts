/** The shop's modules over the shop's services: four real processes, called through all layers. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { silentLogger } from '#core/log.ts';
import { noMeter } from '#core/meter.ts';
import { upstreamLayers } from '#gateway/pipeline.ts';
import { createExecution, type Execution } from '#resolvers/execution.ts';
import { loadModules } from '#resolvers/load-modules.ts';
import { lintSchema } from '#schema/lint.ts';
import { printContract } from '#schema/print.ts';
import { upstreamSchema } from '#upstreams/settings.ts';
import { Upstream } from '#upstreams/upstream.ts';
import { spawnShop, type Shop } from '../../examples/shop/services/spawn.ts';
import { listen, plain, run } from './harness.ts';

const folder = new URL('../../resolvers/', import.meta.url).pathname;
const names = ['users', 'catalog', 'orders', 'reviews'] as const;

let shop: Shop;
let upstreams: ReadonlyMap<string, Upstream>;
let execution: Execution;

beforeAll(async () => {
  shop = await spawnShop({ ports: 'free' });
  const surroundings = { clock: systemClock, log: silentLogger, meter: noMeter, propagate() {} };
  const layers = upstreamLayers.map(({ layer }) => layer);
  // Breakers that stay closed: faults of one test are not the next one's.
  const settings = { retry: { attempts: 0 }, breaker: { failures: 1000 } };
  upstreams = new Map(
    names.map((name) => [
      name,
      new Upstream(name, upstreamSchema.parse({ endpoints: [shop[name].url], ...settings }), surroundings, layers),
    ]),
  );
  execution = createExecution(await loadModules(folder), upstreams);
});

afterAll(async () => {
  await Promise.all([...upstreams.values()].map((upstream) => upstream.destroy()));
  await shop.stop();
});

beforeEach(async () => {
  await Promise.all(names.map((name) => Promise.all([shop[name].clearFault(), shop[name].resetCounters()])));
});

async function calls(): Promise<Record<string, number>> {
  const counters = await Promise.all(names.map((name) => shop[name].counters()));
  return Object.fromEntries(names.map((name, index) => [name, counters[index]?.total ?? 0]));
}

const nested = (users: number, orders: number, reviews: number): string =>
  `{ users(first: ${users}) { orders(first: ${orders}) { items { product { id reviews(first: ${reviews}) { author { id name } } } } } } }`;

interface Nested {
  readonly users: {
    readonly orders: {
      readonly items: {
        readonly product: { readonly id: string; readonly reviews: { readonly author: { readonly id: string } }[] };
      }[];
    }[];
  }[];
}

describe('the schema of the shop', () => {
  it('is the contract in schema/schema.graphql', async () => {
    const contract = await readFile(new URL('../../schema/schema.graphql', import.meta.url), 'utf8');
    expect(printContract(execution.schema)).toBe(contract);
  });

  it('has nothing that the lint objects to', () => {
    expect(lintSchema(execution.schema)).toEqual([]);
  });
});

describe('users, their orders, the products in them, their reviews and those who wrote them', () => {
  it('are one call a level while the keys of a level fit in one batch', async () => {
    const { data, errors, request } = await run(execution, nested(4, 2, 2));
    expect(errors).toEqual([]);
    const products = (data as Nested).users.flatMap(({ orders }) =>
      orders.flatMap(({ items }) => items.map(({ product }) => product)),
    );
    expect(new Set(products.map(({ id }) => id)).size).toBeLessThanOrEqual(50);
    expect(products.every(({ reviews }) => reviews.length === 2)).toBe(true);
    // The users at the top and the authors at the bottom.
    expect(await calls()).toEqual({ users: 2, orders: 1, catalog: 1, reviews: 1 });
    expect(Object.fromEntries(request.calls.sent)).toEqual(await calls());
  });

  it('are as many calls as batches where they do not, at most one more for each further wave', async () => {
    const { data, errors } = await run(execution, nested(10, 5, 3));
    expect(errors).toEqual([]);
    const products = (data as Nested).users.flatMap(({ orders }) =>
      orders.flatMap(({ items }) => items.map(({ product }) => product)),
    );
    const distinct = new Set(products.map(({ id }) => id)).size;
    const authors = new Set(products.flatMap(({ reviews }) => reviews.map(({ author }) => author.id))).size;
    const reviewCalls = Math.ceil(distinct / 50);
    const counted = await calls();
    expect(counted).toMatchObject({ orders: 1, catalog: Math.ceil(distinct / 100), reviews: reviewCalls });
    expect(counted['users']).toBeGreaterThanOrEqual(1 + Math.ceil(authors / 100));
    expect(counted['users']).toBeLessThanOrEqual(1 + Math.ceil(authors / 100) + reviewCalls - 1);
  });
});

describe('an order', () => {
  it('is told in the words of the domain, whatever the service speaks', async () => {
    const { data, errors } = await run(
      execution,
      '{ order(id: "1") { id placedAt state total { amount currency } user { id } items { quantity unitPrice { amount } product { price { amount } } } } }',
    );
    expect(errors).toEqual([]);
    const v1 = (await (await fetch(`${shop.orders.url}/orders/1`)).json()) as {
      readonly placed_at: string;
      readonly state: string;
      readonly customer: { readonly customer_id: string };
      readonly totals: { readonly gross_cents: string };
      readonly lines: readonly { readonly qty: number; readonly unit_price_cents: string }[];
    };
    expect(data).toEqual({
      order: {
        id: '1',
        placedAt: v1.placed_at,
        state: v1.state.toUpperCase(),
        total: { amount: Number(v1.totals.gross_cents), currency: 'EUR' },
        user: { id: v1.customer.customer_id },
        items: v1.lines.map(({ qty, unit_price_cents: cents }) => ({
          quantity: qty,
          unitPrice: { amount: Number(cents) },
          product: { price: { amount: Number(cents) } },
        })),
      },
    });
  });

  it('is placed once for one idempotency key, and seen by what follows', async () => {
    const place = `placeOrder(input: { userId: "77", items: [{ productId: "12", quantity: 2 }], idempotencyKey: "k-${Date.now()}" }) { id state user { orders(first: 1) { id } } }`;
    const { data, errors } = await run(execution, `mutation { first: ${place} again: ${place} }`);
    expect(errors).toEqual([]);
    const { first, again } = data as Record<'first' | 'again', { readonly id: string; readonly user: unknown }>;
    expect(first).toMatchObject({ state: 'OPEN', user: { orders: [{ id: first.id }] } });
    expect(again).toEqual(first);
  });

  it('that the service refuses is an error with its status', async () => {
    const { data, errors } = await run(
      execution,
      'mutation { placeOrder(input: { userId: "7", items: [{ productId: "9999", quantity: 1 }] }) { id } }',
    );
    expect(data).toEqual({ placeOrder: null });
    expect(errors).toEqual([
      {
        path: ['placeOrder'],
        error: expect.objectContaining({
          code: 'UPSTREAM_ERROR',
          upstream: 'orders',
          extensions: { upstreamStatus: 400 },
        }) as unknown,
      },
    ]);
  });
});

describe('a review', () => {
  it('is added, and the newest of its product', async () => {
    const body = 'Holds water, which is more than I asked of a kettle.';
    const { data, errors } = await run(
      execution,
      `mutation { addReview(input: { productId: "7", authorId: "42", stars: 5, body: "${body}" }) { body author { id } product { reviews(first: 1) { body } } } }`,
    );
    expect(errors).toEqual([]);
    expect(data).toEqual({ addReview: { body, author: { id: '42' }, product: { reviews: [{ body }] } } });
  });
});

describe('a connection', () => {
  interface Page {
    readonly page: {
      readonly edges: readonly { readonly node: { readonly id: string } }[];
      readonly pageInfo: {
        readonly hasNextPage: boolean;
        readonly hasPreviousPage: boolean;
        readonly endCursor: string | null;
      };
    };
  }

  it.each(['usersConnection', 'productsConnection', 'ordersConnection', 'reviewsConnection'])(
    '%s goes on where the page before ended',
    async (field) => {
      const page = async (after: string): Promise<Page['page']> => {
        const fields = 'edges { node { id } } pageInfo { hasNextPage hasPreviousPage endCursor }';
        const { data, errors } = await run(execution, `{ page: ${field}(first: 3${after}) { ${fields} } }`);
        expect(errors).toEqual([]);
        return (data as Page).page;
      };
      const first = await page('');
      expect(first.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
      const second = await page(`, after: "${first.pageInfo.endCursor}"`);
      expect(second.pageInfo.hasPreviousPage).toBe(true);
      expect([...first.edges, ...second.edges].map(({ node }) => node.id)).toEqual(['1', '2', '3', '4', '5', '6']);
    },
  );

  it('ends', async () => {
    const { data } = await run(
      execution,
      '{ productsConnection(first: 100, category: "kitchen") { edges { cursor } pageInfo { hasNextPage endCursor } totalCount } }',
    );
    const { edges, pageInfo, totalCount } = (
      data as { productsConnection: { edges: { cursor: string | null }[]; pageInfo: unknown; totalCount: number } }
    ).productsConnection;
    expect(pageInfo).toEqual({ hasNextPage: false, endCursor: null });
    expect(edges).toHaveLength(totalCount);
  });
});

describe('a service that fails', () => {
  it('costs its optional fields, which go null with a note', async () => {
    await shop.reviews.setFault({ errorRate: 1 });
    const { data, errors, request } = await run(execution, '{ products(first: 2) { id reviews { id } } }');
    expect(data).toEqual({
      products: [
        { id: '1', reviews: null },
        { id: '2', reviews: null },
      ],
    });
    expect(errors).toEqual([]);
    expect(request.degraded).toEqual(
      [0, 1].map((index) => ({ path: ['products', index, 'reviews'], code: 'UPSTREAM_ERROR', upstream: 'reviews' })),
    );
  });

  it.each([
    ['garbage', 'UPSTREAM_BAD_RESPONSE'],
    ['half-body', 'UPSTREAM_BAD_RESPONSE'],
    ['half-chunked', 'UPSTREAM_BAD_RESPONSE'],
    ['reset', 'UPSTREAM_UNREACHABLE'],
  ] as const)('with %s costs its own fields, which carry %s', async (kind, code) => {
    await shop.orders.setFault({ kind });
    const { data, errors } = await run(execution, '{ users(first: 2) { id orders { id } } products(first: 1) { id } }');
    expect(data).toEqual({
      users: [
        { id: '1', orders: null },
        { id: '2', orders: null },
      ],
      products: [{ id: '1' }],
    });
    expect(errors).toEqual(
      [0, 1].map((index) => ({
        path: ['users', index, 'orders'],
        error: expect.objectContaining({ code, upstream: 'orders' }) as unknown,
      })),
    );
  });
});

describe('the events of orders', () => {
  it('come as they happen, those of the user that was asked for', async () => {
    const stream = await listen(
      execution,
      'subscription { orderEvents(userId: "8") { type order { user { id } items { quantity } } } }',
    );
    const next = stream.next();
    await expect.poll(async () => (await shop.orders.counters()).active, { timeout: 10_000 }).toBe(1);
    for (const user of ['9', '8']) {
      await run(
        execution,
        `mutation { placeOrder(input: { userId: "${user}", items: [{ productId: "12", quantity: ${user} }] }) { id } }`,
      );
    }
    const { value } = await next;
    expect(plain(value ?? {})).toEqual({
      data: { orderEvents: { type: 'PLACED', order: { user: { id: '8' }, items: [{ quantity: 8 }] } } },
      errors: [],
    });
    await stream.return();
    await expect.poll(async () => (await shop.orders.counters()).active, { timeout: 10_000 }).toBe(0);
  });
});
