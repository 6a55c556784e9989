import { once } from 'node:events';
import { createClient, type Client, type ClientOptions } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { untilIdle } from '../support/gateway.ts';
import {
  startModules,
  startShopGateway,
  type GraphqlErrorBody,
  type GraphqlServer,
  type ShopGateway,
} from './shop-gateway.ts';

const urlOf = ({ graphqlUrl }: GraphqlServer) => graphqlUrl.replace('http', 'ws');

function clientOf(server: GraphqlServer, options: Partial<ClientOptions> = {}): Client {
  return createClient({ url: urlOf(server), webSocketImpl: WebSocket, retryAttempts: 0, ...options });
}

/** Messages of the protocol, sent and read as they are. */
class Conversation {
  readonly socket: WebSocket;
  readonly received: Record<string, unknown>[] = [];
  readonly closed: Promise<number>;

  constructor(server: GraphqlServer, protocol: string | string[] = 'graphql-transport-ws') {
    this.socket = new WebSocket(urlOf(server), protocol);
    this.socket.on('message', (data) =>
      this.received.push(JSON.parse((data as Buffer).toString()) as Record<string, unknown>),
    );
    this.closed = new Promise((resolve) => {
      this.socket.once('close', resolve);
    });
    this.socket.on('error', () => undefined);
  }

  async open(): Promise<this> {
    await once(this.socket, 'open');
    this.say({ type: 'connection_init' });
    await this.hear((message) => message.type === 'connection_ack');
    return this;
  }

