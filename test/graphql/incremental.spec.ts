import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { untilIdle } from '../support/gateway.ts';
import { startModules, startShopGateway, type ShopGateway } from './shop-gateway.ts';
import { readParts } from './streams.ts';

let gateway: ShopGateway;

beforeAll(async () => {
  gateway = await startShopGateway({ upstreams: { orders: { retry: { attempts: 0 }, breaker: { failures: 1000 } } } });
});

afterEach(async () => {
  await gateway.clearFaults();
  await gateway.resetCounters();
});

afterAll(() => gateway.stop());

function send(
  query: string,
  accept?: string,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(gateway.graphqlUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(accept !== undefined && { accept }), ...headers },
    body: JSON.stringify({ query }),
    ...(signal && { signal }),
  });
}

const legacy = 'multipart/mixed; deferSpec=20220824, application/json';
const current = 'multipart/mixed; incrementalSpec=v0.2, application/json';
const deferred = '{ users(first: 2) { id ... @defer(label: "later") { orders(first: 1) { id } } } }';
const whole = '{ users(first: 2) { id orders(first: 1) { id } } }';

interface Part {
  readonly data?: unknown;
  readonly items?: unknown;
  readonly path?: readonly (string | number)[];
  readonly errors?: readonly { readonly path: unknown; readonly extensions: Record<string, unknown> }[];
}

