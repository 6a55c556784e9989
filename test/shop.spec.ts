/** The example shop: four real processes on free ports, spoken to as a gateway would. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import {
  Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type RequestOptions,
} from 'node:http';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Product } from '../examples/shop/services/catalog/data.ts';
import { createService as createCatalog } from '../examples/shop/services/catalog/service.ts';
import type { Order } from '../examples/shop/services/orders/data.ts';
import { createService as createOrders } from '../examples/shop/services/orders/service.ts';
import type { Review } from '../examples/shop/services/reviews/data.ts';
import { createService as createReviews } from '../examples/shop/services/reviews/service.ts';
import {
  type CountersSnapshot,
  type Fault,
  type Shop,
  type ShopService,
  spawnService,
  spawnShop,
} from '../examples/shop/services/spawn.ts';
import type { User } from '../examples/shop/services/users/data.ts';
import { createService as createUsers } from '../examples/shop/services/users/service.ts';

let shop: Shop;
const services = (): ShopService[] => [shop.users, shop.catalog, shop.orders, shop.reviews];

beforeAll(async () => {
  shop = await spawnShop({ ports: 'free' });
});
// Before rather than after: what a test left open is closed when it is over, and the services are to have noticed.
beforeEach(async () => {
  for (const service of services()) {
    await service.clearFault();
    await vi.waitFor(async () => expect(await service.counters()).toHaveProperty('active', 0));
    await service.resetCounters();
  }
});
afterAll(() => shop.stop());

describe('the users service', () => {
  it('pages through its thousand users and more, each of them once', async () => {
    const seen: string[] = [];
    for (let after = ''; ;) {
      const { items, nextCursor, total } = (await get<List<User>>(`${shop.users.url}/users?first=100${after}`)).json;
      seen.push(...items.map((user) => user.id));
      if (nextCursor === null) {
        expect(seen).toHaveLength(total!);
        break;
      }
      after = `&after=${nextCursor}`;
    }
    expect(seen.length).toBeGreaterThanOrEqual(1_000);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('gives twenty users where nobody says how many', async () => {
    expect((await get<List<User>>(`${shop.users.url}/users`)).json.items).toHaveLength(20);
  });

  it.each(['first=0', 'first=101', 'first=x', 'first=', 'after=nonsense', 'after=cm93Oi0x'])(
    'refuses %s, and says which parameter it was',
    async (query) => {
      const answer = await get<ProblemDocument>(`${shop.users.url}/users?${query}`);
      expect(answer).toMatchObject({ status: 400, headers: { 'content-type': 'application/problem+json' } });
      expect(answer.json.errors[0]?.at).toBe(query.split('=')[0]);
    },
  );

  it('gives users by id in the order asked for, once each, and leaves out ids that it does not know', async () => {
    const { json } = await get<List<User>>(`${shop.users.url}/users?ids=3,1,99999,abc,__proto__,1&ids=2`);
    expect(json.items.map((user) => user.id)).toEqual(['3', '1', '2']);
    expect(json).not.toHaveProperty('total');
    expect((await get(`${shop.users.url}/users?ids=`)).json).toEqual({ items: [] });
  });

  it('takes a hundred ids and refuses one more', async () => {
    const ids = Array.from({ length: 101 }, (_, index) => index + 1);
    const fits = await get<List<User>>(`${shop.users.url}/users?ids=${ids.slice(1).join(',')}`);
    expect(fits.json.items).toHaveLength(100);
    expect((await get(`${shop.users.url}/users?ids=${ids.join(',')}`)).status).toBe(400);
  });

  it.each(['0', '1001000', '01', '-1', 'abc', '%zz', '1%2F2', 'constructor'])('knows no user %s', async (id) => {
    const answer = await get(`${shop.users.url}/users/${id}`);
    expect(answer.json).toMatchObject({ status: 404, title: 'Not Found' });
  });

  it('adds a user and tells where', async () => {
    const given = { name: 'Zoë Türk', email: 'zoe@example.com', city: 'Zürich' };
    const created = await send('POST', `${shop.users.url}/users`, given);
    expect(created).toMatchObject({ status: 201, json: given });
    const found = await get(shop.users.url + created.headers.location);
    expect(found.json).toEqual(created.json);
    expect(found.headers.etag).toBe(created.headers.etag);
  });

  it('lists everything that is wrong with a new user', async () => {
    const given = { name: '', email: 'nobody', role: 'admin' };
    const answer = await send<ProblemDocument>('POST', `${shop.users.url}/users`, given);
    expect(answer.status).toBe(400);
    expect(answer.json.errors.map(({ at }) => at)).toEqual(['/name', '/email', '/city', '/role']);
  });

  it('refuses bodies that are no JSON, no UTF-8, or no JSON by their own account', async () => {
    const url = `${shop.users.url}/users`;
    const json = { 'content-type': 'application/json' };
    expect((await exchange(url, { method: 'POST', headers: json }, '{"name":')).status).toBe(400);
    expect((await exchange(url, { method: 'POST', headers: json }, '')).status).toBe(400);
    expect((await exchange(url, { method: 'POST', headers: json }, Buffer.from('"\xff"', 'latin1'))).status).toBe(400);
    expect((await exchange(url, { method: 'POST', headers: { 'content-type': 'text/plain' } }, '{}')).status).toBe(415);
  });

  it('refuses a body above 64 KiB, declared or not, and serves the next request on the same connection', async () => {
    const url = `${shop.users.url}/users`;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ name: 'x'.repeat(300_000) });
    const declared = { ...headers, 'content-length': String(body.length) };
    expect((await exchange(url, { method: 'POST', agent, headers: declared }, body)).status).toBe(413);
    expect((await exchange(url, { method: 'POST', agent, headers }, Readable.from([body]))).status).toBe(413);
    expect((await exchange(`${url}/1`, { agent })).status).toBe(200);
  });

  it('changes what is given and leaves the rest', async () => {
    const before = (await get<User>(`${shop.users.url}/users/5`)).json;
    const changed = await send('PATCH', `${shop.users.url}/users/5`, { city: 'Graz' });
    expect(changed).toMatchObject({ status: 200, json: { ...before, city: 'Graz' } });
    expect((await get(`${shop.users.url}/users?ids=5`)).json).toEqual({ items: [changed.json] });
  });

  it('does not change what has changed since', async () => {
    const url = `${shop.users.url}/users/6`;
    const etag = String((await get(url)).headers.etag);
    expect((await send('PATCH', url, { city: 'Riga' }, { 'if-match': `"other", ${etag}` })).status).toBe(200);
    expect((await send('PATCH', url, { city: 'Cork' }, { 'if-match': etag })).status).toBe(412);
    expect((await send('PATCH', url, { city: 'Cork' }, { 'if-match': '*' })).status).toBe(200);
    const current = String((await get(url)).headers.etag);
    expect((await send('PATCH', url, { city: 'Riga' }, { 'if-match': `W/${current}` })).status).toBe(412);
  });

  it('has the data again that it began with after a restart, on the same port', async () => {
    const { url, pid } = shop.users;
    const before = (await get(`${url}/users?ids=100,200`)).text;
    await send('PATCH', `${url}/users/100`, { city: 'Elsewhere' });
    await shop.users.restart();
    expect(shop.users.pid).not.toBe(pid);
    expect((await get(`${url}/users?ids=100,200`)).text).toBe(before);
  });
});

describe('the catalog service', () => {
  it('gives the products of a category, and how many there are', async () => {
    const { json } = await get<List<Product>>(`${shop.catalog.url}/products?category=books&first=100`);
    expect(json.total).toBe(json.items.length);
    expect(new Set(json.items.map((product) => product.category))).toEqual(new Set(['books']));
    expect((await get(`${shop.catalog.url}/products?category=none`)).json).toEqual({
      items: [],
      nextCursor: null,
      total: 0,
    });
  });

  it('asks the prices that the orders service has on its order lines', async () => {
    const some = await get<Orders>(`${shop.orders.url}/orders?ids=1,2,3,4,5,6,7,8,9`);
    const lines = some.json.orders.flatMap((order) => order.lines);
    const refs = lines.map((line) => line.product_ref).join(',');
    const { items } = (await get<List<Product>>(`${shop.catalog.url}/products?ids=${refs}`)).json;
    const prices = new Map(items.map(({ id, price }) => [id, String(price.amount)]));
    for (const line of lines) expect(prices.get(line.product_ref)).toBe(line.unit_price_cents);
  });

  it('exports a product a line', async () => {
    const { headers, text } = await get(`${shop.catalog.url}/catalog/export`);
    expect(headers).toMatchObject({ 'content-type': 'application/x-ndjson', 'transfer-encoding': 'chunked' });
    const lines = text.trimEnd().split('\n');
    expect(lines).toHaveLength(500);
    expect(JSON.parse(lines[499]!)).toHaveProperty('id', '500');
  });

  it.each([0, 1, 65_535, 65_536, 65_537, 1_000_000])('exports exactly %d bytes, alike every time', async (bytes) => {
    const url = `${shop.catalog.url}/catalog/export?bytes=${bytes}`;
    const [one, other] = await Promise.all([get(url), get(url)]);
    expect(one.headers['content-length']).toBe(String(bytes));
    expect(one.body).toHaveLength(bytes);
    expect(one.body.equals(other.body)).toBe(true);
  });

  it('exports no block twice, so that a lost one shows', async () => {
    const { body } = await get(`${shop.catalog.url}/catalog/export?bytes=${20 * 65_536}`);
    const blocks = Array.from({ length: 20 }, (_, index) =>
      sha256(body.subarray(index * 65_536, (index + 1) * 65_536)),
    );
    expect(new Set(blocks).size).toBe(20);
  });

  it('exports up to 2 GiB and refuses more', async () => {
    const head = await exchange(`${shop.catalog.url}/catalog/export?bytes=2147483648`, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, text: '', headers: { 'content-length': '2147483648' } });
    expect((await get(`${shop.catalog.url}/catalog/export?bytes=2147483649`)).status).toBe(400);
    expect((await get(`${shop.catalog.url}/catalog/export?bytes=-1`)).status).toBe(400);
  });

  it.runIf(existsSync('/proc/self/status'))(
    'sends and takes half a gigabyte in little memory',
    async () => {
      const peakBefore = await peakMemory(shop.catalog.pid);
      const size = 512 * 1024 * 1024;
      const download = await open(`${shop.catalog.url}/catalog/export?bytes=${size}`);
      const upload = request(`${shop.catalog.url}/upload`, { method: 'POST', agent: false });
      const hash = createHash('sha256');
      const answered = responseTo(upload);
      await pipeline(
        download,
        async function* hashing(chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            hash.update(chunk);
            yield chunk;
          }
        },
        upload,
      );
      expect((await whole(await answered)).json).toEqual({ bytes: size, sha256: hash.digest('hex') });
      expect((await peakMemory(shop.catalog.pid)) - peakBefore).toBeLessThan(size / 3);
    },
    120_000,
  );

  it('does not run ahead of a reader that stands still, and notices when it leaves', async () => {
    const download = await open(`${shop.catalog.url}/catalog/export?bytes=2147483648`);
    expect(await shop.catalog.counters()).toMatchObject({ active: 1, aborted: 0 });
    download.destroy();
    await expect.poll(() => shop.catalog.counters()).toMatchObject({ active: 0, aborted: 1 });
  });

  it('tells what of an upload has arrived', async () => {
    const body = Buffer.from('hello');
    const expected = { bytes: 5, sha256: sha256(body) };
    const image = `${shop.catalog.url}/products/1/image`;
    expect((await exchange(image, { method: 'PUT' }, body)).json).toEqual(expected);
    expect((await exchange(`${shop.catalog.url}/upload`, { method: 'POST' }, Readable.from([body]))).json).toEqual(
      expected,
    );
    expect((await exchange(`${shop.catalog.url}/products/501/image`, { method: 'PUT' }, body)).status).toBe(404);
  });

  it('changes a product, its price as a whole', async () => {
    const url = `${shop.catalog.url}/products/9`;
    const changed = await send('PATCH', url, { stock: 3, price: { amount: 1, currency: 'EUR' } });
    expect(changed.json).toMatchObject({ stock: 3, price: { amount: 1, currency: 'EUR' } });
    expect(await send('PATCH', url, { price: { amount: 1 } })).toMatchObject({
      status: 400,
      json: { errors: [{ at: '/price/currency', detail: 'is required' }] },
    });
    expect((await send('PATCH', url, { stock: 1.5 })).status).toBe(400);
  });
});

describe('the orders service', () => {
  it('speaks the legacy format', async () => {
    const { json } = await get<Order>(`${shop.orders.url}/orders/1`);
    expect(Object.keys(json)).toEqual(['order_id', 'customer', 'placed_at', 'state', 'lines', 'totals']);
    expect(json).toMatchObject({ order_id: '1', customer: { customer_id: '7' }, totals: { currency: 'EUR' } });
    expect(json.placed_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const net = json.lines.reduce((sum, line) => sum + line.qty * Number(line.unit_price_cents), 0);
    const { net_cents, tax_cents, gross_cents } = json.totals;
    expect(net_cents).toBe(String(net));
    expect(gross_cents).toBe(String(Number(net_cents) + Number(tax_cents)));
  });

  it('has twenty orders of each user, newest first, as many of each as asked for', async () => {
    const { orders: all } = (await get<Orders>(`${shop.orders.url}/orders?user_ids=70,71,nobody&first=100`)).json;
    expect(all.map((order) => order.customer.customer_id)).toEqual([
      ...Array.from({ length: 20 }, () => '70'),
      ...Array.from({ length: 20 }, () => '71'),
    ]);
    const ids = all.slice(0, 20).map((order) => Number(order.order_id));
    expect(ids).toEqual(ids.toSorted((a, b) => b - a));
    const times = all.slice(0, 20).map((order) => Date.parse(order.placed_at));
    expect(times).toEqual(times.toSorted((a, b) => b - a));

    const few = await get<Orders>(`${shop.orders.url}/orders?user_ids=70,71&first=2`);
    expect(few.json.orders).toEqual([all[0], all[1], all[20], all[21]]);
  });

  it('pages in its own words', async () => {
    const { json } = await get<Orders>(`${shop.orders.url}/orders?first=2`);
    expect(json).toMatchObject({ orders: [{ order_id: '1' }, { order_id: '2' }] });
    expect(json.total_count).toBeGreaterThanOrEqual(20_000);
    const next = await get(`${shop.orders.url}/orders?first=1&after=${json.next_cursor}`);
    expect(next.json).toMatchObject({ orders: [{ order_id: '3' }] });
  });

  it('places an order at its own prices, as the newest of its user', async () => {
    const { json: priced } = await get<Order>(`${shop.orders.url}/orders/10`);
    const { product_ref, unit_price_cents } = priced.lines[0]!;
    const placed = await send('POST', `${shop.orders.url}/orders`, {
      customer: { customer_id: '500' },
      lines: [{ product_ref, qty: 3 }],
    });
    expect(placed).toMatchObject({
      status: 201,
      json: { state: 'open', lines: [{ line_no: 1, product_ref, qty: 3, unit_price_cents }] },
    });
    expect((await get(shop.orders.url + placed.headers.location)).json).toEqual(placed.json);
    const newest = await get(`${shop.orders.url}/orders?user_ids=500&first=1`);
    expect(newest.json).toEqual({ orders: [placed.json] });
  });

  it('places an order once for one Idempotency-Key, and refuses the key for another one', async () => {
    const url = `${shop.orders.url}/orders`;
    const key = { 'idempotency-key': 'a-key' };
    const body = { customer: { customer_id: '501' }, lines: [{ product_ref: '1', qty: 1 }] };
    const first = await send('POST', url, body, key);
    const second = await send('POST', url, body, key);
    expect(second.text).toBe(first.text);
    expect(second.headers).toMatchObject({ location: first.headers.location, 'idempotency-replayed': 'true' });
    expect((await get<Orders>(`${url}?user_ids=501&first=100`)).json.orders).toHaveLength(21);
    expect((await send('POST', url, { ...body, customer: { customer_id: '502' } }, key)).status).toBe(422);
    expect((await send('POST', url, body, { 'idempotency-key': 'k'.repeat(256) })).status).toBe(400);
  });

  it.each([
    ['nothing', [], '/lines'],
    ['half a piece', [{ product_ref: '1', qty: 0.5 }], '/lines/0/qty'],
    ['a product that there is not', [{ product_ref: '501', qty: 1 }], '/lines/0/product_ref'],
    ['a product by number', [{ product_ref: 1, qty: 1 }], '/lines/0/product_ref'],
  ])('refuses an order of %s', async (_, lines, at) => {
    const answer = await send('POST', `${shop.orders.url}/orders`, { customer: { customer_id: '1' }, lines });
    expect(answer).toMatchObject({ status: 400, json: { errors: [{ at }] } });
  });

  it('cancels an order, once and for all', async () => {
    const { url, json } = await placedFor('503');
    expect(json.state).toBe('open');
    expect(await exchange(url, { method: 'DELETE' })).toMatchObject({ status: 204, text: '' });
    expect((await get<Order>(url)).json.state).toBe('cancelled');
    expect((await exchange(url, { method: 'DELETE' })).status).toBe(204);
    expect((await send('PATCH', url, { state: 'paid' })).status).toBe(409);
    expect((await exchange(`${shop.orders.url}/orders/999999`, { method: 'DELETE' })).status).toBe(404);
  });

  it('tells a listener what happens to the orders of a user, in order, and to no others', async () => {
    const feed = await listen('/orders/events?user_id=504');
    expect(feed.response.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    await placedFor('505');
    const { url, json } = await placedFor('504');
    await send('PATCH', url, { state: 'paid' });
    await send('PATCH', url, { state: 'paid' });
    await exchange(url, { method: 'DELETE' });
    expect(await feed.next()).toMatchObject({ event: 'order', data: { type: 'placed', order: json } });
    expect(await feed.next()).toMatchObject({ data: { type: 'changed', order: { state: 'paid' } } });
    expect(await feed.next()).toMatchObject({ data: { type: 'cancelled', order: { state: 'cancelled' } } });
  });

  it('tells a listener who comes back what it has missed', async () => {
    const feed = await listen('/orders/events?user_id=506');
    const { url } = await placedFor('506');
    const { id } = await feed.next();
    feed.response.destroy();
    await send('PATCH', url, { state: 'shipped' });
    const back = await listen('/orders/events?user_id=506', { 'last-event-id': id });
    const missed = await back.next();
    expect(missed.data).toMatchObject({ type: 'changed', order: { state: 'shipped' } });
    expect(Number(missed.id)).toBeGreaterThan(Number(id));
  });

  it('tells the same events over WebSocket, and answers ping with pong', async () => {
    const socket = await connect('/orders/live?user_id=507', ['orders.v2', 'orders.v1']);
    expect(socket.protocol).toBe('orders.v1');
    const pong = messageTo(socket);
    socket.send('ping');
    expect((await pong).data.toString()).toBe('pong');
    const told = messageTo(socket);
    await placedFor('508');
    const { json } = await placedFor('507');
    expect(JSON.parse((await told).data.toString())).toEqual({ type: 'placed', order: json });
  });

  it('echoes text as text and bytes as bytes over WebSocket', async () => {
    const socket = await connect('/orders/echo');
    expect(socket.protocol).toBe('');
    const bytes = Buffer.alloc(5_000_000, 'weir');
    for (const message of ['grüezi', '', bytes]) {
      const back = messageTo(socket);
      socket.send(message);
      const { data, isBinary } = await back;
      expect(isBinary).toBe(typeof message !== 'string');
      expect(Buffer.from(message).equals(data)).toBe(true);
    }
  });

  it('asks for an upgrade where there is nothing but WebSocket, and ignores upgrades elsewhere', async () => {
    const answer = await get(`${shop.orders.url}/orders/live`);
    expect(answer).toMatchObject({ status: 426, headers: { upgrade: 'websocket' } });
    const headers = { connection: 'Upgrade', upgrade: 'h2c' };
    expect((await exchange(`${shop.orders.url}/orders/1`, { headers })).status).toBe(200);
  });

  it('counts an open WebSocket as active, and its end as no abort', async () => {
    const socket = await connect('/orders/echo');
    expect(await shop.orders.counters()).toMatchObject({
      total: 1,
      active: 1,
      byRoute: { 'GET /orders/echo': 1 },
      urls: ['GET /orders/echo'],
    });
    socket.terminate();
    await expect.poll(() => shop.orders.counters()).toMatchObject({ active: 0, aborted: 0 });
  });

  it('refuses, resets or lets hang a WebSocket when the fault switch says so', async () => {
    await shop.orders.setFault({ errorRate: 1, errorStatus: 502 });
    await expect(connect('/orders/echo')).rejects.toThrow('Unexpected server response: 502');
    await shop.orders.setFault({ kind: 'reset' });
    await expect(connect('/orders/echo')).rejects.toMatchObject({ code: 'ECONNRESET' });
    await shop.orders.setFault({ kind: 'hang' });
    const hung = new WebSocket(webSocketUrl('/orders/echo'));
    hung.on('error', () => {});
    await expect.poll(() => shop.orders.counters()).toMatchObject({ active: 1 });
    expect(hung.readyState).toBe(WebSocket.CONNECTING);
    hung.terminate();
  });
});

describe('the reviews service', () => {
  it('has a hundred reviews of each product, newest first, as many of each as asked for', async () => {
    const { items } = (await get<List<Review>>(`${shop.reviews.url}/reviews?product_ids=11,12&first=100`)).json;
    expect(items).toHaveLength(200);
    const times = items.slice(0, 100).map((review) => Date.parse(review.createdAt));
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    const few = await get<List<Review>>(`${shop.reviews.url}/reviews?product_ids=11,12&first=3`);
    expect(few.json.items).toEqual([...items.slice(0, 3), ...items.slice(100, 103)]);
  });

  it('takes fifty products and refuses one more', async () => {
    const ids = Array.from({ length: 51 }, (_, index) => index + 1);
    const url = `${shop.reviews.url}/reviews?first=1&product_ids=`;
    expect((await get<List<Review>>(url + ids.slice(1).join(','))).json.items).toHaveLength(50);
    expect((await get(url + ids.join(','))).status).toBe(400);
  });

  it('puts a new review first, and takes it down again', async () => {
    const given = { productId: '13', authorId: '2', stars: 1, body: 'Oh dear.' };
    const countOf = `${shop.reviews.url}/reviews?first=1`;
    const { total } = (await get<List<Review>>(countOf)).json;
    const created = await send('POST', `${shop.reviews.url}/reviews`, given);
    expect(created).toMatchObject({ status: 201, json: given });
    const newest = `${shop.reviews.url}/reviews?product_ids=13&first=1`;
    expect((await get(newest)).json).toEqual({ items: [created.json] });

    const url = shop.reviews.url + created.headers.location;
    expect((await exchange(url, { method: 'DELETE', headers: { 'if-match': '"other"' } })).status).toBe(412);
    expect((await exchange(url, { method: 'DELETE' })).status).toBe(204);
    expect((await get(url)).status).toBe(404);
    expect((await get(newest)).json).not.toEqual({ items: [created.json] });
    expect((await get<List<Review>>(countOf)).json.total).toBe(total);
  });

  it('gives one to five stars', async () => {
    const given = { productId: '13', authorId: '2', body: 'So so.' };
    expect((await send('POST', `${shop.reviews.url}/reviews`, { ...given, stars: 6 })).status).toBe(400);
    expect((await send('POST', `${shop.reviews.url}/reviews`, { ...given, stars: '5' })).status).toBe(400);
  });
});

describe.each(['users', 'catalog', 'orders', 'reviews'] as const)('every service, here %s,', (name) => {
  const list = { users: '/users', catalog: '/products', orders: '/orders', reviews: '/reviews' }[name];
  const cacheControl = {
    users: 'public, max-age=30',
    catalog: 'public, max-age=60',
    orders: 'private, no-cache',
    reviews: 'public, max-age=5',
  }[name];

  it('says how long its answers may be kept', async () => {
    for (const path of [list, `${list}?ids=1,2`, `${list}/1`]) {
      const { headers } = await get(shop[name].url + path);
      expect(headers['cache-control']).toBe(cacheControl);
    }
  });

  it('answers 304 to whoever has the current state, weakly compared', async () => {
    for (const path of [`${list}/2`, `${list}?ids=2,3`, `${list}?first=3`]) {
      const url = shop[name].url + path;
      const etag = String((await get(url)).headers.etag);
      expect(etag).toMatch(/^"[\w-]{27}"$/);
      for (const known of [etag, `"other", W/${etag}`, '*']) {
        const answer = await exchange(url, { headers: { 'if-none-match': known } });
        expect(answer).toMatchObject({ status: 304, text: '', headers: { etag, 'cache-control': cacheControl } });
      }
      expect((await exchange(url, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    }
  });

  it('answers HEAD as GET, without the body', async () => {
    const url = `${shop[name].url}${list}/2`;
    const [full, head] = await Promise.all([get(url), exchange(url, { method: 'HEAD' })]);
    expect(head).toMatchObject({ status: 200, text: '' });
    const { etag, 'content-length': length, 'content-type': type } = full.headers;
    expect(head.headers).toMatchObject({ etag, 'content-length': length, 'content-type': type });
    expect(length).toBe(String(full.body.length));
  });

  it('says which methods a path takes', async () => {
    const answer = await exchange(`${shop[name].url}${list}/1`, { method: 'POST' });
    expect(answer).toMatchObject({ status: 405, headers: { 'content-type': 'application/problem+json' } });
    expect(answer.headers.allow).toMatch(/^GET, HEAD, /);
  });

  it('is well', async () => {
    expect((await get(`${shop[name].url}/health`)).json).toEqual({ status: 'ok' });
  });

  it('echoes what arrived, byte for byte', async () => {
    const headers = ['Host', 'shop.test', 'X-Twice', '1', 'x-twice', '2', 'Transfer-Encoding', 'chunked'];
    const options = { method: 'PATCH', headers };
    const { json } = await exchange(`${shop[name].url}/_echo/a%2Fb//c?x=1&x=2`, options, 'grüezi');
    expect(json).toEqual({
      method: 'PATCH',
      url: '/_echo/a%2Fb//c?x=1&x=2',
      headers: [
        ['Host', 'shop.test'],
        ['X-Twice', '1'],
        ['x-twice', '2'],
        ['Transfer-Encoding', 'chunked'],
        ['Connection', 'close'],
      ],
      bodyBytes: 7,
      bodySha256: sha256(Buffer.from('grüezi')),
    });
    const bare = await exchange(`${shop[name].url}/_echo`, { method: 'OPTIONS' });
    expect(bare.json).toMatchObject({ method: 'OPTIONS', url: '/_echo', bodyBytes: 0 });
  });

  it('describes itself, and what it answers fits the description', async () => {
    const { headers, json: document } = await get<Document>(`${shop[name].url}/openapi.json`);
    expect(headers.etag).toBeDefined();
    expect(document.openapi).toBe('3.1.0');

    for (const path of [list, `${list}?ids=1,2`, `${list}/1`, '/health', `${list}?first=0`, `${list}/none`]) {
      const answer = await get(shop[name].url + path);
      const template = path.split('?')[0]!.replace(/^(\/\w+)\/.*/, '$1/{id}');
      expect(misfits(document, schemaOf(document, template, answer), answer.json)).toEqual([]);
    }
  });

  it('describes every operation that it has, by a name of its own, and no other', async () => {
    const { json: document } = await get<Document>(`${shop[name].url}/openapi.json`);
    const described = Object.entries(document.paths).flatMap(([path, members]) =>
      Object.entries(members)
        .filter(([member]) => member !== 'parameters')
        .map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
    );
    const { routes } = { users: createUsers, catalog: createCatalog, orders: createOrders, reviews: createReviews }[
      name
    ]();
    expect(described.map(({ route }) => route).toSorted()).toEqual(
      [...Object.keys(routes), 'GET /health', 'GET /openapi.json'].toSorted(),
    );
    const ids = new Set(described.map(({ operation }) => operation.operationId));
    expect(ids).not.toContain(undefined);
    expect(ids.size).toBe(described.length);
  });

  it('has examples in its description that fit it', async () => {
    const { json: document } = await get<Document>(`${shop[name].url}/openapi.json`);
    const examples = [...examplesIn(document)];
    expect(examples.length).toBeGreaterThan(10);
    for (const { schema, example } of examples) expect(misfits(document, schema, example)).toEqual([]);
  });
});