  say(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  async hear(wanted: (message: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.received.find(wanted);
      if (found) return found;
      await once(this.socket, 'message');
    }
  }
}

describe('Order events on a WebSocket', () => {
  let gateway: ShopGateway;

  beforeAll(async () => {
    gateway = await startShopGateway();
  });

  afterEach(() => gateway.clearFaults());

  afterAll(() => gateway.stop());

  const feeds = async () => (await gateway.shop.orders.counters()).active;
  const placing = (userId: number) =>
    `mutation Place { placeOrder(input: { userId: ${userId}, items: [{ productId: 1, quantity: 1 }] }) { id } }`;

  test('beside queries and mutations on the same one, each with an id and a log line of its own', async () => {
    const client = clientOf(gateway);
    const events = client.iterate({
      query: 'subscription Watch { orderEvents(userId: 21) { type order { id user { name } } } }',
    });
    const first = events.next();
    await expect.poll(feeds).toBe(1);
    const [placed] = await Array.fromAsync(client.iterate({ query: placing(21) }));
    const id = (placed!.data as { placeOrder: { id: string } }).placeOrder.id;
    expect((await first).value).toEqual({
      data: { orderEvents: { type: 'PLACED', order: { id, user: { name: expect.any(String) as string } } } },
    });
    const [named] = await Array.fromAsync(client.iterate({ query: 'query Named { user(id: 21) { name } }' }));
    expect(named).toEqual({ data: { user: { name: expect.any(String) as string } } });
    await events.return!();
    await expect.poll(feeds).toBe(0);
    const lines = () => gateway.log.filter((line) => line.msg === 'operation');
    await expect.poll(() => lines().length).toBe(3);
    expect(lines()).toMatchObject([
      { operation: { name: 'Place', type: 'mutation' }, upstreams: { orders: 1 } },
      { operation: { name: 'Named', type: 'query' }, upstreams: { users: 1 } },
      { operation: { name: 'Watch', type: 'subscription' }, upstreams: { orders: 1, users: 1 } },
    ]);
    expect(new Set(lines().map(({ requestId }) => requestId)).size).toBe(3);
    expect(new Set(lines().map(({ connection }) => connection)).size).toBe(1);
    await client.dispose();
    const access = await gateway.accessOf(lines()[0]!.connection as string);
    expect(access).toMatchObject({ status: 101, upstreams: { orders: 2, users: 2 } });
  });

  test('a socket that dies takes feeds and calls under way along', async () => {
    await gateway.resetCounters();
    await gateway.shop.users.setFault({ kind: 'hang' });
    const conversation = await new Conversation(gateway).open();
    conversation.say({ id: '1', type: 'subscribe', payload: { query: 'subscription { orderEvents { type } }' } });
    conversation.say({ id: '2', type: 'subscribe', payload: { query: '{ user(id: 1) { name } }' } });
    await expect.poll(feeds).toBe(1);
    await expect.poll(async () => (await gateway.shop.users.counters()).active).toBe(1);
    conversation.socket.terminate();
    await expect.poll(feeds).toBe(0);
    await expect.poll(async () => (await gateway.shop.users.counters()).aborted).toBe(1);
  });

  test('complete from the client ends calls that are under way for it', async () => {
    await gateway.resetCounters();
    await gateway.shop.users.setFault({ kind: 'hang' });
    const conversation = await new Conversation(gateway).open();
    conversation.say({ id: '1', type: 'subscribe', payload: { query: '{ user(id: 1) { name } }' } });
    await expect.poll(async () => (await gateway.shop.users.counters()).active).toBe(1);
    conversation.say({ id: '1', type: 'complete' });
    await expect.poll(async () => (await gateway.shop.users.counters()).aborted).toBe(1);
    conversation.say({ id: '2', type: 'subscribe', payload: { query: '{ __typename }' } });
    await conversation.hear(({ id, type }) => id === '2' && type === 'complete');
    expect(conversation.received.filter(({ id }) => id === '1')).toEqual([]);
    conversation.socket.close();
  });

  test('a feed that breaks is said in a last result, then complete, and the socket lives on', async () => {
    const conversation = await new Conversation(gateway).open();
    conversation.say({ id: 'a', type: 'subscribe', payload: { query: 'subscription { orderEvents { type } }' } });
    await expect.poll(feeds).toBe(1);
    await gateway.shop.orders.kill('SIGKILL');
    await conversation.hear(({ type }) => type === 'complete');
    expect(conversation.received.slice(1)).toMatchObject([
      { id: 'a', type: 'next', payload: { errors: [{ path: ['orderEvents'], extensions: { upstream: 'orders' } }] } },
      { id: 'a', type: 'complete' },
    ]);
    await gateway.shop.orders.restart();
    conversation.say({ id: 'b', type: 'subscribe', payload: { query: '{ __typename }' } });
    await conversation.hear(({ id, type }) => id === 'b' && type === 'complete');
    conversation.socket.close();
    await untilIdle(gateway);
  });

  test('when the gateway stops, what is under way is answered, feeds are closed, then 1001', async () => {
    const own = await startModules('resolvers', {
      upstreams: Object.fromEntries(
        (['users', 'orders', 'catalog', 'reviews'] as const).map((name) => [
          name,
          { endpoints: [gateway.shop[name].url] },
        ]),
      ),
    });
    await gateway.resetCounters();
    const conversation = await new Conversation(own).open();
    conversation.say({ id: 's', type: 'subscribe', payload: { query: 'subscription { orderEvents { type } }' } });
    await expect.poll(feeds).toBe(1);
    await gateway.shop.users.setFault({ latencyMs: 500 });
    conversation.say({ id: 'q', type: 'subscribe', payload: { query: '{ user(id: 1) { id } }' } });
    await expect.poll(async () => (await gateway.shop.users.counters()).active).toBe(1);
    const idle = await new Conversation(own).open();
    const stopped = own.stop();
    await conversation.hear(({ id, type }) => id === 's' && type === 'complete');
    // Who has nothing under way is not kept.
    expect(await idle.closed).toBe(1001);
    conversation.say({ id: 'late', type: 'subscribe', payload: { query: '{ user(id: 2) { id } }' } });
    expect(await conversation.closed).toBe(1001);
    expect(conversation.received.slice(1)).toMatchObject([
      { id: 's', type: 'complete' },
      { id: 'late', type: 'error', payload: [{ extensions: { code: 'SHUTTING_DOWN' } }] },
      { id: 'q', type: 'next', payload: { data: { user: { id: '1' } } } },
      { id: 'q', type: 'complete' },
    ]);
    await stopped;
    const { users, orders } = await gateway.counters();
    expect([users.active, orders.active]).toEqual([0, 0]);
  });

  test('a service that is down costs its own fields here as everywhere, and optional ones leave a note', async () => {
    await gateway.shop.reviews.setFault({ errorRate: 1 });
    const client = clientOf(gateway);
    const [result] = await Array.fromAsync(
      client.iterate({ query: '{ product(id: 1) { name reviews(first: 1) { body } } }' }),
    );
    expect(result).toMatchObject({
      data: { product: { name: expect.any(String) as string, reviews: null } },
      extensions: { degraded: [{ path: ['product', 'reviews'], upstream: 'reviews' }] },
    });
    await client.dispose();
  });
});

describe('graphql-transport-ws', () => {
  let server: GraphqlServer;

  beforeEach(async () => {
    server = await startModules('test/fixtures/graphql', {
      graphql: { subscriptions: { maxPerConnection: 3, maxOpen: 4 }, timeout: '300ms' },
    });
  });

  afterEach(() => server.stop());

  const openSilent = async () =>
    ((await server.query('{ openSilent }')).body.data as { openSilent: number }).openSilent;
  const silent = (id: string) => ({ id, type: 'subscribe', payload: { query: 'subscription { silent }' } });

  test('is the only protocol: others are not chosen, and closed with 4406', async () => {
    const bare = new WebSocket(urlOf(server));
    const [code] = (await once(bare, 'close')) as [number];
    expect(code).toBe(4406);
    const legacy = new Conversation(server, 'graphql-ws');
    const [error] = (await once(legacy.socket, 'error')) as [Error];
    expect(error.message).toContain('no subprotocol');
  });

  test("the handshake answers with the request's id, which its log line has too", async () => {
    const socket = new WebSocket(urlOf(server), 'graphql-transport-ws');
    const [{ headers }] = (await once(socket, 'upgrade')) as [{ headers: Record<string, string> }];
    expect(headers['sec-websocket-protocol']).toBe('graphql-transport-ws');
    socket.once('open', () => socket.close());
    expect(await server.accessOf(headers['x-request-id']!)).toMatchObject({ status: 101, route: '/graphql' });
  });

  test('a handshake that is none is answered as HTTP', async () => {
    const response = await fetch(server.graphqlUrl, { headers: { accept: 'application/json' } });
    expect(response.status).toBe(400);
  });

  test('a client that says nothing is closed with 4408', async () => {
    expect(await new Conversation(server).closed).toBe(4408);
  });

  test('results are sent one by one, then complete', async () => {
    const conversation = await new Conversation(server).open();
    conversation.say({ id: 'a', type: 'subscribe', payload: { query: 'subscription { count }' } });
    await conversation.hear(({ type }) => type === 'complete');
    expect(conversation.received.slice(1)).toEqual([
      { id: 'a', type: 'next', payload: { data: { count: 1 } } },
      { id: 'a', type: 'next', payload: { data: { count: 2 } } },
      { id: 'a', type: 'next', payload: { data: { count: 3 } } },
      { id: 'a', type: 'complete' },
    ]);
    conversation.socket.close();
  });

  test.each([
    ['a document that does not parse', { query: '{' }, 'GRAPHQL_PARSE_FAILED'],
    ['one that does not fit', { query: '{ nothing }' }, 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a variable of the wrong type',
      { query: 'query($v: Int!) { double(value: $v) }', variables: { v: 'x' } },
      'BAD_USER_INPUT',
    ],
    ['an operation that is not there', { query: '{ prompt }', operationName: 'Other' }, 'BAD_USER_INPUT'],
  ])('%s is an error message, and the socket lives on', async (_, payload, code) => {
    const conversation = await new Conversation(server).open();
    conversation.say({ id: 'a', type: 'subscribe', payload });
    const { payload: errors } = await conversation.hear(({ type }) => type === 'error');
    expect(errors).toMatchObject([{ extensions: { code, requestId: expect.any(String) as string } }]);
    conversation.say({ id: 'b', type: 'subscribe', payload: { query: '{ prompt }' } });
    expect(await conversation.hear(({ id, type }) => id === 'b' && type === 'next')).toMatchObject({
      payload: { data: { prompt: 'at once' } },
    });
    conversation.socket.close();
  });

  test('errors of execution are in the result, and masked', async () => {
    const [result] = await Array.fromAsync(clientOf(server).iterate({ query: '{ prompt leaky forClients }' }));
    expect(result).toMatchObject({
      data: { prompt: 'at once', leaky: null, forClients: null },
      errors: [
        { message: 'The gateway failed', path: ['leaky'], extensions: { code: 'INTERNAL' } },
        { message: 'Not today.', path: ['forClients'], extensions: { code: 'NOT_TODAY' } },
      ],
    });
    expect(JSON.stringify(result)).not.toContain('hunter2');
  });

  test("a query has the operation's time, a subscription its own", async () => {
    const conversation = await new Conversation(server).open();
    conversation.say(silent('s'));
    conversation.say({ id: 'q', type: 'subscribe', payload: { query: '{ hanging }' } });
    expect(await conversation.hear(({ id, type }) => id === 'q' && type === 'next')).toMatchObject({
      payload: { data: { hanging: null }, errors: [{ extensions: { code: 'DEADLINE_EXCEEDED' } }] },
    });
    expect(await openSilent()).toBe(1);
    conversation.socket.close();
    await expect.poll(openSilent).toBe(0);
  });

  test('complete from the client ends what was opened for it, though nothing happens there', async () => {
    const conversation = await new Conversation(server).open();
    conversation.say(silent('a'));
    await conversation.hear(({ type }) => type === 'next');
    expect(await openSilent()).toBe(1);
    conversation.say({ id: 'a', type: 'complete' });
    await expect.poll(openSilent).toBe(0);
    conversation.socket.close();
  });

  test('more than maxPerConnection operations are refused, until one is over', async () => {
    const conversation = await new Conversation(server).open();
    for (const id of ['a', 'b', 'c']) conversation.say(silent(id));
    await conversation.hear(({ id, type }) => id === 'c' && type === 'next');
    conversation.say(silent('d'));
    const refusal = await conversation.hear(({ type }) => type === 'error');
    expect(refusal).toMatchObject({ id: 'd', payload: [{ extensions: { code: 'OVERLOADED' } }] });
    conversation.say({ id: 'a', type: 'complete' });
    await expect.poll(openSilent).toBe(2);
    conversation.say(silent('e'));
    await conversation.hear(({ id, type }) => id === 'e' && type === 'next');
    conversation.socket.close();
  });

  test('maxOpen holds over all sockets', async () => {
    const conversations = await Promise.all([new Conversation(server).open(), new Conversation(server).open()]);
    for (const conversation of conversations) for (const id of ['a', 'b']) conversation.say(silent(id));
    await expect.poll(openSilent).toBe(4);
    conversations[0].say(silent('c'));
    const { payload } = await conversations[0].hear(({ type }) => type === 'error');
    expect((payload as GraphqlErrorBody[])[0]!.extensions.code).toBe('OVERLOADED');
    for (const { socket } of conversations) socket.close();
  });

  test('a client that does not read is not produced for, nor read from without end', async () => {
    const conversation = await new Conversation(server).open();
    conversation.socket.pause();
    conversation.say({ id: 'a', type: 'subscribe', payload: { query: 'subscription { flood }' } });
    const produced = async () =>
      ((await server.query('{ producedFlood }')).body.data as { producedFlood: number }).producedFlood;
    let last = -1;
    await expect
      .poll(
        async () => {
          const now = await produced();
          const still = now === last && now > 0;
          last = now;
          return still;
        },
        { interval: 250, timeout: 15_000 },
      )
      .toBe(true);
    expect(last * 65_536).toBeLessThan(32 * 1024 ** 2);
    // Each of these asks for an answer that cannot be sent; the server stops taking them in.
    const ping = JSON.stringify({ type: 'ping', payload: { x: 'x'.repeat(1000) } });
    for (let sent = 0; sent < 20_000; sent++) conversation.socket.send(ping);
    await expect.poll(() => conversation.socket.bufferedAmount, { timeout: 10_000 }).toBeGreaterThan(1024 ** 2);
    conversation.socket.terminate();
  });

  test('when the gateway stops, subscriptions complete and the socket is closed with 1001', async () => {
    const stopping = await startModules('test/fixtures/graphql', {});
    const conversation = await new Conversation(stopping).open();
    conversation.say(silent('a'));
    await conversation.hear(({ type }) => type === 'next');
    const stopped = stopping.stop();
    expect(await conversation.closed).toBe(1001);
    expect(conversation.received.at(-1)).toEqual({ id: 'a', type: 'complete' });
    await stopped;
  });
});
