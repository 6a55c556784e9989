import { createContext, runInContext } from 'node:vm';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { startLoneGateway, startModules, lone, startShopGateway, type ShopGateway } from './shop-gateway.ts';

const none = { users: 0, orders: 0, catalog: 0, reviews: 0 };
const plan = { 'x-weir-explain': 'plan' };
const run = { 'x-weir-explain': 'run' };

interface Field {
  readonly path: string;
  readonly calls: number;
  readonly actual?: { readonly calls: number; readonly cost: number; readonly ms: number };
}

interface Explained {
  readonly mode: string;
  readonly cost: { readonly estimated: number; readonly actual: number };
  readonly upstreams: Readonly<
    Record<string, { readonly estimated: number; readonly actual?: { readonly calls: number } }>
  >;
  readonly fields: readonly Field[];
}

function explained(body: { readonly extensions?: Readonly<Record<string, unknown>> }): Explained {
  return body.extensions!.explain as Explained;
}

const across = `query Across($first: Int! = 10) {
  users(first: $first) { name orders(first: 5) { items { quantity product { name reviews(first: 3) { author { name } } } } } }
}`;

describe('x-weir-explain over the shop', () => {
  let shop: ShopGateway;

  beforeAll(async () => {
    shop = await startShopGateway();
  });

  afterAll(() => shop.stop());

  beforeEach(() => shop.resetCounters());

  test('plan: no service is asked, and each field says what it may cost', async () => {
    const { status, body } = await shop.query(across, plan);
    expect(status).toBe(200);
    expect(await shop.calls()).toEqual(none);
    expect(body).toMatchObject({ data: null, extensions: { explain: { mode: 'plan', maxCost: 500 } } });
    const { cost, fields, upstreams } = explained(body);
    expect(cost).toEqual({ estimated: 449.6, actual: 0 });
    expect(upstreams).toEqual({
      users: { estimated: 149 },
      orders: { estimated: 1 },
      catalog: { estimated: 25 },
      reviews: { estimated: 74 },
    });
    expect(fields[1]).toEqual({
      path: 'users.orders',
      field: 'User.orders',
      upstream: 'orders',
      parents: 10,
      batch: 100,
      batches: 1,
      calls: 1,
      objects: 50,
      cost: 1.5,
      breaker: 'closed',
      cached: null,
    });
    expect(fields.map(({ path, calls }) => [path, calls])).toEqual([
      ['users', 1],
      ['users.orders', 1],
      ['users.orders.items', 0],
      ['users.orders.items.product', 25],
      ['users.orders.items.product.reviews', 74],
      ['users.orders.items.product.reviews.author', 148],
    ]);
  });

  test('plan: what it comes to depends on the variables', async () => {
    const { body } = await shop.query({ query: across, variables: { first: 1 } }, plan);
    expect(explained(body).cost.estimated).toBeLessThan(60);
  });

  test('plan: a mutation changes nothing, and a subscription opens nothing', async () => {
    const order =
      'mutation { placeOrder(input: { userId: 1, items: [{ productId: 1, quantity: 1 }] }) { id user { name } } }';
    expect(explained((await shop.query(order, plan)).body).cost.estimated).toBe(2.02);
    const events = await fetch(shop.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...plan },
      body: JSON.stringify({ query: 'subscription { orderEvents { order { user { name } } } }' }),
    });
    expect(await events.text()).toContain('"estimated":2.03');
    expect(await shop.calls()).toEqual(none);
  });

  test('run: the answer says what each field called, which is what the services counted', async () => {
    const { body } = await shop.query(across, run);
    const { cost, fields, upstreams } = explained(body);
    const counted = await shop.calls();
    expect(body.errors).toBeUndefined();
    expect((body.data as { users: unknown[] }).users).toHaveLength(10);
    expect(Object.fromEntries(Object.entries(upstreams).map(([name, { actual }]) => [name, actual!.calls]))).toEqual(
      counted,
    );
    expect(cost.actual).toBe(Object.values(counted).reduce((sum, calls) => sum + calls));
    for (const { calls, actual } of fields) {
      if (!actual) continue;
      expect(actual.calls).toBeGreaterThan(0);
      expect(actual.calls).toBeLessThanOrEqual(calls);
      expect(actual.ms).toBeGreaterThan(0);
    }
    expect(fields.filter(({ actual }) => actual).map(({ path }) => path)).toHaveLength(5);
    expect(body.extensions?.cost).toEqual(cost);
  });

  test('run: an answer in parts repeats with each part what it has come to by then', async () => {
    const response = await fetch(shop.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'multipart/mixed;incrementalSpec=v0.2', ...run },
      body: JSON.stringify({ query: '{ users(first: 3) { name ... @defer { orders(first: 1) { id } } } }' }),
    });
    const actual = Array.from(
      (await response.text()).matchAll(/"cost":\{"estimated":[\d.]+,"actual":(\d+)\}/g),
      ([, calls]) => calls,
    );
    expect(actual.at(0)).toBe('1');
    expect(actual.at(-1)).toBe('2');
  });

  test('without it an answer says nothing of its cost', async () => {
    expect((await shop.query('{ users(first: 1) { id } }')).body).not.toHaveProperty('extensions');
    expect((await shop.query('{ users(first: 1) { id } }', { 'x-weir-explain': 'off' })).body).not.toHaveProperty(
      'extensions',
    );
  });

  test('an operation that is not valid is refused as ever', async () => {
    expect((await shop.query('{ nothing }', plan)).body.errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    const { body } = await shop.query({ query: across, variables: { first: 'many' } }, plan);
    expect(body.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  test('another word is refused, rather than run what was only to be looked at', async () => {
    const { status, body } = await shop.query('mutation { placeOrder(input: { userId: 1, items: [] }) { id } }', {
      'x-weir-explain': 'plans',
    });
    expect([status, body.errors?.[0]?.extensions.code]).toEqual([400, 'BAD_REQUEST']);
    expect(await shop.calls()).toEqual(none);
  });

  test('is not passed on to services', async () => {
    await shop.query('{ users(first: 1) { id } }', run);
    expect(JSON.stringify(await shop.counters())).not.toContain('x-weir-explain');
  });

  test('by how much estimates are above what it came to is measured by type of operation', async () => {
    await shop.query('{ users(first: 1) { id } }');
    const metrics = await (await fetch(`${shop.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/^weir_cost_delta_count\{[^}]*graphql_operation_type="query"[^}]*\} [1-9]/m);
  });

  test('the entries of a batch, and operations on a WebSocket, are explained each', async () => {
    const response = await fetch(shop.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...plan },
      body: JSON.stringify([{ query: '{ users(first: 1) { id } }' }, { query: '{ products(first: 2) { id } }' }]),
    });
    const entries = (await response.json()) as { readonly extensions: { readonly explain: Explained } }[];
    expect(entries.map((entry) => explained(entry).cost.estimated)).toEqual([1.01, 1.02]);
    const client = createClient({
      url: shop.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: class extends WebSocket {
        constructor(url: string, protocols: string | string[]) {
          super(url, protocols, { headers: plan });
        }
      },
    });
    const { value } = (await client.iterate({ query: '{ users(first: 3) { id } }' }).next()) as { value: unknown };
    await client.dispose();
    expect(explained(value as { extensions: Record<string, unknown> }).cost.estimated).toBe(1.03);
    expect(await shop.calls()).toEqual(none);
  });
});

describe('An explanation tells what the gateway knows besides', () => {
  const consumers = [
    { id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] },
    { id: 'thrifty', tier: 'pro', keys: [hashOf('thrifty-key')] },
  ];
  const tiers = {
    pro: {
      limits: [
        { name: 'hour', algorithm: 'sliding-window', quota: 600, window: '1h' },
        { name: 'requests', algorithm: 'sliding-window', unit: 'requests', quota: 90, window: '1h' },
      ],
    },
  };
  const key = { 'x-api-key': 'acme-key' };
  const users = '{ users(first: 4) { id } }';
  let shop: ShopGateway;

  beforeAll(async () => {
    shop = await startShopGateway({ consumers, tiers, upstreams: { users: { cache: {} } } });
  });

  afterAll(() => shop.stop());

  interface Told {
    readonly budget: readonly { readonly name: string; readonly limit: number; readonly remaining: number }[];
    readonly fields: readonly { readonly upstream?: string; readonly cached?: number | null }[];
  }

  const told = async (query: string, headers: Record<string, string>): Promise<Told> =>
    explained((await shop.query(query, { ...key, ...headers })).body) as unknown as Told;

  test('what is left of the budget, which a plan leaves as it is', async () => {
    const thrifty = { 'x-api-key': 'thrifty-key' };
    const { budget } = await told(users, { ...plan, ...thrifty });
    expect(budget).toEqual([
      {
        name: 'hour',
        unit: 'cost',
        limit: 600,
        remaining: 600,
        resetSeconds: 0,
        description: '600 upstream calls in 3600s',
      },
      {
        name: 'requests',
        unit: 'requests',
        limit: 90,
        remaining: 90,
        resetSeconds: 0,
        description: '90 requests in 3600s',
      },
    ]);
    expect((await told(users, { ...plan, ...thrifty })).budget).toEqual(budget);
    const after = (await told('{ products(first: 1) { id } }', { ...run, ...thrifty })).budget;
    expect(after.map(({ name, remaining }) => [name, remaining])).toEqual([
      ['hour', 599],
      ['requests', 89],
    ]);
  });

  test('how likely the answer is in the cache: what became of the last reads of fields, and null where there were none', async () => {
    const cachedOf = async (query: string) => (await told(query, plan)).fields.map(({ cached }) => cached);
    expect(await cachedOf('{ users(first: 4) { orders { id } } }')).toEqual([null, null]);
    const ask = (first: number) => shop.query(`{ users(first: ${first}) { id } }`, key);
    await ask(5);
    expect(await cachedOf(users)).toEqual([0]);
    // The service says that it may be stored.
    for (let turn = 0; turn < 3; turn++) await ask(5);
    expect(await cachedOf(users)).toEqual([0.75]);
    const [field] = (await told('{ users(first: 5) { id } }', run)).fields;
    expect(field).toMatchObject({ upstream: 'users', cached: 0.8, actual: { calls: 0, cost: 0, refused: 0 } });
    // Of what is not stored nothing is known.
    await shop.query('{ products(first: 1) { id } }', key);
    expect(await cachedOf('{ products(first: 1) { id } }')).toEqual([null]);
  });

  test('that the breaker is open', async () => {
    shop.gateway.assembly.upstreams.get('orders')!.breaker.force('open');
    const { fields } = await told('{ users(first: 1) { orders { id } } }', plan);
    expect(fields.map((field) => (field as { breaker?: string }).breaker)).toEqual(['closed', 'open']);
    shop.gateway.assembly.upstreams.get('orders')!.breaker.force(undefined);
  });
});

describe('Who may ask what an operation costs', () => {
  const consumers = [
    { id: 'builder', keys: [hashOf('builder-key')] },
    { id: 'partner', roles: ['partner'], keys: [hashOf('partner-key')] },
    { id: 'other', keys: [hashOf('other-key')] },
  ];

  async function statusOf(explain: object, headers: Record<string, string>, development = false): Promise<number> {
    const server = await startLoneGateway({ consumers, graphql: { explain, development } });
    onTestFinished(() => server.stop());
    return (await server.query('{ users { id } }', { ...plan, ...headers })).status;
  }

  test.each([
    ['whoever calls from this machine', {}, {}, 200],
    ['but not past a proxy on this machine, for whomever it asks', {}, { 'x-forwarded-for': '192.0.2.1' }, 403],
    ['nor by another proxy', {}, { via: '1.1 proxy' }, 403],
    ['nobody where loopback is off', { loopback: false }, {}, 403],
    ['a consumer that is named', { loopback: false, consumers: ['builder'] }, { 'x-api-key': 'builder-key' }, 200],
    ['but no other', { loopback: false, consumers: ['builder'] }, { 'x-api-key': 'other-key' }, 403],
    ['who has a role', { loopback: false, roles: ['partner'] }, { 'x-api-key': 'partner-key' }, 200],
  ])('%s', async (_, explain, headers, status) => {
    expect(await statusOf(explain, headers)).toBe(status);
  });

  test('anybody in development', async () => {
    expect(await statusOf({ loopback: false }, {}, true)).toBe(200);
  });
});

describe('graphql.maxCost', () => {
  let shop: ShopGateway;

  beforeAll(async () => {
    shop = await startShopGateway({
      graphql: {
        maxCost: 100,
        reportCost: true,
        maxCostPerUpstream: { catalog: 20, reviews: { max: 1, skip: true } },
      },
    });
  });

  afterAll(() => shop.stop());

  beforeEach(() => shop.resetCounters());

  test('refuses what may cost more, before anything runs, with the fields that make the price', async () => {
    const { status, body } = await shop.query(
      '{ users(first: 100) { orders(first: 80) { user { orders(first: 1) { id } } } } }',
    );
    expect(status).toBe(400);
    expect(await shop.calls()).toEqual(none);
    const [error] = body.errors!;
    expect(body).not.toHaveProperty('data');
    expect(error!.message).toMatch(
      /^The operation may cost \d[\d.]* calls; at most 100 are allowed\. Most of it: users\.orders\.user\.orders \(User\.orders\) [\d.]+, /,
    );
    expect(error!.extensions).toMatchObject({
      code: 'COST_LIMIT_EXCEEDED',
      limit: 'maxCost',
      maximum: 100,
      fields: [{ path: 'users.orders.user.orders', field: 'User.orders' }, {}, {}],
    });
  });

  test('refuses what may cost one upstream more than maxCostPerUpstream, naming it', async () => {
    const { status, body } = await shop.query(
      '{ users(first: 10) { orders(first: 5) { items { product { name } } } } }',
    );
    expect(status).toBe(400);
    expect(body.errors![0]!.message).toContain("calls to 'catalog'; at most 20 are allowed.");
    expect(body.errors![0]!.extensions).toMatchObject({
      limit: 'maxCostPerUpstream',
      upstream: 'catalog',
      estimated: 25,
    });
    expect(await shop.calls()).toEqual(none);
  });

  test('leaves out just the fields of an upstream where that says skip', async () => {
    const { status, body } = await shop.query(
      '{ products(first: 100) { id reviews(first: 1) { stars } } users(first: 1) { id } }',
    );
    expect(status).toBe(200);
    const { products, users } = body.data as { products: { reviews: unknown }[]; users: unknown[] };
    expect(users).toHaveLength(1);
    expect(products.length).toBeGreaterThan(1);
    expect(products.every(({ reviews }) => reviews === null)).toBe(true);
    expect(body.errors![0]).toMatchObject({
      path: ['products', 0, 'reviews'],
      extensions: { code: 'COST_LIMIT_EXCEEDED', upstream: 'reviews' },
    });
    expect((await shop.calls()).reviews).toBe(0);
    // What is left out is not paid for.
    expect(body.extensions!.cost).toEqual({ estimated: 3.01, actual: 2 });
  });

  test('a price that is within all of them runs whole, and says what it cost', async () => {
    const { body } = await shop.query('{ products(first: 5) { id reviews(first: 1) { stars } } }');
    expect(body.errors).toBeUndefined();
    expect(body.extensions!.cost).toEqual({ estimated: 2.1, actual: 2 });
  });
});

describe('GraphiQL', () => {
  const browser = { accept: 'text/html' };

  test('lets its user choose what an operation tells of its price, and asks for the schema without', async () => {
    const server = await startModules('resolvers', lone({}));
    onTestFinished(() => server.stop());
    const html = await (await fetch(server.graphqlUrl, { headers: browser })).text();
    const markup = html.slice(html.indexOf('<div id="explain-line">'), html.indexOf('<div id="root">'));
    const [, script = ''] = /<script>([\s\S]*?)<\/script>/.exec(markup) ?? [];
    const select = { value: '' };
    const panel = new FakeElement();
    const document = {
      querySelector: (name: string) => (name === '#explain' ? select : panel),
      createElement: () => new FakeElement(),
    };
    const window = createContext({ fetch, Headers, document });
    runInContext(script, window);
    const ask = async (query: string): Promise<{ readonly data: unknown }> => {
      const answer = await (window.fetch as typeof fetch)(server.graphqlUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query }),
      });
      return (await answer.json()) as { readonly data: unknown };
    };
    expect(await ask('{ __typename }')).toEqual({ data: { __typename: 'Query' } });
    select.value = 'plan';
    expect(await ask('{ __typename }')).toMatchObject({ data: null, extensions: { explain: { mode: 'plan' } } });
    expect(await ask('{ __schema { queryType { name } } }')).toEqual({
      data: { __schema: { queryType: { name: 'Query' } } },
    });
    select.value = 'plan';
    panel.hidden = true;
    await ask('{ users(first: 3) { id orders { id } } }');
    await expect.poll(() => panel.hidden).toBe(false);
    const [price, table] = panel.children;
    expect(price!.text()).toMatch(/^plan: at most 2\.\d+ calls, of 500 that an operation may cost; nothing was run$/);
    expect(table!.children.map((row) => row.children.map((cell) => cell.textContent))).toEqual([
      ['field', 'upstream', 'parents', 'batches', 'calls', 'cost', 'cached', 'breaker'],
      ['users', 'users', '1', '', '1', '1.03', '?', 'closed'],
      ['  orders', 'orders', '3', '1', '1', expect.any(String), '?', 'closed'],
    ]);
    select.value = 'run';
    expect(await ask('{ __typename }')).toMatchObject({ data: {}, extensions: { explain: { mode: 'run' } } });
    await expect.poll(() => panel.children[0]!.text()).toMatch(/^run: .*; it came to 0$/);
  });
});

/** As much of an element as the page's script asks of one. */
class FakeElement {
  hidden = true;
  textContent = '';
  children: FakeElement[] = [];

  append(...children: FakeElement[]): void {
    this.children.push(...children);
  }

  replaceChildren(...children: FakeElement[]): void {
    this.children = children;
  }

  addEventListener(): void {}

  text(): string {
    return this.textContent + this.children.map((child) => child.text()).join('');
  }
}