describe('@defer and @stream on the wire format of 2022', () => {
  test('come in parts, the first at once, named by path and label, the last saying that it is', async () => {
    await gateway.shop.orders.setFault({ latencyMs: 400 });
    const response = await send(deferred, legacy);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('multipart/mixed; boundary="-"; deferSpec=20220824');
    const parts = readParts(response);
    const first = (await parts.next()).value as Record<string, unknown>;
    expect(first).toEqual({ data: { users: [{ id: '1' }, { id: '2' }] }, hasNext: true });
    // The service is still at work on what comes later.
    expect((await gateway.shop.orders.counters()).active).toBe(1);
    const rest = await Array.fromAsync(parts);
    const incremental = rest.flatMap((part) => part.incremental as Part[]);
    expect(rest.map((part) => part.hasNext)).toEqual([...rest.slice(1).map(() => true), false]);
    expect(incremental).toEqual([
      { data: { orders: [{ id: expect.any(String) as string }] }, path: ['users', 0], label: 'later' },
      { data: { orders: [{ id: expect.any(String) as string }] }, path: ['users', 1], label: 'later' },
    ]);
  });

  test('cost the upstream calls that the same fields cost without', async () => {
    await Array.fromAsync(readParts(await send(deferred, legacy)));
    expect(await gateway.calls()).toEqual({ users: 1, orders: 1, catalog: 0, reviews: 0 });
  });

  test('a streamed list comes item by item after the first ones', async () => {
    const [first, ...rest] = await Array.fromAsync(
      readParts(await send('{ users(first: 4) @stream(initialCount: 1) { id } }', legacy)),
    );
    expect(first).toEqual({ data: { users: [{ id: '1' }] }, hasNext: true });
    const incremental = rest.flatMap((part) => (part.incremental ?? []) as Part[]);
    expect(incremental.flatMap(({ items }) => items)).toEqual([{ id: '2' }, { id: '3' }, { id: '4' }]);
    expect(incremental[0]!.path).toEqual(['users', 1]);
  });

  test('is what multipart/mixed without a parameter means', async () => {
    const response = await send(deferred, 'application/json, multipart/mixed');
    expect(response.headers.get('content-type')).toBe('multipart/mixed; boundary="-"');
    const [first] = await Array.fromAsync(readParts(response));
    expect(first).toEqual({ data: { users: [{ id: '1' }, { id: '2' }] }, hasNext: true });
  });

  test('a failure later on stands in the part that it belongs to', async () => {
    await gateway.shop.orders.setFault({ kind: 'garbage' });
    const [first, ...rest] = await Array.fromAsync(readParts(await send(deferred, legacy)));
    expect(first).not.toHaveProperty('errors');
    for (const { data, path, errors } of rest.flatMap((part) => part.incremental as Part[])) {
      expect(data).toEqual({ orders: null });
      expect(errors).toMatchObject([
        { path: [...path!, 'orders'], extensions: { code: 'UPSTREAM_BAD_RESPONSE', upstream: 'orders' } },
      ]);
    }
  });

  test('so does the deadline', async () => {
    await gateway.shop.orders.setFault({ kind: 'hang' });
    const response = await send(deferred, legacy, { 'x-weir-deadline-ms': '300' });
    const [first, ...rest] = await Array.fromAsync(readParts(response));
    expect(first).toMatchObject({ data: { users: [{ id: '1' }, { id: '2' }] } });
    const failures = rest.flatMap((part) => (part.incremental as Part[]).flatMap(({ errors }) => errors));
    expect(failures).toMatchObject([
      { extensions: { code: 'DEADLINE_EXCEEDED', upstream: 'orders' } },
      { extensions: { code: 'DEADLINE_EXCEEDED', upstream: 'orders' } },
    ]);
  });

  test('optional fields that fail later leave their note in the part in which they are missing', async () => {
    await gateway.shop.reviews.setFault({ errorRate: 1 });
    const query = '{ product(id: 1) { name ... @defer { reviews(first: 1) { body } } } }';
    const [first, ...rest] = await Array.fromAsync(readParts(await send(query, legacy)));
    expect(first).not.toHaveProperty('extensions');
    expect(rest.at(-1)).toMatchObject({
      incremental: [{ data: { reviews: null }, path: ['product'] }],
      extensions: { degraded: [{ path: ['product', 'reviews'], upstream: 'reviews' }] },
    });
  });

  test('a client that leaves before the end takes the calls for it along', async () => {
    await gateway.shop.orders.setFault({ kind: 'hang' });
    const leaving = new AbortController();
    const response = await send(deferred, legacy, {}, leaving.signal);
    await readParts(response).next();
    expect((await gateway.shop.orders.counters()).active).toBe(1);
    leaving.abort();
    await expect.poll(async () => (await gateway.shop.orders.counters()).aborted).toBe(1);
  });

  test('a service that dies meanwhile is missing in its part, and the last part says that it is the last', async () => {
    await gateway.shop.orders.setFault({ kind: 'hang' });
    const parts = readParts(await send(deferred, legacy));
    await parts.next();
    await gateway.shop.orders.kill('SIGKILL');
    const rest = await Array.fromAsync(parts);
    const incremental = rest.flatMap((part) => (part.incremental ?? []) as Part[]);
    expect(incremental.map(({ data }) => data)).toEqual([{ orders: null }, { orders: null }]);
    expect(incremental.flatMap(({ errors }) => errors)).toMatchObject([
      { extensions: { upstream: 'orders' } },
      { extensions: { upstream: 'orders' } },
    ]);
    expect(rest.at(-1)).toMatchObject({ hasNext: false });
    await gateway.shop.orders.restart();
    await untilIdle(gateway);
  });

  test('nothing is left in flight after a deadline, at the services either', async () => {
    await gateway.shop.orders.setFault({ kind: 'hang' });
    for (const format of [legacy, current]) {
      const parts = await Array.fromAsync(readParts(await send(deferred, format, { 'x-weir-deadline-ms': '250' })));
      expect(parts.at(-1)).toMatchObject({ hasNext: false });
      expect(JSON.stringify(parts)).toContain('DEADLINE_EXCEEDED');
      await expect.poll(async () => (await gateway.shop.orders.counters()).active).toBe(0);
    }
    await untilIdle(gateway);
  });

  test('a gateway that stops lets what is under way come to its last part, over HTTP and WebSocket', async () => {
    await gateway.shop.orders.setFault({ latencyMs: 600 });
    const own = await startModules('resolvers', {
      upstreams: Object.fromEntries(
        (['users', 'orders', 'catalog', 'reviews'] as const).map((name) => [
          name,
          { endpoints: [gateway.shop[name].url] },
        ]),
      ),
    });
    const parts = readParts(
      await fetch(own.graphqlUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: legacy },
        body: JSON.stringify({ query: deferred }),
      }),
    );
    const client = createClient({
      url: own.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      lazy: false,
      onNonLazyError: () => {},
    });
    const closed = new Promise((resolve) => client.on('closed', resolve));
    const results = client.iterate({ query: deferred });
    expect([(await parts.next()).value, (await results.next()).value]).toMatchObject([
      { hasNext: true },
      { hasNext: true },
    ]);
    const stopped = own.stop();
    expect((await Array.fromAsync(parts)).at(-1)).toMatchObject({ hasNext: false });
    expect((await Array.fromAsync(results)).at(-1)).toMatchObject({ hasNext: false });
    expect(await closed).toMatchObject({ code: 1001 });
    await stopped;
    expect((await gateway.shop.orders.counters()).active).toBe(0);
  });

  test('is spoken on a WebSocket too, where no other can be asked for', async () => {
    const client = createClient({ url: gateway.graphqlUrl.replace('http', 'ws'), webSocketImpl: WebSocket });
    const results = await Array.fromAsync(client.iterate({ query: deferred }));
    expect(results[0]).toEqual({ data: { users: [{ id: '1' }, { id: '2' }] }, hasNext: true });
    expect(results.at(-1)).toMatchObject({ hasNext: false });
    await client.dispose();
  });
});

