import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startModules, startShopGateway, type GraphqlServer, type ShopGateway } from './shop-gateway.ts';
import { readParts } from './streams.ts';

describe('A service that fails costs its own fields', () => {
  let gateway: ShopGateway;

  beforeAll(async () => {
    // Breakers that never open: each test is about one failure, not about those before it.
    const breaker = { failures: 1000 };
    const retry = { attempts: 0 };
    gateway = await startShopGateway({
      upstreams: {
        orders: { breaker, retry, attemptTimeout: '300ms' },
        reviews: { breaker, retry, attemptTimeout: '300ms' },
        users: { breaker, retry },
        catalog: { breaker, retry },
      },
    });
  });

  afterEach(() => gateway.clearFaults());

  afterAll(() => gateway.stop());

  const query = '{ users(first: 2) { name orders(first: 1) { id } } }';

  test.each([
    [{ errorRate: 1, errorStatus: 500 }, 'UPSTREAM_ERROR'],
    [{ kind: 'hang' }, 'UPSTREAM_TIMEOUT'],
    [{ kind: 'reset' }, 'UPSTREAM_UNREACHABLE'],
    [{ kind: 'half-body' }, 'UPSTREAM_BAD_RESPONSE'],
    [{ kind: 'half-chunked' }, 'UPSTREAM_BAD_RESPONSE'],
    [{ kind: 'garbage' }, 'UPSTREAM_BAD_RESPONSE'],
  ] as const)('%j: null there, with path, code and upstream', async (fault, code) => {
    await gateway.shop.orders.setFault(fault);
    const { status, body, headers } = await gateway.query(query);
    expect(status).toBe(200);
    expect(body.data).toEqual({
      users: [
        { name: expect.any(String) as string, orders: null },
        { name: expect.any(String) as string, orders: null },
      ],
    });
    const requestId = headers.get('x-request-id');
    expect(body.errors).toMatchObject([
      {
        path: ['users', 0, 'orders'],
        locations: [{ line: 1, column: 26 }],
        extensions: { code, upstream: 'orders', requestId },
      },
      { path: ['users', 1, 'orders'], extensions: { code, upstream: 'orders', requestId } },
    ]);
    expect(body.extensions).toBeUndefined();
    expect(await gateway.accessOf(requestId!)).toMatchObject({
      status: 200,
      error: code,
      operation: { type: 'query' },
    });
  });

  test('fields marked optional go null with a note instead of an error', async () => {
    await gateway.shop.reviews.setFault({ kind: 'garbage' });
    const { status, body, headers } = await gateway.query('{ products(first: 2) { name reviews(first: 1) { body } } }');
    expect(status).toBe(200);
    expect(body.errors).toBeUndefined();
    expect(body.data).toMatchObject({ products: [{ reviews: null }, { reviews: null }] });
    expect(body.extensions).toEqual({
      degraded: [
        { path: ['products', 0, 'reviews'], code: 'UPSTREAM_BAD_RESPONSE', upstream: 'reviews' },
        { path: ['products', 1, 'reviews'], code: 'UPSTREAM_BAD_RESPONSE', upstream: 'reviews' },
      ],
    });
    expect(await gateway.accessOf(headers.get('x-request-id')!)).toMatchObject({ degraded: 2 });
  });

  test('the entries of a batch answer for themselves', async () => {
    await gateway.shop.reviews.setFault({ kind: 'reset' });
    await gateway.shop.orders.setFault({ kind: 'reset' });
    const response = await fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([
        { query: '{ user(id: 1) { name } }' },
        { query: '{ product(id: 1) { reviews(first: 1) { body } } }' },
        { query: '{ user(id: 1) { orders(first: 1) { id } } }' },
      ]),
    });
    const [well, degraded, failed] = (await response.json()) as Record<string, unknown>[];
    expect(well).toEqual({ data: { user: { name: expect.any(String) as string } } });
    expect(degraded).toMatchObject({
      data: { product: { reviews: null } },
      extensions: { degraded: [{ upstream: 'reviews' }] },
    });
    expect(degraded).not.toHaveProperty('errors');
    expect(failed).toMatchObject({ data: { user: { orders: null } }, errors: [{ path: ['user', 'orders'] }] });
    expect(failed).not.toHaveProperty('extensions');
    const access = await gateway.accessOf(response.headers.get('x-request-id')!);
    expect(access).toMatchObject({ status: 200, error: 'UPSTREAM_UNREACHABLE' });
    expect(access.upstreams).toMatchObject({ users: 1, catalog: 1, reviews: 1, orders: 1 });
  });

  test('nothing of the service reaches the client: no address, no path, none of its words', async () => {
    for (const fault of [{ kind: 'garbage' }, { errorRate: 1 }, { kind: 'reset' }] as const) {
      await gateway.shop.orders.setFault(fault);
      const text = JSON.stringify((await gateway.query(query)).body);
      expect(text).not.toContain(new URL(gateway.shop.orders.url).port);
      expect(text).not.toMatch(/127\.0\.0\.1|user_ids|ECONN|SyntaxError|at .*\.ts/);
    }
  });

  test('a client that leaves takes the calls made for it along', async () => {
    await gateway.resetCounters();
    await gateway.shop.orders.setFault({ kind: 'hang' });
    const leaving = new AbortController();
    const request = fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
      signal: leaving.signal,
    });
    await expect.poll(async () => (await gateway.shop.orders.counters()).active).toBe(1);
    leaving.abort();
    await expect(request).rejects.toThrow('aborted');
    await expect.poll(async () => (await gateway.shop.orders.counters()).aborted).toBe(1);
  });

  test('at the deadline of the client what is resolved returns, and the rest says which upstream and how long', async () => {
    await gateway.shop.orders.setFault({ kind: 'hang' });
    const { status, body } = await gateway.query(query, { 'x-weir-deadline-ms': '150' });
    expect(status).toBe(200);
    expect(body.data).toMatchObject({ users: [{ orders: null }, { orders: null }] });
    for (const error of body.errors!) {
      expect(error.extensions).toMatchObject({ code: 'DEADLINE_EXCEEDED', upstream: 'orders' });
      expect(error.extensions.elapsedMs).toBeGreaterThanOrEqual(149);
      expect(error.message).toContain(`${String(error.extensions.elapsedMs)} ms`);
    }
  });
});