describe('the fault switch', () => {
  it('can be read, set and cleared', async () => {
    const fault = { latencyMs: 1, kind: 'garbage' as const, rate: 0.5, path: '/users' };
    await shop.users.setFault(fault);
    expect((await get(atUsers('/_fault'))).json).toEqual(fault);
    await shop.users.clearFault();
    expect((await get(atUsers('/_fault'))).json).toEqual({});
  });

  it.each([
    [{ kind: 'explode' }, '/kind'],
    [{ errorRate: 2 }, '/errorRate'],
    [{ latencyMs: '5' }, '/latencyMs'],
    [{ errorStatus: 200 }, '/errorStatus'],
    [{ times: 0 }, '/times'],
    [{ path: 'users' }, '/path'],
    [{ latency: 5 }, '/latency'],
  ])('refuses %j', async (fault, at) => {
    const answer = await send('PUT', atUsers('/_fault'), fault);
    expect(answer).toMatchObject({ status: 400, json: { errors: [{ at }] } });
    expect((await get(atUsers('/_fault'))).json).toEqual({});
  });

  it('takes its time', async () => {
    await shop.users.setFault({ latencyMs: 150 });
    const began = performance.now();
    expect((await get(atUsers())).status).toBe(200);
    expect(performance.now() - began).toBeGreaterThanOrEqual(145);
  });

  it('answers with an error, and says when to come back', async () => {
    await shop.users.setFault({ errorRate: 1, errorStatus: 429, retryAfter: 7 });
    expect(await get(atUsers())).toMatchObject({
      status: 429,
      headers: { 'retry-after': '7', 'content-type': 'application/problem+json' },
      json: { status: 429, title: 'Too Many Requests' },
    });
    await shop.users.setFault({ errorRate: 1 });
    expect((await get(atUsers())).status).toBe(503);
  });

  it('hits the same requests each time it is set, and about as many as it should', async () => {
    const first = await statusesOf(100, { errorRate: 0.3 });
    expect(await statusesOf(100, { errorRate: 0.3 })).toEqual(first);
    const errors = first.filter((status) => status === 503).length;
    expect(errors).toBeGreaterThan(15);
    expect(errors).toBeLessThan(45);
  });

  it('applies a kind to a share of requests', async () => {
    await shop.users.setFault({ kind: 'garbage', rate: 0.5 });
    const answers = await Promise.all(Array.from({ length: 60 }, () => get(atUsers())));
    const garbage = answers.filter((answer) => answer.json === undefined).length;
    expect(garbage).toBeGreaterThan(15);
    expect(garbage).toBeLessThan(45);
  });

  it('stops by itself after so many requests', async () => {
    await shop.users.setFault({ errorRate: 1, times: 2, path: '/users' });
    expect((await get(atUsers('/openapi.json'))).status).toBe(200);
    expect((await get(atUsers())).status).toBe(503);
    expect((await get(atUsers('/_fault'))).json).toMatchObject({ times: 1 });
    expect((await get(atUsers())).status).toBe(503);
    expect((await get(atUsers('/_fault'))).json).toEqual({});
    expect((await get(atUsers())).status).toBe(200);
  });

  it('hits only the path and the method it is told to', async () => {
    await shop.users.setFault({ errorRate: 1, path: '/users?ids=', method: 'get' });
    expect((await get(atUsers('/users?ids=1'))).status).toBe(503);
    expect((await get(atUsers('/users?first=1'))).status).toBe(200);
    expect((await exchange(atUsers('/users?ids=1'), { method: 'HEAD' })).status).toBe(200);
  });

  it('leaves health alone unless told otherwise, and the control plane always', async () => {
    await shop.users.setFault({ errorRate: 1 });
    expect((await get(atUsers('/health'))).status).toBe(200);
    await shop.users.setFault({ errorRate: 1, path: '/users', health: true });
    expect((await get(atUsers('/health'))).status).toBe(503);
    expect((await get(atUsers('/_fault'))).status).toBe(200);
    expect((await get(atUsers('/_counters'))).status).toBe(200);
  });

  it('hangs until the client has had enough', async () => {
    await shop.users.setFault({ kind: 'hang', times: 1 });
    const hung = hanging(atUsers('/users?first=1'));
    let answered = false;
    hung.on('response', () => (answered = true));
    await expect.poll(() => shop.users.counters()).toMatchObject({ active: 1 });
    expect((await get(atUsers())).status).toBe(200);
    expect(answered).toBe(false);
    hung.destroy();
    await expect.poll(() => shop.users.counters()).toMatchObject({ active: 0, aborted: 1 });
  });

  it('resets the connection instead of an answer', async () => {
    await shop.users.setFault({ kind: 'reset' });
    await expect(get(atUsers())).rejects.toMatchObject({ code: 'ECONNRESET' });
    await expect.poll(() => shop.users.counters()).toMatchObject({ active: 0, aborted: 0 });
  });

  it('promises all of an answer and hangs up after half', async () => {
    const full = await get(atUsers('/users?first=100'));
    await shop.users.setFault({ kind: 'half-body' });
    const { response, body, error } = await cutOff(atUsers('/users?first=100'));
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-length']).toBe(String(full.body.length));
    expect(response.headers.etag).toBe(full.headers.etag);
    expect(body.toString('latin1')).toBe(full.body.toString('latin1', 0, Math.floor(full.body.length / 2)));
    expect(error).toHaveProperty('code', 'ECONNRESET');
    expect(await shop.users.counters()).toHaveProperty('aborted', 0);
  });

  it('hangs up in the middle of a chunked answer', async () => {
    const full = await get(atUsers('/users?first=100'));
    await shop.users.setFault({ kind: 'half-chunked' });
    const { response, body, error } = await cutOff(atUsers('/users?first=100'));
    expect(response.headers).toMatchObject({ 'transfer-encoding': 'chunked' });
    expect(body.toString('latin1')).toBe(full.body.toString('latin1', 0, Math.floor(full.body.length / 2)));
    expect(error).toHaveProperty('code', 'ECONNRESET');
  });

  it('hangs up in the middle of a download, and within the first chunk of a feed', async () => {
    await shop.catalog.setFault({ kind: 'half-body' });
    const download = await cutOff(`${shop.catalog.url}/catalog/export?bytes=10000001`);
    expect(download.response.headers['content-length']).toBe('10000001');
    expect(download.body).toHaveLength(5_000_000);
    await shop.orders.setFault({ kind: 'half-body' });
    const feed = await cutOff(`${shop.orders.url}/orders/events`);
    expect(feed.body.toString()).toBe('retry:');
  });

  it('answers garbage with the best of manners', async () => {
    await shop.users.setFault({ kind: 'garbage' });
    const { status, headers, text } = await get(atUsers());
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    expect(parsed(text)).toBeUndefined();
  });

  it('drips a byte at a time', async () => {
    await shop.users.setFault({ kind: 'drip', health: true });
    const began = performance.now();
    expect((await get(atUsers('/health'))).json).toEqual({ status: 'ok' });
    expect(performance.now() - began).toBeGreaterThanOrEqual(('{"status":"ok"}'.length - 1) * 95);
  });

  it('spoils the answer to a write that was done all the same', async () => {
    await shop.reviews.setFault({ kind: 'half-body', method: 'POST' });
    const body = JSON.stringify({ productId: '14', authorId: '2', stars: 3, body: 'Written, but lost.' });
    const headers = { 'content-type': 'application/json' };
    await expect(exchange(`${shop.reviews.url}/reviews`, { method: 'POST', headers }, body)).rejects.toThrow('aborted');
    const newest = await get(`${shop.reviews.url}/reviews?product_ids=14&first=1`);
    expect(newest.json).toMatchObject({ items: [{ body: 'Written, but lost.' }] });
  });
});

