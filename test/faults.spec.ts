import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Fault } from '../examples/shop/services/spawn.ts';
import { startShopGateway, type ShopGateway } from './support/shop.ts';

/** What a client of either door sees of each fault of the shop's switch: a name for it, and how soon it is over. */
const faults: readonly {
  readonly fault: Fault;
  readonly what: string;
  readonly rest: readonly string[];
  readonly field: readonly string[];
}[] = [
  { what: 'answers 503', fault: { errorRate: 1, errorStatus: 503 }, rest: ['503'], field: ['UPSTREAM_ERROR'] },
  { what: 'answers 500', fault: { errorRate: 1, errorStatus: 500 }, rest: ['500'], field: ['UPSTREAM_ERROR'] },
  {
    what: 'is slower than its attempts may take',
    fault: { latencyMs: 2_000 },
    rest: ['UPSTREAM_TIMEOUT'],
    field: ['UPSTREAM_TIMEOUT'],
  },
  { what: 'never answers', fault: { kind: 'hang' }, rest: ['UPSTREAM_TIMEOUT'], field: ['UPSTREAM_TIMEOUT'] },
  {
    what: 'resets the connection',
    fault: { kind: 'reset' },
    rest: ['UPSTREAM_UNREACHABLE'],
    field: ['UPSTREAM_UNREACHABLE'],
  },
  {
    what: 'breaks off after half of a body with a length',
    fault: { kind: 'half-body' },
    rest: ['broken'],
    field: ['UPSTREAM_BAD_RESPONSE'],
  },
  {
    what: 'breaks off after half of a chunked body',
    fault: { kind: 'half-chunked' },
    rest: ['broken'],
    field: ['UPSTREAM_BAD_RESPONSE'],
  },
  { what: 'sends a byte now and then', fault: { kind: 'drip' }, rest: ['200', 'broken'], field: ['DEADLINE_EXCEEDED'] },
];

/** Any text; vitest types its matchers as any. */
const anyText = expect.any(String) as string;

let world: ShopGateway;

beforeAll(async () => {
  // A breaker that never opens, so that each fault is seen itself; the one that does is in the specs of the stack.
  world = await startShopGateway(
    'timeout: 1500ms, attemptTimeout: 300ms, retry: { attempts: 1, backoff: 5ms, budget: 10 }, breaker: { failures: 10000 }, health: { path: /health, every: 1h }',
  );
});
afterAll(() => world.stop());
afterEach(() => world.reset());

/** The outcome at the REST door, as the client has it: the code of a problem, a status, or `broken`. */
async function overRest(path: string): Promise<string> {
  const response = await fetch(world.gateway.url + path, { signal: AbortSignal.timeout(10_000) });
  const text = await response.text().catch(() => undefined);
  if (text === undefined) return 'broken';
  const problem =
    response.headers.get('content-type') === 'application/problem+json' ? (JSON.parse(text) as { code?: string }) : {};
  return problem.code ?? String(response.status);
}

describe('A service that is sick costs its own routes and fields, and nothing else', () => {
  test.each(faults)('when it $what, over REST', async ({ fault, rest }) => {
    await world.shop.orders.setFault(fault);
    expect(rest).toContain(await overRest('/v1/orders/7'));
    expect(await overRest('/v1/users/7')).toBe('200');
  });

  test.each(faults)('when it $what, over GraphQL', async ({ fault, field }) => {
    await world.shop.orders.setFault(fault);
    const { status, data, errors } = await world.query(
      '{ users(first: 2) { name orders(first: 1) { id } } products(first: 1) { name } }',
    );
    expect(status).toBe(200);
    expect(data).toEqual({
      users: [
        { name: anyText, orders: null },
        { name: anyText, orders: null },
      ],
      products: [{ name: anyText }],
    });
    expect(errors?.map(({ path }) => path)).toEqual([
      ['users', 0, 'orders'],
      ['users', 1, 'orders'],
    ]);
    for (const error of errors ?? []) {
      expect(field).toContain(error.extensions.code);
      expect(error.extensions.upstream).toBe('orders');
    }
  });

  test('when it answers garbage: REST passes it on as it is, a field names the upstream and nothing of its bytes', async () => {
    await world.shop.orders.setFault({ kind: 'garbage' });
    const response = await fetch(`${world.gateway.url}/v1/orders/7`);
    expect(response.status).toBe(200);
    const garbage = await response.text();
    expect(() => JSON.parse(garbage) as unknown).toThrow();

    const { data, errors } = await world.query('{ users(first: 1) { name orders(first: 1) { id } } }');
    expect(data?.users).toEqual([{ name: anyText, orders: null }]);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'UPSTREAM_BAD_RESPONSE', upstream: 'orders' });
    expect(JSON.stringify(errors)).not.toContain(garbage.slice(0, 20));
  });

  test('an optional field goes null with a note instead of an error', async () => {
    await world.shop.reviews.setFault({ kind: 'hang' });
    const { data, errors, extensions } = await world.query(
      '{ products(first: 2) { name reviews(first: 1) { body } } }',
    );
    expect(errors).toBeUndefined();
    expect(data?.products).toEqual([
      { name: anyText, reviews: null },
      { name: anyText, reviews: null },
    ]);
    expect(extensions?.degraded).toEqual([
      { path: ['products', 0, 'reviews'], code: 'UPSTREAM_TIMEOUT', upstream: 'reviews' },
      { path: ['products', 1, 'reviews'], code: 'UPSTREAM_TIMEOUT', upstream: 'reviews' },
    ]);
  });
});

describe('A service that is killed under load', () => {
  test('costs its own fields and routes, nothing else, and is used again when it is back', async () => {
    const phase = { running: true };
    const seen = { others: 0, othersFailed: 0, orders: 0, ordersFailed: 0 };
    const load = async (path: string, count: (ok: boolean) => void) => {
      while (phase.running) count((await overRest(path)) === '200');
    };
    const graphql = async () => {
      while (phase.running) {
        const { status, data } = await world.query(
          '{ users(first: 3) { name orders(first: 2) { id } } products(first: 2) { name reviews(first: 1) { body } } }',
        );
        seen.others++;
        const { users, products } = data as { users: unknown; products: { reviews: unknown }[] };
        if (status !== 200 || !users || !products.every(({ reviews }) => reviews)) seen.othersFailed++;
      }
    };
    const other = (ok: boolean) => {
      seen.others++;
      if (!ok) seen.othersFailed++;
    };
    const own = (ok: boolean) => {
      seen.orders++;
      if (!ok) seen.ordersFailed++;
    };
    const clients = [
      ...Array.from({ length: 3 }, graphql),
      load('/v1/users/5', other),
      load('/v1/products/5', other),
      load('/v1/reviews/5', other),
      load('/v1/orders/5', own),
    ];
    const until = async (reached: () => boolean) => {
      while (!reached()) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await until(() => seen.others > 50 && seen.orders > 10);
    expect(seen).toMatchObject({ othersFailed: 0, ordersFailed: 0 });

    await world.shop.orders.kill('SIGKILL');
    const { others } = seen;
    await until(() => seen.ordersFailed > 10 && seen.others > others + 50);
    expect(seen.othersFailed).toBe(0);

    await world.shop.orders.restart();
    let answered = 0;
    while ((await overRest('/v1/orders/5')) !== '200') expect(++answered).toBeLessThan(500);
    phase.running = false;
    await Promise.all(clients);
    expect(seen.othersFailed).toBe(0);
  });
});
