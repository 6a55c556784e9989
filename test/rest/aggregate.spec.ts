import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { spawnShop, type Shop } from '../../examples/shop/services/spawn.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { begin, send } from '../support/raw-client.ts';
import { deadUrl, startServer, type TestServer } from '../support/upstream.ts';

type Answer = { readonly status?: number; readonly body?: unknown; readonly hang?: boolean; readonly type?: string };

const answers = new Map<string, Answer>();
const asked: string[] = [];
let upstream: TestServer;
let gateway: TestGateway;

const usual: Readonly<Record<string, unknown>> = {
  '/orders/7': {
    id: 7,
    user: { id: 'u/1' },
    coupon: null,
    lines: [
      { sku: 1, qty: 2 },
      { sku: '2', qty: 1 },
      { sku: 1, qty: 9 },
    ],
  },
  '/orders/8': { id: 8, user: { id: '..' }, lines: [] },
  '/users/u%2F1': { id: 'u/1', name: 'Ada', secret: 'x' },
  '/products?ids=1,2': {
    items: [
      { id: '1', name: 'A', price: { net: 5, tax: 1 } },
      { id: 2, name: 'B', price: { net: 7, tax: 2 } },
    ],
  },
  '/reviews?first=5': [
    { of: 1, stars: 5 },
    { of: 1, stars: 4 },
  ],
  '/reviews': [],
};

