import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startShopGateway, type ShopGateway } from './shop-gateway.ts';

interface Deep {
  readonly users: readonly {
    readonly orders: readonly {
      readonly items: readonly {
        readonly product: {
          readonly id: string;
          readonly reviews: readonly { readonly author: { readonly id: string } }[];
        };
      }[];
    }[];
  }[];
}

const query = (users: number, orders: number) =>
  `{ users(first: ${users}) { orders(first: ${orders}) { items { product { id name reviews(first: 3) { body author { id name } } } } } } }`;

describe('Upstream calls of a query over four services', () => {
  let gateway: ShopGateway;

  beforeAll(async () => {
    gateway = await startShopGateway();
  });

  beforeEach(() => gateway.resetCounters());

  afterAll(() => gateway.stop());

  test('are one for each level while its keys fit in one batch', async () => {
    const { body } = await gateway.query(query(10, 1));
    const { users } = body.data as Deep;
    const products = new Set(
      users.flatMap(({ orders }) => orders.flatMap(({ items }) => items.map(({ product }) => product.id))),
    );
    const authors = new Set(
      users.flatMap(({ orders }) =>
        orders.flatMap(({ items }) => items.flatMap(({ product }) => product.reviews.map(({ author }) => author.id))),
      ),
    );
    expect(products.size).toBeGreaterThan(10);
    expect(products.size).toBeLessThanOrEqual(50);
    expect(authors.size).toBeGreaterThan(10);
    expect(authors.size).toBeLessThanOrEqual(100);
    // users twice: the ten users, and the authors of the reviews.
    expect(await gateway.calls()).toEqual({ users: 2, orders: 1, catalog: 1, reviews: 1 });
  });

  test('stay within ceil(n / batch) + w - 1 where they do not', async () => {
    const { body } = await gateway.query(query(10, 5));
    const { users } = body.data as Deep;
    const items = users.flatMap(({ orders }) => orders.flatMap((order) => order.items));
    const products = new Set(items.map(({ product }) => product.id)).size;
    const authors = new Set(items.flatMap(({ product }) => product.reviews.map(({ author }) => author.id))).size;
    expect(products).toBeGreaterThan(50);
    const calls = await gateway.calls();
    expect([calls.orders, calls.catalog]).toEqual([1, Math.ceil(products / 100)]);
    expect(calls.reviews).toBeLessThanOrEqual(Math.ceil(products / 50) + calls.catalog - 1);
    expect(calls.users - 1).toBeLessThanOrEqual(Math.ceil(authors / 100) + calls.reviews - 1);
  });

  test('for what is asked twice in one request are one', async () => {
    await gateway.query('{ a: user(id: 7) { name } b: user(id: 7) { email } c: user(id: 8) { name } }');
    expect(await gateway.calls()).toEqual({ users: 1, orders: 0, catalog: 0, reviews: 0 });
  });

  test('for identical reads of requests in flight are one', async () => {
    await gateway.shop.users.setFault({ latencyMs: 200 });
    const answers = await Promise.all(Array.from({ length: 5 }, () => gateway.query('{ user(id: 7) { name } }')));
    await gateway.shop.users.clearFault();
    expect(new Set(answers.map(({ body }) => JSON.stringify(body.data))).size).toBe(1);
    expect((await gateway.calls()).users).toBe(1);
  });

  test('are none for a document that is refused', async () => {
    for (const refused of [
      '{',
      '{ nothing }',
      `{${' users { id }'.repeat(30)} }`,
      'query($n: Int!) { users(first: $n) { id } }',
    ]) {
      const { body } = await gateway.query(refused);
      expect(body).not.toHaveProperty('data');
    }
    const get = await fetch(
      `${gateway.graphqlUrl}?${new URLSearchParams({ query: 'mutation { addReview(input: { productId: 1, authorId: 1, stars: 5, body: "x" }) { id } }' }).toString()}`,
    );
    expect(get.status).toBe(405);
    expect(await gateway.calls()).toEqual({ users: 0, orders: 0, catalog: 0, reviews: 0 });
  });

  test('stand in the access log, by upstream, with the operation by name and hash', async () => {
    const { headers } = await gateway.query({ query: `query Deep ${query(2, 1)}`, operationName: 'Deep' });
    expect(await gateway.accessOf(headers.get('x-request-id')!)).toMatchObject({
      calls: 5,
      upstreams: { users: 2, orders: 1, catalog: 1, reviews: 1 },
      operation: { name: 'Deep', type: 'query', hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string },
    });
  });

  test('of a mutation see what it has done', async () => {
    const input = '{ productId: 3, authorId: 4, stars: 5, body: "Still as good as new." }';
    const { body } = await gateway.query(
      `mutation { addReview(input: ${input}) { stars author { id } product { id reviews(first: 1) { body } } } }`,
    );
    expect(body).toEqual({
      data: {
        addReview: {
          stars: 5,
          author: { id: '4' },
          product: { id: '3', reviews: [{ body: 'Still as good as new.' }] },
        },
      },
    });
  });
});