describe('Clients of the newer format, incrementalSpec=v0.2', () => {
  test('are answered in it: pending, incremental, completed', async () => {
    const response = await send(deferred, current);
    expect(response.headers.get('content-type')).toBe('multipart/mixed; boundary="-"; incrementalSpec=v0.2');
    const [first, ...rest] = await Array.fromAsync(readParts(response));
    expect(first).toMatchObject({
      data: { users: [{ id: '1' }, { id: '2' }] },
      pending: [
        { path: ['users', 0], label: 'later' },
        { path: ['users', 1], label: 'later' },
      ],
      hasNext: true,
    });
    const ids = (first as { pending: { id: string }[] }).pending.map(({ id }) => id);
    const incremental = rest.flatMap((part) => (part.incremental ?? []) as { id: string; data: unknown }[]);
    expect(incremental.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(
      rest
        .flatMap((part) => (part.completed ?? []) as { id: string }[])
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(ids.toSorted());
    expect(rest.at(-1)).toMatchObject({ hasNext: false });
  });

  test('find errors of what comes later where the format has them', async () => {
    await gateway.shop.orders.setFault({ kind: 'garbage' });
    const parts = await Array.fromAsync(readParts(await send(deferred, current)));
    const errors = parts.flatMap((part) => ((part.incremental ?? []) as Part[]).flatMap((entry) => entry.errors ?? []));
    expect(errors).toMatchObject([
      { path: ['users', 0, 'orders'], extensions: { code: 'UPSTREAM_BAD_RESPONSE' } },
      { path: ['users', 1, 'orders'], extensions: { code: 'UPSTREAM_BAD_RESPONSE' } },
    ]);
  });
});

describe('Clients that do not ask for parts', () => {
  test.each([
    undefined,
    '*/*',
    'application/json',
    'application/graphql-response+json',
    'application/json, text/event-stream',
  ])('by Accept: %s get one whole answer', async (accept) => {
    const expected: unknown = await (await send(whole)).json();
    const response = await send(deferred, accept);
    expect(response.headers.get('content-type')).toMatch(/json; charset=utf-8$/);
    expect(await response.json()).toEqual(expected);
  });

  test('get it in a batch too', async () => {
    const response = await fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: legacy },
      body: JSON.stringify([{ query: deferred }]),
    });
    expect(await response.json()).toEqual([await (await send(whole)).json()]);
  });
});

describe('A document without anything to defer', () => {
  test.each(['{ users(first: 1) { id } }', '{ users(first: 1) { id ... @defer(if: false) { name } } }'])(
    '%s is answered as JSON where that is acceptable',
    async (query) => {
      const response = await send(query, legacy);
      expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(await response.json()).toMatchObject({ data: { users: [{ id: '1' }] } });
    },
  );

  test('and in a single part where nothing else is', async () => {
    const response = await send('{ users(first: 1) { id } }', 'multipart/mixed');
    expect(await Array.fromAsync(readParts(response))).toEqual([{ data: { users: [{ id: '1' }] } }]);
  });

  test('a label that is no constant is refused', async () => {
    const { body } = await gateway.query('query($l: String) { users(first: 1) { ... @defer(label: $l) { id } } }', {
      accept: legacy,
    });
    expect(body.errors![0]!.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
  });
});
