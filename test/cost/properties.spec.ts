import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startShopGateway, type ShopGateway } from '../graphql/shop-gateway.ts';
import { costOf, priceOf, schemaFrom } from './pricing.ts';

/** Selections of the shop's types, no deeper than a service need be asked. */
type Draw = (depth: number) => fc.Arbitrary<string>;

const page = fc.integer({ min: 1, max: 6 });

/** Some of these fields, in an order of their own; always one that costs nothing, so that the selection is one. */
function some(leaf: string, ...fields: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc
    .tuple(...fields.map((field) => fc.option(field, { nil: '' })))
    .map((chosen) => `{ ${leaf} ${chosen.join(' ')} }`);
}

const sized = (name: string, first: fc.Arbitrary<number>, below: fc.Arbitrary<string>) =>
  fc.tuple(first, below).map(([count, selection]) => `${name}(first: ${count}) ${selection}`);

const single = (name: string, below: fc.Arbitrary<string>) => below.map((selection) => `${name} ${selection}`);

const user: Draw = (depth) =>
  depth === 0 ? fc.constant('{ name }') : some('name', sized('orders', page, order(depth - 1)));

const order: Draw = (depth) =>
  depth === 0
    ? fc.constant('{ id }')
    : some(
        'id',
        single('user', user(depth - 1)),
        single('items', some('quantity', single('product', product(depth - 1)))),
      );

const product: Draw = (depth) =>
  depth === 0 ? fc.constant('{ name }') : some('name', sized('reviews', page, review(depth - 1)));

const review: Draw = (depth) =>
  depth === 0
    ? fc.constant('{ stars }')
    : some('stars', single('author', user(depth - 1)), single('product', product(depth - 1)));

const connection = (name: string, below: fc.Arbitrary<string>) =>
  sized(
    name,
    page,
    below.map((selection) => `{ edges { node ${selection} } }`),
  );

const keyed = (name: string, below: fc.Arbitrary<string>) =>
  fc.tuple(fc.integer({ min: 1, max: 8 }), below).map(([id, selection]) => `${name}(id: ${id}) ${selection}`);

const root = (depth: number) =>
  fc.oneof(
    sized('users', page, user(depth)),
    sized('products', page, product(depth)),
    connection('usersConnection', user(depth)),
    connection('ordersConnection', order(depth)),
    connection('reviewsConnection', review(depth)),
    keyed('user', user(depth)),
    keyed('order', order(depth)),
    keyed('product', product(depth)),
    keyed('review', review(depth)),
  );

const operation = fc
  .array(root(4), { minLength: 1, maxLength: 4 })
  .map((fields) => `{ ${fields.map((field, index) => `f${index}: ${field}`).join(' ')} }`);

describe('Any operation over the shop', () => {
  let shop: ShopGateway;

  beforeAll(async () => {
    shop = await startShopGateway({ graphql: { maxCost: 100_000, reportCost: true, maxTokens: 10_000, maxDepth: 50 } });
  });

  afterAll(() => shop.stop());

  test('takes no more calls than it was estimated to, of all services and of each', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(operation, async (query) => {
        const { body } = await shop.query(query, { 'x-weir-explain': 'run' });
        expect(body.errors).toBeUndefined();
        const { cost, upstreams } = body.extensions!.explain as {
          readonly cost: { readonly estimated: number; readonly actual: number };
          readonly upstreams: Readonly<
            Record<string, { readonly estimated: number; readonly actual: { readonly calls: number } }>
          >;
        };
        expect(cost.actual).toBeLessThanOrEqual(cost.estimated);
        for (const { estimated, actual } of Object.values(upstreams))
          expect(actual.calls).toBeLessThanOrEqual(estimated);
      }),
      { numRuns: 60 },
    );
  });
});

describe('Any price', () => {
  const schema = schemaFrom(`
    extend type Query { users(first: Int! = 20): [User!] @upstream(name: "users") @listSize(slicingArguments: ["first"]) }
    type User {
      id: ID!
      orders(first: Int! = 10): [Order!] @upstream(name: "orders", batch: 100) @listSize(slicingArguments: ["first"])
    }
    type Order { id: ID! user: User @upstream(name: "users", batch: 30) }
  `);
  const document = `query Q($a: Int!, $b: Int!, $on: Boolean!) {
    users(first: $a) { orders(first: $b) { id user @include(if: $on) { id orders(first: 1) { id } } } }
  }`;
  const variables = fc.record({ a: fc.integer({ min: 0 }), b: fc.integer({ min: 0 }), on: fc.boolean() });

  test('is a whole number of thousandths within bounds, and the parts are within the sum', () => {
    const price = priceOf(schema, document, { settings: { nodeCost: 10 } });
    fc.assert(
      fc.property(variables, (given) => {
        const { total, byUpstream } = price.estimate(given);
        for (const amount of [total, ...byUpstream.values()]) {
          expect(Number.isSafeInteger(amount)).toBe(true);
          expect(amount).toBeGreaterThanOrEqual(0);
          expect(amount).toBeLessThanOrEqual(total);
        }
      }),
    );
  });

  test('does not fall when more is asked for', () => {
    fc.assert(
      fc.property(variables, fc.nat(), fc.nat(), (given, more, further) => {
        const less = costOf(schema, document, given);
        expect(costOf(schema, document, { a: given.a + more, b: given.b + further, on: true })).toBeGreaterThanOrEqual(
          less,
        );
      }),
      { numRuns: 30 },
    );
  });

  test('is the same for a document whose selections are repeated', () => {
    const doubled = document
      .replace('id user', 'id id ... on Order { id } user')
      .replace('users(first: $a) {', 'users(first: $a) { id ... { id }');
    fc.assert(
      fc.property(variables, (given) => {
        expect(costOf(schema, doubled, given)).toBe(costOf(schema, document, given));
      }),
      { numRuns: 30 },
    );
  });

  test('of waves that keys arrive in: sum of ceil(keys / batch) of each is at most ceil(n / batch) + w - 1', () => {
    const waves = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(waves, fc.integer({ min: 1, max: 150 }), (keys, batch) => {
        const took = keys.reduce((calls, count) => calls + Math.ceil(count / batch), 0);
        const n = keys.reduce((sum, count) => sum + count, 0);
        expect(took).toBeLessThanOrEqual(Math.ceil(n / batch) + keys.length - 1);
      }),
    );
  });
});
