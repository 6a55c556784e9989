import { connect } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  startModules,
  startShopGateway,
  type GraphqlBody,
  type GraphqlServer,
  type ShopGateway,
} from './shop-gateway.ts';
import { untilIdle } from '../support/gateway.ts';
import { readEvents, type ServerSentEvent } from './streams.ts';

function subscribe(
  server: GraphqlServer,
  query: string,
  init: { accept?: string; signal?: AbortSignal; headers?: Record<string, string> } = {},
): Promise<Response> {
  return fetch(server.graphqlUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: init.accept ?? 'text/event-stream', ...init.headers },
    body: JSON.stringify({ query }),
    ...(init.signal && { signal: init.signal }),
  });
}

const resultOf = ({ data }: ServerSentEvent) => JSON.parse(data) as GraphqlBody;

describe('Order events as server-sent events', () => {
  let gateway: ShopGateway;

  beforeAll(async () => {
    gateway = await startShopGateway();
  });

  afterAll(() => gateway.stop());

  const feeds = async () => (await gateway.shop.orders.counters()).active;
  const order = (userId: number) =>
    gateway.query(
      `mutation { placeOrder(input: { userId: ${userId}, items: [{ productId: 1, quantity: 2 }] }) { id } }`,
    );

  test('arrive as they happen, each with what its fields need from other services', async () => {
    const leaving = new AbortController();
    const response = await subscribe(
      gateway,
      'subscription { orderEvents(userId: 17) { type order { id user { name } items { quantity product { name } } } } }',
      { signal: leaving.signal },
    );
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('cache-control')).toBe('no-store, no-transform');
    expect(response.headers.has('content-encoding')).toBe(false);
    const events = readEvents(response);
    const first = events.next();
    await expect.poll(feeds).toBe(1);
    const placed = (await order(17)).body.data as { placeOrder: { id: string } };
    await order(18);
    const again = (await order(17)).body.data as { placeOrder: { id: string } };
    const results = [(await first).value!, (await events.next()).value!];
    expect(results.map(({ event }) => event)).toEqual(['next', 'next']);
    expect(results.map(resultOf)).toMatchObject(
      [placed, again].map(({ placeOrder }) => ({
        data: {
          orderEvents: {
            type: 'PLACED',
            order: { id: placeOrder.id, user: { name: expect.any(String) as string }, items: [{ quantity: 2 }] },
          },
        },
      })),
    );
    leaving.abort();
    await expect.poll(feeds).toBe(0);
    const access = await gateway.accessOf(response.headers.get('x-request-id')!);
    expect(access).toMatchObject({
      operation: { type: 'subscription' },
      upstreams: { orders: 1, users: 2, catalog: 2 },
    });
  });

  test('are sent to those who accept anything, as curl does', async () => {
    const response = await subscribe(gateway, 'subscription { orderEvents { type } }', { accept: '*/*' });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    await response.body!.cancel();
    await expect.poll(feeds).toBe(0);
  });

  test('are 406 for those who take JSON only, and no feed is opened', async () => {
    await gateway.resetCounters();
    const response = await subscribe(gateway, 'subscription { orderEvents { type } }', { accept: 'application/json' });
    expect(response.status).toBe(406);
    expect(((await response.json()) as GraphqlBody).errors![0]!.extensions.code).toBe('NOT_ACCEPTABLE');
    expect((await gateway.calls()).orders).toBe(0);
  });

  test('a feed that breaks is said in a last result, and the stream completes', async () => {
    const response = await subscribe(gateway, 'subscription { orderEvents { type } }');
    const events = readEvents(response);
    const first = events.next();
    await expect.poll(feeds).toBe(1);
    await gateway.shop.orders.kill('SIGKILL');
    const failed = resultOf((await first).value!);
    expect(failed.errors).toMatchObject([{ path: ['orderEvents'], extensions: { upstream: 'orders' } }]);
    expect(await Array.fromAsync(events)).toEqual([{ event: 'complete', data: '' }]);
    await gateway.shop.orders.restart();
  });

  test('a client that is cut off, in whatever way, takes the feed along', async () => {
    const { hostname, port } = new URL(gateway.graphqlUrl);
    const body = JSON.stringify({ query: 'subscription { orderEvents { type } }' });
    for (const leave of ['destroy', 'resetAndDestroy'] as const) {
      const socket = connect(Number(port), hostname).on('error', () => {});
      socket.write(
        `POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      await expect.poll(feeds).toBe(1);
      socket[leave]();
      await expect.poll(feeds).toBe(0);
    }
    await untilIdle(gateway);
  });

  test('the deadline that a client gave is said in a last result, and the feed is closed', async () => {
    const response = await subscribe(gateway, 'subscription { orderEvents { type } }', {
      headers: { 'x-weir-deadline-ms': '300' },
    });
    const events = await Array.fromAsync(readEvents(response));
    expect(events.map(({ event }) => event)).toEqual(['next', 'complete']);
    expect(resultOf(events[0]!).errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
    await expect.poll(feeds).toBe(0);
    await untilIdle(gateway);
  });

  test('a service that cannot be reached is said in a result, and the stream completes', async () => {
    await gateway.shop.orders.kill('SIGKILL');
    const events = await Array.fromAsync(readEvents(await subscribe(gateway, 'subscription { orderEvents { type } }')));
    expect(events.map(({ event }) => event)).toEqual(['next', 'complete']);
    expect(resultOf(events[0]!).errors).toMatchObject([{ extensions: { upstream: 'orders' } }]);
    await gateway.shop.orders.restart();
  });

  test('when the gateway stops, streams complete, and no feed stays open at the service', async () => {
    const open = await Promise.all(
      Array.from({ length: 5 }, () => subscribe(gateway, 'subscription { orderEvents { type } }')),
    );
    const streams = open.map((response) => Array.fromAsync(readEvents(response)));
    await expect.poll(feeds).toBe(5);
    await gateway.gateway.stop();
    expect(await Promise.all(streams)).toEqual(open.map(() => [{ event: 'complete', data: '' }]));
    await expect.poll(feeds).toBe(0);
  });
});

describe('Server-sent events (GraphQL over SSE, distinct connections)', () => {
  let server: GraphqlServer;

  beforeEach(async () => {
    server = await startModules('test/fixtures/graphql', { graphql: { subscriptions: { maxOpen: 2 } } });
  });

  afterEach(() => server.stop());

  const openSilent = async () =>
    ((await server.query('{ openSilent }')).body.data as { openSilent: number }).openSilent;

  test('one event for each result, then complete', async () => {
    const events = await Array.fromAsync(readEvents(await subscribe(server, 'subscription { count }')));
    expect(events).toEqual([
      { event: 'next', data: '{"data":{"count":1}}' },
      { event: 'next', data: '{"data":{"count":2}}' },
      { event: 'next', data: '{"data":{"count":3}}' },
      { event: 'complete', data: '' },
    ]);
  });

  test('as an EventSource asks for them, by GET', async () => {
    const query = new URLSearchParams({ query: 'subscription { count }' }).toString();
    const response = await fetch(`${server.graphqlUrl}?${query}`, { headers: { accept: 'text/event-stream' } });
    expect((await Array.fromAsync(readEvents(response))).map(({ event }) => event)).toEqual([
      'next',
      'next',
      'next',
      'complete',
    ]);
  });

  test('a query is answered in one event by those who take nothing else', async () => {
    const events = await Array.fromAsync(readEvents(await subscribe(server, '{ prompt }')));
    expect(events).toEqual([
      { event: 'next', data: '{"data":{"prompt":"at once"}}' },
      { event: 'complete', data: '' },
    ]);
  });

  test('errors of the document come in the stream, where an EventSource can read them', async () => {
    const response = await subscribe(server, 'subscription { nothing }');
    expect(response.status).toBe(200);
    const [failed, complete] = await Array.fromAsync(readEvents(response));
    expect(resultOf(failed!).errors![0]!.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    expect(complete!.event).toBe('complete');
  });

  test("an error in a team's own stream ends it with INTERNAL", async () => {
    const events = await Array.fromAsync(readEvents(await subscribe(server, 'subscription { breaking }')));
    expect(events.map(({ event }) => event)).toEqual(['next', 'next', 'complete']);
    expect(resultOf(events[0]!)).toEqual({ data: { breaking: 1 } });
    expect(resultOf(events[1]!).errors).toMatchObject([
      { message: 'The gateway failed', path: ['breaking'], extensions: { code: 'INTERNAL' } },
    ]);
    expect(JSON.stringify(events)).not.toContain('10.0.0.7');
  });

  test('a client that leaves while nothing happens ends what was opened for it', async () => {
    const leaving = new AbortController();
    const events = readEvents(await subscribe(server, 'subscription { silent }', { signal: leaving.signal }));
    expect(resultOf((await events.next()).value!)).toEqual({ data: { silent: 1 } });
    expect(await openSilent()).toBe(1);
    leaving.abort();
    await expect.poll(openSilent).toBe(0);
  });

  test("a client's deadline ends one in the middle of its silence, and one that nobody reads", async () => {
    const headers = { 'x-weir-deadline-ms': '250' };
    const silent = await subscribe(server, 'subscription { silent }', { headers });
    const flood = await subscribe(server, 'subscription { flood }', { headers });
    const events = await Array.fromAsync(readEvents(silent));
    expect(events.map(({ event }) => event)).toEqual(['next', 'next', 'complete']);
    expect(resultOf(events[1]!).errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
    await expect.poll(openSilent).toBe(0);
    // What was under way is still read, then the same.
    const last = (await Array.fromAsync(readEvents(flood))).slice(-2);
    expect(resultOf(last[0]!).errors).toMatchObject([{ extensions: { code: 'DEADLINE_EXCEEDED' } }]);
    expect(last[1]!.event).toBe('complete');
  });

  test('one that never opens is as one that is silent: its client can leave it, and the gateway stop', async () => {
    const leaving = new AbortController();
    await subscribe(server, 'subscription { unopened }', { signal: leaving.signal });
    leaving.abort();
    const staying = await subscribe(server, 'subscription { unopened }');
    const events = Array.fromAsync(readEvents(staying));
    await server.gateway.stop();
    expect(await events).toEqual([{ event: 'complete', data: '' }]);
  });

  test('more than maxOpen are refused, until one ends', async () => {
    const leaving = new AbortController();
    const open = [
      await subscribe(server, 'subscription { silent }', { signal: leaving.signal }),
      await subscribe(server, 'subscription { silent }'),
    ];
    const refused = await subscribe(server, 'subscription { silent }', {
      accept: 'text/event-stream, application/json',
    });
    expect(refused.status).toBe(503);
    expect(((await refused.json()) as GraphqlBody).errors![0]!.extensions.code).toBe('OVERLOADED');
    leaving.abort();
    await expect.poll(async () => (await subscribe(server, 'subscription { count }')).status).toBe(200);
    await open[1]!.body!.cancel();
  });

  test('when the gateway stops, streams complete instead of breaking off', async () => {
    const stopping = await startModules('test/fixtures/graphql', {});
    const events = readEvents(await subscribe(stopping, 'subscription { silent }'));
    await events.next();
    const rest = Array.fromAsync(events);
    await stopping.stop();
    expect(await rest).toEqual([{ event: 'complete', data: '' }]);
  });

  test('a client that does not read is not produced for', async () => {
    const { hostname, port } = new URL(server.graphqlUrl);
    const socket = connect(Number(port), hostname);
    const body = JSON.stringify({ query: 'subscription { flood }' });
    socket.write(
      `POST /graphql HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await once(socket, 'readable');
    const produced = async () =>
      ((await server.query('{ producedFlood }')).body.data as { producedFlood: number }).producedFlood;
    let last = -1;
    // As soon as all buffers on the way are full, nothing more is asked for.
    await expect
      .poll(
        async () => {
          const now = await produced();
          const still = now === last;
          last = now;
          return still;
        },
        { interval: 250, timeout: 15_000 },
      )
      .toBe(true);
    expect(last * 65_536).toBeLessThan(32 * 1024 ** 2);
    socket.destroy();
  });
});