describe('the counters', () => {
  it('count requests by route and remember how they were sent', async () => {
    await get(`${shop.users.url}/users?ids=1,2`);
    await get(`${shop.users.url}/users/1`);
    await get(`${shop.users.url}/users/99999`);
    await exchange(`${shop.users.url}/users/2`, { method: 'HEAD' });
    await get(`${shop.users.url}/nothing`);
    expect(await shop.users.counters()).toEqual({
      total: 5,
      active: 0,
      aborted: 0,
      maxConcurrent: 1,
      byRoute: { 'GET /users': 1, 'GET /users/{id}': 2, 'HEAD /users/{id}': 1, 'GET (no route)': 1 },
      urls: ['GET /users?ids=1,2', 'GET /users/1', 'GET /users/99999', 'HEAD /users/2', 'GET /nothing'],
    });
  });

  it('count health checks by route only, and the control plane not at all', async () => {
    await get(`${shop.users.url}/health`);
    await get(`${shop.users.url}/_fault`);
    expect(await shop.users.counters()).toMatchObject({ total: 0, urls: [], byRoute: { 'GET /health': 1 } });
  });

  it('count how many requests were under way at a time', async () => {
    await shop.users.setFault({ kind: 'hang' });
    const hung = Array.from({ length: 5 }, () => hanging(`${shop.users.url}/users`));
    await expect.poll(() => shop.users.counters()).toMatchObject({ active: 5, maxConcurrent: 5 });
    await shop.users.resetCounters();
    expect(await shop.users.counters()).toMatchObject({ total: 0, active: 5, maxConcurrent: 5 });
    for (const each of hung) each.destroy();
    await expect.poll(() => shop.users.counters()).toMatchObject({ active: 0, aborted: 0, maxConcurrent: 5 });
  });

  it('remember the last two hundred requests', async () => {
    for (let count = 1; count <= 205; count++) await get(`${shop.users.url}/users/${count}`);
    const { total, urls } = await shop.users.counters();
    expect(total).toBe(205);
    expect(urls).toHaveLength(200);
    expect(urls[0]).toBe('GET /users/6');
    expect(urls.at(-1)).toBe('GET /users/205');
  });
});

