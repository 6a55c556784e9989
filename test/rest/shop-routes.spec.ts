/** What the shop serves over REST besides what it passes on: by operations, by code, held to its documents. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { spawnShop, type Shop } from '../../examples/shop/services/spawn.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { send, type Sending } from '../support/raw-client.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(resolve(root, file), 'utf8');
/** What is fast enough for people is not for a machine that runs all specifications at once. */
const patient = (yaml: string) => yaml.replaceAll(/timeout: \d+m?s/g, 'timeout: 60s');

let shop: Shop;
let gateway: TestGateway;

beforeAll(async () => {
  shop = await spawnShop({ ports: 'free' });
  const file = patient(read('examples/shop/gateway.yaml'))
    .replace(/^(modules|listen|admin):.*$/gm, '')
    .replace('./operations', resolve(root, 'examples/shop/operations'));
  gateway = await startGateway(file, {
    modules: 'resolvers',
    env: {
      USERS_URL: shop.users.url,
      ORDERS_URL: shop.orders.url,
      CATALOG_URL: shop.catalog.url,
      REVIEWS_URL: shop.reviews.url,
    },
  });
}, 60_000);

beforeEach(() => Promise.all([shop.orders.resetCounters(), shop.catalog.clearFault()]));

afterAll(async () => {
  await gateway.stop();
  await shop.stop();
});

const ask = (path: string, sending: Sending = {}) => send(`${gateway.url}${path}`, sending);
const post = (body: unknown, type = 'application/json') =>
  ask('/v2/orders', { method: 'POST', headers: { 'content-type': type }, body: JSON.stringify(body) });

interface Described {
  readonly paths: Readonly<Record<string, { readonly get: { readonly responses: Readonly<Record<string, Answer>> } }>>;
}

interface Answer {
  readonly content: Readonly<Record<string, { readonly schema: object }>>;
}

/** What the document says that a path answers, as a check. */
async function schemaOf(path: string) {
  const { paths } = (await ask('/openapi.json')).json() as unknown as Described;
  return new Ajv2020({ strict: false }).compile(paths[path]!.get.responses['200']!.content['application/json']!.schema);
}

describe('/v2/orders of the shop', () => {
  test.each([
    [{ userId: '7', items: [{ productId: '12', quantity: 0 }] }, '#/items/0/quantity'],
    [{ userId: 'x', items: [{ productId: '12', quantity: 1 }] }, '#/userId'],
    [{ userId: '7' }, '#/items'],
    [{ userId: '7', items: [{ productId: '12', quantity: 1, colour: 'red' }] }, '#/items/0/colour'],
  ])('refuses what its document does not allow, with a pointer into what was sent: %j', async (body, pointer) => {
    const answer = await post(body);
    expect([answer.status, answer.headers['content-type']]).toEqual([400, 'application/problem+json']);
    expect(answer.json()).toMatchObject({ code: 'REQUEST_INVALID', errors: [{ pointer }] });
    expect((await shop.orders.counters()).total).toBe(0);
  });

  test('refuses another content type (415) and what is out of bounds (400)', async () => {
    const refused = await post({ userId: '7', items: [] }, 'application/xml');
    expect([refused.status, refused.headers.accept]).toEqual([415, 'application/json']);
    expect((await ask('/v2/orders?first=1000')).json()).toMatchObject({
      errors: [{ in: 'query', parameter: 'first', detail: 'must be <= 100' }],
    });
    expect((await ask('/v2/orders/seven')).status).toBe(400);
    expect((await shop.orders.counters()).total).toBe(0);
  });

  test('lets through what it allows, and what only the service can know is refused by it', async () => {
    expect((await post({ userId: '7', items: [{ productId: '12', quantity: 1 }] })).status).toBe(201);
    expect((await ask('/v2/orders/999999')).status).toBe(404);
  });
});

describe('/v2/users/:userId/orders, which an operation answers', () => {
  test('gives what its document says', async () => {
    const answer = await ask('/v2/users/7/orders?first=2');
    expect([answer.status, answer.headers['x-weir-completed']]).toEqual([200, 'true']);
    const orders = answer.json() as unknown as object[];
    expect(orders).toHaveLength(2);
    const fits = await schemaOf('/v2/users/{userId}/orders');
    expect([fits(orders), fits.errors]).toEqual([true, null]);
  });

  test('says what is not there', async () => {
    expect((await ask('/v2/users/999999/orders')).json()).toMatchObject({ status: 404, code: 'PART_NOT_FOUND' });
    expect((await ask('/v2/users/7/orders?first=many')).json()).toMatchObject({ status: 400, code: 'BAD_USER_INPUT' });
  });
});

describe('/v2/home/:userId, which code answers', () => {
  test('gives what its document says, products all in one call', async () => {
    const answer = await ask('/v2/home/11');
    expect([answer.status, answer.headers['x-weir-completed']]).toEqual([200, 'true']);
    const fits = await schemaOf('/v2/home/{userId}');
    expect([fits(answer.json()), fits.errors]).toEqual([true, null]);
    const line = await gateway.accessOf(String(answer.headers['x-request-id']));
    expect(line).toMatchObject({ calls: 3, upstreams: { users: 1, orders: 1, catalog: 1 } });
  });

  test('does without what is to be bought again, and not without the user', async () => {
    await shop.catalog.setFault({ errorRate: 1, errorStatus: 500 });
    const answer = await ask('/v2/home/8');
    expect([answer.status, answer.json().buyAgain, answer.headers['x-weir-missing']]).toEqual([200, [], 'buyAgain']);
    expect((await ask('/v2/home/999999')).json()).toMatchObject({ status: 404, detail: 'There is no such user.' });
  });
});

test('The example of docs/aggregates.md with loaders does what the page says', async () => {
  const [, example] = fencedBlocks(read('docs/aggregates.md')).filter(({ info }) => info === 'yaml');
  const at = { 5001: shop.users.url, 5002: shop.orders.url, 5003: shop.catalog.url, 5004: shop.reviews.url };
  const yaml = Object.entries(at).reduce(
    (text, [port, url]) => text.replace(`http://127.0.0.1:${port}`, url),
    example!.text.replace(/^modules:.*$/m, ''),
  );
  const one = await startGateway(yaml, { modules: 'resolvers' });
  try {
    const answer = await send(`${one.url}/v2/baskets/17`);
    expect([answer.status, answer.headers['x-weir-completed']]).toEqual([200, 'true']);
    const { items, products, buyer } = answer.json() as {
      items: { productId: string }[];
      products: { id: string; name: string }[];
      buyer: { name: string };
    };
    expect(products.map(({ id }) => id)).toEqual([...new Set(items.map(({ productId }) => productId))]);
    expect(buyer).toEqual({ name: expect.any(String) as unknown });
    const { paths } = (await send(`${one.url}/openapi.json`)).json() as unknown as Described;
    expect(paths['/v2/baskets/{id}']!.get.responses['200']!.content['application/json']!.schema).toMatchObject({
      required: ['id', 'items', 'buyer', 'products'],
    });
  } finally {
    await one.stop();
  }
});
