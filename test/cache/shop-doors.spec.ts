import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startShopGateway, type ShopGateway } from '../graphql/shop-gateway.ts';
import { send } from '../support/raw-client.ts';

/** Both doors over the services of the shop, which count what they are asked. */
let gateway: ShopGateway;

beforeAll(async () => {
  const stored = { cache: {} };
  gateway = await startShopGateway({ upstreams: { users: stored, orders: stored, catalog: stored, reviews: stored } });
});

beforeEach(() => gateway.resetCounters());

afterAll(() => gateway.stop());

const none = { users: 0, orders: 0, catalog: 0, reviews: 0 };

async function names(ids: readonly number[]): Promise<readonly string[]> {
  const fields = ids.map((id) => `p${id}: product(id: "${id}") { name }`).join(' ');
  const { body } = await gateway.query(`{ ${fields} }`);
  expect(body.errors).toBeUndefined();
  const products = body.data as Record<string, { readonly name: string }>;
  return ids.map((id) => products[`p${id}`]!.name);
}

const read = (id: number) => send(`${gateway.url}/v1/products/${id}`);

function rename(id: number, name: string, etag: string) {
  const headers = { 'content-type': 'application/json', 'if-match': etag };
  return send(`${gateway.url}/v1/products/${id}`, { method: 'PATCH', headers, body: JSON.stringify({ name }) });
}

test('What GraphQL fetched is a hit for REST, and what REST fetched one for GraphQL: no service is asked again', async () => {
  const [seventh, eighth] = await names([7, 8]);
  expect(await gateway.calls()).toEqual({ ...none, catalog: 1 });
  expect(JSON.parse((await read(7)).text)).toMatchObject({ name: seventh });
  expect(JSON.parse((await read(8)).text)).toMatchObject({ name: eighth });
  const { name } = JSON.parse((await read(9)).text) as { readonly name: string };
  expect(await gateway.calls()).toEqual({ ...none, catalog: 2 });
  expect(await names([7, 8, 9])).toEqual([seventh, eighth, name]);
  expect(await gateway.calls()).toEqual({ ...none, catalog: 2 });
});

test('A write by REST is seen by both doors at the next read, and nothing else is fetched again', async () => {
  const { headers } = await read(21);
  await names([21, 22]);
  await gateway.resetCounters();
  expect((await rename(21, 'Renamed', String(headers.etag))).status).toBe(200);
  expect((await names([21, 22]))[0]).toBe('Renamed');
  expect(JSON.parse((await read(21)).text)).toMatchObject({ name: 'Renamed' });
  await read(22);
  // The write, and the one read that it made necessary.
  expect(await gateway.calls()).toEqual({ ...none, catalog: 2 });
});