describe('a service as a process', () => {
  const main = fileURLToPath(new URL('../examples/shop/services/users/main.ts', import.meta.url));
  const start = (env: NodeJS.ProcessEnv) => {
    const child = spawn(process.execPath, [main], { env: { ...process.env, ...env }, stdio: 'pipe' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
    return { child, said, closed: once(child, 'close') };
  };

  it('says one line when it is up, and is gone at once when told to, whoever is still connected', async () => {
    const { child, said, closed } = start({ PORT: '0' });
    await once(child.stdout, 'data');
    const { msg, service, url } = JSON.parse(said.stdout) as Record<'msg' | 'service' | 'url', string>;
    expect({ msg, service }).toEqual({ msg: 'listening', service: 'users' });
    await send('PUT', `${url}/_fault`, { kind: 'hang', times: 1 });
    hanging(`${url}/users`);
    await expect.poll(async () => (await get<CountersSnapshot>(`${url}/_counters`)).json.active).toBe(1);
    child.kill('SIGTERM');
    expect(await closed).toEqual([0, null]);
    expect(said.stdout.trimEnd().split('\n')).toHaveLength(1);
    expect(said.stderr).toBe('');
  });

  it('goes when its parent goes, if asked to', async () => {
    const { child, closed } = start({ PORT: '0', EXIT_WITH_PARENT: '1' });
    await once(child.stdout, 'data');
    child.stdin.destroy();
    expect(await closed).toEqual([0, null]);
  });

  it('says so when its port makes no sense', async () => {
    const { said, closed } = start({ PORT: '70000' });
    expect(await closed).toEqual([1, null]);
    expect(said.stderr).toBe('users: PORT must be a number, 0 to 65535, and is "70000"\n');
  });

  it('says so when its port is taken, and whoever spawned it passes that on', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void squatter.close());
    await once(squatter, 'listening');
    const address = squatter.address();
    const port = typeof address === 'object' ? address!.port : 0;
    await expect(spawnService('users', port)).rejects.toThrow(`port ${port} of 127.0.0.1 is taken by another process`);
  });

  it('can be killed and started again on its port', async () => {
    const service = await spawnService('reviews', 0);
    onTestFinished(() => service.kill('SIGKILL'));
    await service.kill('SIGKILL');
    await expect(get(`${service.url}/health`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await service.restart();
    expect((await get(`${service.url}/health`)).status).toBe(200);
    await service.kill('SIGSTOP');
    await service.kill('SIGTERM');
    await expect(get(`${service.url}/health`)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});

/** A path of the users service. */
function atUsers(path = '/users/1'): string {
  return shop.users.url + path;
}

/** Sets a fault, and then sees what so many requests are answered. */
async function statusesOf(requests: number, fault: Fault): Promise<number[]> {
  await shop.users.setFault(fault);
  const seen: number[] = [];
  for (let count = 0; count < requests; count++) seen.push((await get(atUsers())).status);
  return seen;
}

type Answer<T> = { status: number; headers: IncomingHttpHeaders; body: Buffer; text: string; json: T };

/** What a list answers; the last two only when it pages. */
type List<T> = { items: T[]; nextCursor?: string | null; total?: number };
type Orders = { orders: Order[]; next_cursor?: string | null; total_count?: number };

type ProblemDocument = { title: string; status: number; errors: { at: string; detail: string }[] };

function get<T = unknown>(url: string): Promise<Answer<T>> {
  return exchange(url, {});
}

function send<T = unknown>(
  method: string,
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const options = { method, headers: { 'content-type': 'application/json', ...headers } };
  return exchange(url, options, JSON.stringify(body));
}

/** One request over node:http, on a connection of its own unless an agent is given. Nothing is added or followed. */
async function exchange<T = unknown>(
  url: string,
  options: RequestOptions,
  body?: string | Buffer | Readable,
): Promise<Answer<T>> {
  const outgoing = request(url, { agent: false, ...options });
  const answered = responseTo(outgoing);
  if (body instanceof Readable) body.pipe(outgoing);
  else outgoing.end(body);
  return whole(await answered);
}

async function responseTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return response;
}

async function whole<T>(response: IncomingMessage): Promise<Answer<T>> {
  const body = Buffer.concat(await response.toArray());
  const text = body.toString();
  const isJson = String(response.headers['content-type']).includes('json');
  const json = (isJson ? parsed(text) : undefined) as T;
  return { status: response.statusCode!, headers: response.headers, body, text, json };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The answer's head; its body waits to be read. */
async function open(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const response = await responseTo(request(url, { agent: false, headers }).end());
  onTestFinished(() => void response.destroy());
  return response;
}

/** What arrives of an answer that breaks off. */
async function cutOff(url: string): Promise<{ response: IncomingMessage; body: Buffer; error: unknown }> {
  const response = await open(url);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    return { response, body: Buffer.concat(chunks), error };
  }
  throw new Error('The answer came to its end.');
}

/** A request that is never answered; it has its own connection, and ends with the test at the latest. */
function hanging(url: string): ClientRequest {
  const outgoing = request(url, { agent: false }).end();
  outgoing.on('error', () => {});
  onTestFinished(() => void outgoing.destroy());
  return outgoing;
}

async function placedFor(customer_id: string): Promise<{ url: string; json: Order }> {
  const body = { customer: { customer_id }, lines: [{ product_ref: '1', qty: 1 }] };
  const { headers, json } = await send<Order>('POST', `${shop.orders.url}/orders`, body);
  return { url: shop.orders.url + headers.location, json };
}

type ServerSentEvent = { id: string; event: string; data: unknown };

/** Subscribes to server-sent events; returns when the service has begun to send. */
async function listen(path: string, headers: Record<string, string> = {}) {
  const response = await open(shop.orders.url + path, headers);
  const frames = framesOf(response);
  expect((await frames.next()).value).toBe('retry: 1000');
  return {
    response,
    async next(): Promise<ServerSentEvent> {
      const { value: frame = '' } = await frames.next();
      const [, event = '', id = '', data = ''] = /^event: (.*)\nid: (.*)\ndata: (.*)$/.exec(frame) ?? [];
      return { id, event, data: JSON.parse(data) };
    },
  };
}

async function* framesOf(response: IncomingMessage): AsyncGenerator<string, undefined> {
  let rest = '';
  for await (const text of response.setEncoding('utf8') as AsyncIterable<string>) {
    const frames = (rest + text).split('\n\n');
    rest = frames.pop()!;
    yield* frames;
  }
}

async function connect(path: string, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(webSocketUrl(path), protocols);
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

function webSocketUrl(path: string): string {
  return shop.orders.url.replace('http', 'ws') + path;
}

/** The next message. Ask before what makes it come. */
async function messageTo(socket: WebSocket): Promise<{ data: Buffer; isBinary: boolean }> {
  const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
  return { data, isBinary };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes; of the whole life of the process so far. */
async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** The part of OpenAPI that is looked at here. */
type Document = {
  openapi: string;
  paths: Record<string, Record<string, { operationId?: string; responses: Record<string, object> }>>;
};

/** The part of JSON Schema that the four documents use. */
type Schema = {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  items?: Schema;
  required?: string[];
  properties?: Record<string, Schema>;
};

/** What a `$ref` means, or the node itself where there is none. */
function resolved(document: Document, node: object): unknown {
  if (!('$ref' in node)) return node;
  const keys = String(node.$ref).slice(2).split('/');
  return keys.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], document);
}

function schemaOf(document: Document, template: string, { status, headers }: Answer<unknown>): Schema {
  const operation = document.paths[template]!['get']!;
  const response = resolved(document, operation.responses[status]!) as { content: Record<string, { schema: Schema }> };
  return response.content[headers['content-type']!.split(';')[0]!]!.schema;
}

/** Every example in a document, with the schema that it stands beside. */
function* examplesIn(node: unknown): Generator<{ schema: Schema; example: unknown }> {
  if (typeof node !== 'object' || node === null) return;
  if ('schema' in node && 'example' in node) yield { schema: node.schema as Schema, example: node.example };
  if ('examples' in node && Array.isArray(node.examples)) {
    for (const example of node.examples) yield { schema: node as Schema, example };
  }
  for (const member of Object.values(node)) yield* examplesIn(member);
}

/** Where a value does not fit a schema. */
function misfits(document: Document, reference: object, value: unknown, at = ''): string[] {
  const schema = resolved(document, reference) as Schema;
  const actual = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const types = [schema.type ?? actual].flat();
  const fits =
    types.some((type) => type === actual || (type === 'integer' && Number.isInteger(value))) &&
    (schema.enum?.includes(value) ?? true) &&
    (schema.const === undefined || schema.const === value) &&
    (typeof value !== 'string' || new RegExp(schema.pattern ?? '').test(value)) &&
    (typeof value !== 'string' || value.length <= (schema.maxLength ?? Infinity)) &&
    (typeof value !== 'number' || (value >= (schema.minimum ?? -Infinity) && value <= (schema.maximum ?? Infinity)));
  if (!fits) return [`${at} is ${JSON.stringify(value)}`];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => misfits(document, schema.items ?? {}, item, `${at}/${index}`));
  }
  if (typeof value !== 'object' || value === null) return [];
  const { required = [], properties } = schema;
  const missing = required.filter((key) => !(key in value)).map((key) => `${at}/${key} is missing`);
  const inside = Object.entries(value).flatMap(([key, member]) => {
    if (properties === undefined) return [];
    const property = properties[key];
    return property ? misfits(document, property, member, `${at}/${key}`) : [`${at}/${key} is not described`];
  });
  return [...missing, ...inside];
}
