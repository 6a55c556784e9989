/** The shop's orders service speaks v1 alone; `/v2/orders` and GraphQL speak v2 over it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { send, type Answer } from '../support/raw-client.ts';
import { startShopGateway, type ShopGateway } from '../support/shop.ts';

let shop: ShopGateway;

beforeAll(async () => {
  shop = await startShopGateway();
});
beforeEach(() => shop.reset());
afterAll(() => shop.stop());

const v1 = (path: string) => send(`${shop.gateway.url}/v1/orders${path}`);
const v2 = (path: string, method = 'GET', body?: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  send(`${shop.gateway.url}/v2/orders${path}`, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });

describe('/v2/orders over a service of v1', () => {
  test('reads an order, a page, the orders of users and some by id', async () => {
    const old = (await v1('/1')).json() as unknown as {
      order_id: string;
      totals: { gross_cents: string };
      lines: unknown[];
    };
    const order = (await v2('/1')).json();
    expect(order).toMatchObject({
      id: '1',
      state: expect.stringMatching(/^(OPEN|PAID|SHIPPED|CANCELLED)$/) as string,
      total: { amount: Number(old.totals.gross_cents), currency: 'EUR' },
    });
    expect(order.items).toHaveLength(old.lines.length);
    const page = (await v2('?first=2')).json();
    expect(page).toMatchObject({
      items: [{ id: '1' }, { id: '2' }],
      nextCursor: expect.any(String) as string,
      total: 20_000,
    });
    expect((await v2(`?first=1&after=${String(page.nextCursor)}`)).json()).toMatchObject({ items: [{ id: '3' }] });
    const ofUsers = (await v2('?userIds=7,8&first=1')).json() as { items?: { userId: string }[] };
    expect(ofUsers.items!.map(({ userId }) => userId)).toEqual(['7', '8']);
    expect((await v2('?ids=5,4')).json()).toMatchObject({ items: [{ id: '5' }, { id: '4' }] });
  });

  test('places an order once for a key, moves it and cancels it', async () => {
    const wanted = { userId: '7', items: [{ productId: '12', quantity: 2 }] };
    const placed = await v2('', 'POST', wanted, { 'idempotency-key': 'once' });
    expect([placed.status, placed.json()]).toMatchObject([
      201,
      { userId: '7', state: 'OPEN', items: [{ productId: '12', quantity: 2 }] },
    ]);
    const { id } = placed.json();
    expect(placed.headers.location).toBe(`/v2/orders/${String(id)}`);
    const again = await v2('', 'POST', wanted, { 'idempotency-key': 'once' });
    expect([again.json().id, again.headers['idempotency-replayed']]).toEqual([id, 'true']);
    expect((await v2(`/${String(id)}`, 'PATCH', { state: 'PAID' })).json()).toMatchObject({ id, state: 'PAID' });
    const cancelled = await v2(`/${String(id)}`, 'DELETE');
    expect([cancelled.status, cancelled.text]).toEqual([204, '']);
    expect((await v2(`/${String(id)}`)).json()).toMatchObject({ state: 'CANCELLED' });
  });

  test('says what is wrong in the words of v2', async () => {
    // What its document does not allow the gateway refuses, in the words of that document.
    expect((await v2('', 'POST', { userId: '7', lines: [] })).json()).toMatchObject({
      code: 'REQUEST_INVALID',
      errors: [{ pointer: '#/items' }, { pointer: '#/lines' }],
    });
    const ids = Array.from({ length: 101 }, (_, index) => index + 1).join(',');
    expect((await v2(`?userIds=${ids}`)).json()).toMatchObject({ status: 400, errors: [{ parameter: 'userIds' }] });
    // What only the service knows comes from it.
    const order = { userId: '7', items: [{ productId: '12', quantity: 1 }] };
    await v2('', 'POST', order, { 'idempotency-key': 'words' });
    const other = await v2('', 'POST', { ...order, userId: '8' }, { 'idempotency-key': 'words' });
    expect([other.status, other.headers['content-type'], other.json().code]).toEqual([
      422,
      'application/problem+json',
      undefined,
    ]);
    expect((await v2('/20000001')).json()).toMatchObject({ status: 404, title: 'Not Found' });
    await v2('/2', 'DELETE');
    expect([
      (await v2('/2', 'PATCH', { state: 'PAID' })).status,
      (await v2('/3', 'PATCH', { state: 'LOST' })).status,
    ]).toEqual([409, 400]);
  });

  test('guards writes by the tags that v2 has given out', async () => {
    const { etag } = (await v2('/9')).headers;
    expect((await v2('/9', 'PATCH', { state: 'PAID' }, { 'if-match': '"another-v2"' })).status).toBe(412);
    expect((await v2('/9', 'PATCH', { state: 'PAID' }, { 'if-match': String(etag) })).status).toBe(200);
    const current = String((await v2('/9')).headers.etag);
    expect((await v2('/9', 'GET', undefined, { 'if-none-match': current })).status).toBe(304);
  });
});

describe('GraphQL over a service of v1', () => {
  test('reads the orders of many users in one call, by the same transform', async () => {
    const { data } = await shop.query(
      '{ users(first: 5) { orders(first: 2) { id state items { quantity } total { amount } } } }',
    );
    const users = data!.users as { orders: { id: string; total: { amount: number } }[] }[];
    expect(users.map(({ orders }) => orders.length)).toEqual([2, 2, 2, 2, 2]);
    expect(await shop.calls()).toMatchObject({ users: 1, orders: 1 });
    const { id, total } = users[0]!.orders[0]!;
    expect((await v2(`/${id}`)).json()).toMatchObject({ id, total });
  });

  test('writes, and tells of what the service refuses', async () => {
    const place = (quantity: number) =>
      shop.query(
        `mutation { placeOrder(input: { userId: 7, items: [{ productId: 1, quantity: ${quantity} }] }) { id state } }`,
      );
    expect((await place(2)).data).toMatchObject({ placeOrder: { state: 'OPEN' } });
    expect((await place(0)).errors).toMatchObject([{ extensions: { code: 'UPSTREAM_ERROR', upstreamStatus: 400 } }]);
  });
});