describe('The timeout of an operation', () => {
  let gateway: ShopGateway;

  beforeAll(async () => {
    gateway = await startShopGateway({ graphql: { timeout: '250ms' } });
  });

  afterAll(() => gateway.stop());

  test('holds where the client sets none, and a client can only shorten it', async () => {
    await gateway.shop.reviews.setFault({ kind: 'hang' });
    await gateway.shop.orders.setFault({ kind: 'hang' });
    const { body } = await gateway.query('{ users(first: 1) { name orders(first: 1) { id } } }', {
      'x-weir-deadline-ms': '60000',
    });
    expect(body.data).toMatchObject({ users: [{ name: expect.any(String) as string, orders: null }] });
    expect(body.errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED', upstream: 'orders' } }]);
  });

  test('is one for all levels: a level gets the time that is left', async () => {
    await gateway.clearFaults();
    await gateway.shop.users.setFault({ latencyMs: 180, path: '/users?first' });
    await gateway.shop.orders.setFault({ latencyMs: 180 });
    const { body } = await gateway.query('{ users(first: 1) { name orders(first: 1) { id } } }');
    expect(body.data).toMatchObject({ users: [{ name: expect.any(String) as string, orders: null }] });
    expect(body.errors).toMatchObject([{ path: ['users', 0, 'orders'], extensions: { code: 'DEADLINE_EXCEEDED' } }]);
  });
});

describe("Errors of a team's own code", () => {
  let server: GraphqlServer;

  beforeAll(async () => {
    server = await startModules('test/fixtures/graphql', { graphql: { timeout: '200ms' } });
  });

  afterAll(() => server.stop());

  const logOf = (requestId: string) =>
    server.log.filter((line) => line.requestId === requestId && line.level === 'error');

  test.each([
    ['an error', 'leaky', 'hunter2'],
    ['a GraphQLError without a code', 'bare', 'users_pkey'],
    ['a value that does not fit its type', 'misfit', 'hunter2'],
  ])('%s is INTERNAL to the client, and whole in the log under the request id', async (_, field, secret) => {
    const { status, body, headers } = await server.query(`{ prompt ${field} }`);
    const requestId = headers.get('x-request-id')!;
    expect(status).toBe(200);
    expect(body).toEqual({
      data: { prompt: 'at once', [field]: null },
      errors: [
        {
          message: 'The gateway failed',
          locations: [{ line: 1, column: 10 }],
          path: [field],
          extensions: { code: 'INTERNAL', requestId },
        },
      ],
    });
    expect(logOf(requestId)).toHaveLength(1);
    expect(JSON.stringify(logOf(requestId))).toContain(secret);
  });

  test('null where there must be none is INTERNAL too, and nulls the nearest field that may be', async () => {
    const { body } = await server.query('{ missing { required } }');
    expect(body.data).toEqual({ missing: null });
    expect(body.errors).toMatchObject([{ path: ['missing', 'required'], extensions: { code: 'INTERNAL' } }]);
  });

  test('a GraphQLError with a code is for the client: message and extensions are kept, a status is not its to choose', async () => {
    const { status, body, headers } = await server.query('{ forClients }');
    expect(status).toBe(200);
    expect(body.errors![0]).toMatchObject({ message: 'Not today.', path: ['forClients'] });
    expect(body.errors![0]!.extensions).toEqual({
      code: 'NOT_TODAY',
      openAt: '09:00',
      requestId: headers.get('x-request-id'),
    });
    expect(logOf(headers.get('x-request-id')!)).toEqual([]);
  });

  test("the value of an argument that only execution finds wrong is the client's fault", async () => {
    const { body } = await server.query({ query: 'query($v: Int = 1) { double(value: $v) }', variables: { v: null } });
    expect(body.data).toEqual({ double: null });
    expect(body.errors).toMatchObject([{ path: ['double'], extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  test('one error behind many fields is logged once for each request', async () => {
    const fields = Array.from({ length: 20 }, (_, index) => `f${index}: shared`).join(' ');
    for (let request = 0; request < 2; request++) {
      const { headers, body } = await server.query(`{ ${fields} }`);
      expect(body.errors).toHaveLength(20);
      expect(logOf(headers.get('x-request-id')!)).toHaveLength(1);
    }
  });

  test("what hangs on something other than an upstream ends with the operation's time", async () => {
    const { body } = await server.query('{ prompt hanging }');
    expect(body.data).toEqual({ prompt: 'at once', hanging: null });
    expect(body.errors).toMatchObject([{ path: ['hanging'], extensions: { code: 'DEADLINE_EXCEEDED' } }]);
  });

  test('also in a part that comes later, and the answer is complete', async () => {
    const response = await fetch(server.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'multipart/mixed; deferSpec=20220824' },
      body: JSON.stringify({ query: '{ prompt ... @defer { hanging } }' }),
    });
    expect(await Array.fromAsync(readParts(response))).toMatchObject([
      { data: { prompt: 'at once' }, hasNext: true },
      {
        incremental: [{ data: { hanging: null }, errors: [{ extensions: { code: 'DEADLINE_EXCEEDED' } }] }],
        hasNext: false,
      },
    ]);
  });
});