beforeAll(async () => {
  upstream = await startServer((request, response) => {
    const url = request.url!;
    asked.push(url);
    const {
      status = 200,
      body = usual[url] ?? { missing: url },
      hang = false,
      type = 'application/json',
    } = answers.get(url) ?? {};
    if (hang) return;
    response.writeHead(status, { 'content-type': type }).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  gateway = await startGateway(`
upstreams:
  service: { endpoints: ["${upstream.url}"], retry: { attempts: 0 }, breaker: { failures: 1000 } }
  other: { endpoints: ["${upstream.url}"], retry: { attempts: 0 }, breaker: { failures: 1000 } }
  dead: { endpoints: ["${await deadUrl()}"], retry: { attempts: 0 }, breaker: { failures: 1000 } }
routes:
  - name: page
    path: /page/:id
    aggregate:
      parts:
        order: { upstream: service, path: '/orders/{params.id}', into: '.', pick: [id, lines.count, lines.product, lines.reviews, lines.qty], rename: { lines.qty: count } }
        user: { upstream: other, path: '/users/{order.user.id}', pick: [name], into: who.contact, optional: true }
        products: { upstream: service, path: /products, query: { ids: '{order.lines.sku}' }, from: items, pick: [name, price.net], rename: { price.net: cents }, join: { to: order.lines, on: sku, as: product }, fallback: [] }
        reviews: { upstream: other, path: /reviews, query: { first: '{query.first}' }, join: { to: order.lines, on: sku, key: of, as: reviews, many: true } }
        coupon: { upstream: service, path: '/coupons/{order.coupon}' }
  - path: /plain
    aggregate: { parts: { a: { upstream: service, path: /a }, b: { upstream: other, path: /b } } }
  - path: /after
    aggregate: { parts: { a: { upstream: service, path: /a }, b: { upstream: other, path: '/b/{a.id}', optional: true } } }
  - path: /impatient
    aggregate: { parts: { a: { upstream: service, path: /a, timeout: 200ms, fallback: { stale: true } }, b: { upstream: other, path: /b } } }
  - path: /soon
    timeout: 200ms
    aggregate: { parts: { a: { upstream: service, path: /a }, b: { upstream: other, path: /b } } }
  - path: /half
    aggregate: { parts: { a: { upstream: service, path: /a }, b: { upstream: dead, path: /b, optional: true } } }
  - path: /dead
    aggregate: { parts: { a: { upstream: dead, path: /a }, b: { upstream: service, path: /b } } }
`);
});

afterEach(() => {
  answers.clear();
  asked.length = 0;
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const get = (path: string, method = 'GET') => send(`${gateway.url}${path}`, { method });

describe('An aggregate', () => {
  test('groups, picks, renames and joins what its parts give', async () => {
    const answer = await get('/page/7?first=5');
    expect([answer.status, answer.headers['x-weir-completed']]).toEqual([200, 'true']);
    expect(answer.headers['content-type']).toBe('application/json');
    const a = { name: 'A', price: { cents: 5 } };
    const reviews = [
      { of: 1, stars: 5 },
      { of: 1, stars: 4 },
    ];
    expect(answer.json()).toEqual({
      id: 7,
      lines: [
        { product: a, reviews, count: 2 },
        { product: { name: 'B', price: { cents: 7 } }, reviews: [], count: 1 },
        { product: a, reviews, count: 9 },
      ],
      who: { contact: { name: 'Ada' } },
      coupon: null,
    });
  });

  test('asks at once what waits for nothing, after it what needs it, and nothing for what is not there', async () => {
    await get('/page/7?first=5');
    expect(asked.slice(0, 2).toSorted()).toEqual(['/orders/7', '/reviews?first=5']);
    expect(asked.slice(2).toSorted()).toEqual(['/products?ids=1,2', '/users/u%2F1']);
    asked.length = 0;
    // No list to ask for, a key that no path can carry, and a parameter that the client left out.
    const empty = await get('/page/8');
    expect(asked.toSorted()).toEqual(['/orders/8', '/reviews']);
    expect(empty.json()).toEqual({ id: 8, lines: [], who: { contact: null }, coupon: null });
    expect(empty.headers['x-weir-completed']).toBe('true');
  });

  test('takes HEAD with the head of GET, and nothing that writes (RFC 9110 §9.3.2, §15.5.6)', async () => {
    const [one, other] = [await get('/plain'), await get('/plain', 'HEAD')];
    expect([other.status, other.text, other.headers['content-length']]).toEqual([
      200,
      '',
      one.headers['content-length'],
    ]);
    expect((await get('/plain', 'POST')).status).toBe(405);
  });

  test('is paid by its calls, like all else', async () => {
    const answer = await get('/plain');
    const line = await gateway.accessOf(String(answer.headers['x-request-id']));
    expect(line).toMatchObject({ route: '/plain', status: 200 });
    expect(JSON.stringify(line)).toContain('"service":1');
    expect(JSON.stringify(line)).toContain('"other":1');
  });

  test('ends with its client', async () => {
    answers.set('/a', { hang: true });
    const request = begin(`${gateway.url}/plain`);
    request.on('error', () => {});
    request.end();
    await vi.waitFor(() => expect(asked).toContain('/a'));
    request.destroy();
    await untilIdle(gateway);
  });
});

describe('A part that is optional', () => {
  test('is null where it fails, and the answer says that it is not complete', async () => {
    answers.set('/users/u%2F1', { status: 500 });
    const answer = await get('/page/7');
    expect([answer.status, answer.headers['x-weir-completed'], answer.headers['x-weir-missing']]).toEqual([
      200,
      'false',
      'user',
    ]);
    expect(answer.json().who).toEqual({ contact: null });
    const dead = await get('/half');
    expect([dead.status, dead.json().b, dead.headers['x-weir-completed']]).toEqual([200, null, 'false']);
  });

  test('may have something to stand in for it, within a time of its own', async () => {
    answers.set('/a', { hang: true });
    const answer = await get('/impatient');
    expect([answer.status, answer.headers['x-weir-missing']]).toEqual([200, 'a']);
    expect(answer.json()).toMatchObject({ a: { stale: true }, b: { missing: '/b' } });
    answers.set('/products?ids=1,2', { status: 500 });
    const joined = await get('/page/7');
    expect(joined.json().lines).toMatchObject([{ product: null }, { product: null }, { product: null }]);
    const line = await gateway.accessOf(String(answer.headers['x-request-id']));
    expect(line).toMatchObject({ degraded: 1 });
  });

  test.each([[404], [503], [301]])('is missing whatever the status: %i', async (status) => {
    answers.set('/users/u%2F1', { status });
    expect((await get('/page/7')).headers['x-weir-missing']).toBe('user');
  });
});

describe('A part that is required', () => {
  const partsOf = async (path: string) => {
    const answer = await get(path);
    const { code, parts } = answer.json();
    return { status: answer.status, code, parts };
  };

  test('and does not exist makes it 404, whatever else fails', async () => {
    answers.set('/a', { status: 404 }).set('/b', { status: 500 });
    expect(await partsOf('/plain')).toEqual({
      status: 404,
      code: 'PART_NOT_FOUND',
      parts: expect.arrayContaining([
        { part: 'a', code: 'UPSTREAM_ERROR', upstreamStatus: 404 },
        { part: 'b', code: 'UPSTREAM_ERROR', upstreamStatus: 500 },
      ]) as unknown,
    });
  });

  test('and refuses what the client wrote makes it 400', async () => {
    answers.set('/a', { status: 422 });
    expect(await partsOf('/plain')).toMatchObject({
      status: 400,
      code: 'BAD_REQUEST',
      parts: [{ part: 'a', upstreamStatus: 422 }],
    });
  });

  test.each([[500], [403], [429], [302]])('and answers %i makes it 502, with that status', async (upstreamStatus) => {
    answers.set('/b', { status: upstreamStatus });
    expect(await partsOf('/plain')).toEqual({
      status: 502,
      code: 'UPSTREAM_ERROR',
      parts: [{ part: 'b', code: 'UPSTREAM_ERROR', upstreamStatus }],
    });
  });

  test('and all others fail: 502 with all of them', async () => {
    answers.set('/a', { status: 500 }).set('/b', { body: 'no json' });
    const answer = await partsOf('/plain');
    expect([answer.status, answer.code]).toEqual([502, 'UPSTREAM_ERROR']);
    expect(answer.parts).toHaveLength(2);
    expect(answer.parts).toContainEqual({ part: 'b', code: 'UPSTREAM_BAD_RESPONSE' });
  });

  test('and cannot be reached is told as that', async () => {
    expect(await partsOf('/dead')).toMatchObject({ status: 502, code: 'UPSTREAM_UNREACHABLE', parts: [{ part: 'a' }] });
  });

  test('and takes too long makes it 504 in the time of the route', async () => {
    answers.set('/a', { hang: true });
    const answer = await partsOf('/soon');
    expect([answer.status, answer.code]).toEqual([504, 'DEADLINE_EXCEEDED']);
    expect(answer.parts).toContainEqual({ part: 'a', code: 'DEADLINE_EXCEEDED' });
    await untilIdle(gateway);
  });

  test('takes with it what needs it, which is not asked', async () => {
    answers.set('/a', { status: 500 });
    expect(await partsOf('/after')).toMatchObject({ status: 502, parts: [{ part: 'a', upstreamStatus: 500 }] });
    expect(asked).toEqual(['/a']);
  });

  test('lets nothing internal out', async () => {
    answers.set('/a', { status: 500, body: { stack: 'at db-7.internal' } });
    const answer = await get('/plain');
    expect(answer.text).not.toContain('internal');
    expect(answer.text).not.toContain('127.0.0.1');
  });
});

describe('What is wrong is refused before anything runs, with its place', () => {
  test.each([
    ['{ a: { upstream: s, path: "/{b.id}" } }', 'parts.a.path', 'neither of a part'],
    ['{ a: { upstream: s, path: "/{a.id}" } }', 'parts.a.path', 'neither of a part'],
    ['{ a: { upstream: s, path: "/{params.no}" } }', 'parts.a.path', 'the path does not have'],
    ['{ a: { upstream: s, path: "/{params.id" } }', 'parts.a.path', 'without a closing one'],
    ['{ a: { upstream: s, path: "/x?y=1" } }', 'parts.a.path', 'a query belongs to query'],
    ['{ a: { upstream: s, path: "/{b.x}" }, b: { upstream: s, path: "/{a.x}" } }', 'parts.a', 'waits for itself'],
    ['{ a: { upstream: s, path: /x, join: { to: c.x, on: y, as: z } } }', 'parts.a.join.to', 'no other part'],
    ['{ a: { upstream: t, path: /x } }', 'parts.a.upstream', 'which nothing defines'],
    ['{ claims: { upstream: s, path: /x } }', 'parts.claims', 'choose another name'],
    ['{ a: { upstream: s, path: /x, pick: [a.__proto__] } }', 'parts.a.pick[0]', 'no field'],
    ['{ a: { upstream: s, path: /x, into: __proto__.a } }', 'parts.a.into', ''],
    ['{}', 'parts', 'has none'],
  ])('%s', async (parts, place, what) => {
    const message = await failure(`path: /x/:id\n    aggregate: { parts: ${parts} }`);
    expect(message).toContain(`routes[0].aggregate.${place}`);
    expect(message).toContain(what);
    expect(message).toMatch(/test\.yaml:\d+:\d+/);
  });

  test.each([
    ['path: /x', 'routes[0].upstream: is missing'],
    ['path: /x\n    upstream: s\n    aggregate: { parts: { a: { upstream: s, path: /x } } }', 'routes[0].upstream'],
    [
      'path: /x\n    methods: [GET, POST]\n    aggregate: { parts: { a: { upstream: s, path: /x } } }',
      'routes[0].methods',
    ],
    ['path: /x\n    rewrite: /y\n    aggregate: { parts: { a: { upstream: s, path: /x } } }', 'routes[0].rewrite'],
  ])('%s', async (route, place) => {
    expect(await failure(route)).toContain(place);
  });

  const failure = (route: string) =>
    startGateway(`upstreams: { s: { endpoints: [http://127.0.0.1:1] } }\nroutes:\n  - ${route}\n`).then(
      () => 'it was accepted',
      (error: unknown) => (error as Error).message,
    );
});

describe('Over the shop', () => {
  let shop: Shop;

  beforeAll(async () => {
    shop = await spawnShop({ ports: 'free' });
  }, 60_000);

  afterAll(() => shop.stop());

  /** What is fast enough for people is not for a machine that runs all specifications at once. */
  const patient = (yaml: string) => yaml.replaceAll(/timeout: \d+m?s/g, 'timeout: 60s');

  const page = readFileSync(resolve(import.meta.dirname, '../../docs/aggregates.md'), 'utf8');
  const [, example = ''] = /```yaml\n([^]*?)```/.exec(page) ?? [];

  test('the example of docs/aggregates.md does what the page says', async () => {
    const yaml = patient(example)
      .replace('http://127.0.0.1:5002', shop.orders.url)
      .replace('http://127.0.0.1:5001', shop.users.url)
      .replace('http://127.0.0.1:5003', shop.catalog.url);
    const one = await startGateway(yaml);
    try {
      const answer = await send(`${one.url}/v1/orders/17/page`);
      const { lines, ...rest } = answer.json();
      expect(rest).toEqual({
        id: '17',
        state: expect.any(String) as unknown,
        customer: { contact: { name: expect.any(String) as unknown, city: expect.any(String) as unknown } },
      });
      for (const line of lines as unknown[]) {
        expect(line).toEqual({
          quantity: expect.any(Number) as unknown,
          product: { id: expect.any(String) as unknown, name: expect.any(String) as unknown },
        });
      }
      expect(answer.headers['x-weir-completed']).toBe('true');
      expect((await send(`${one.url}/v1/orders/0/page`)).json()).toMatchObject({ status: 404, code: 'PART_NOT_FOUND' });
    } finally {
      await one.stop();
    }
  });

  test('/v1/orders/:id/summary of the shop has the order, who placed it, its products and their reviews', async () => {
    const file = readFileSync(resolve(import.meta.dirname, '../../examples/shop/gateway.yaml'), 'utf8');
    const one = await startGateway(
      patient(file)
        .replace('./operations', resolve(import.meta.dirname, '../../examples/shop/operations'))
        .replace(/^modules:.*$/m, '')
        .replace(/^listen:.*$/m, '')
        .replace(/^admin:.*$/m, ''),
      {
        modules: 'resolvers',
        env: {
          USERS_URL: shop.users.url,
          ORDERS_URL: shop.orders.url,
          CATALOG_URL: shop.catalog.url,
          REVIEWS_URL: shop.reviews.url,
        },
      },
    );
    try {
      const answer = await send(`${one.url}/v1/orders/17/summary`);
      expect([answer.status, answer.headers['x-weir-completed']]).toEqual([200, 'true']);
      const { lines, customer, ...rest } = answer.json();
      expect(rest).toMatchObject({ id: '17', totals: { currency: 'EUR' } });
      expect(customer).toEqual({ id: expect.any(String) as unknown, name: expect.any(String) as unknown });
      expect((lines as object[])[0]).toMatchObject({
        product: { name: expect.any(String) as unknown, reviews: [{ stars: expect.any(Number) as unknown }] },
      });
      expect((await send(`${one.url}/v1/orders/17`)).json()).toHaveProperty('order_id', '17');
    } finally {
      await one.stop();
    }
  });
});
