import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { OtlpReceiver, type Received } from '../telemetry/otlp-receiver.ts';
import { startShopGateway, type ShopGateway } from './shop-gateway.ts';

const upstreams = { orders: { retry: { attempts: 0 }, breaker: { failures: 1000 } } };
const longName = `N${'a'.repeat(1000)}`;

describe('The span of an operation', () => {
  let receiver: OtlpReceiver;
  const traces = new Map<string, string>();

  beforeAll(async () => {
    receiver = await OtlpReceiver.listen();
    const gateway = await startShopGateway({ telemetry: { otlp: receiver.url, sampleRatio: 1 }, upstreams });
    const send = async (what: string, request: string | object) => {
      const { headers } = await gateway.query(request);
      traces.set(what, headers.get('traceparent')!.split('-')[1]!);
    };
    await send('named', 'query Names { users(first: 1) { name } }');
    await send('long', `query ${longName} { __typename }`);
    await send('batch', [{ query: 'query One { __typename }' }, { query: 'query Two { __typename }' }]);
    await gateway.shop.orders.setFault({ kind: 'garbage' });
    await send('failing', '{ users(first: 1) { orders(first: 1) { id } } }');
    const client = createClient({ url: gateway.graphqlUrl.replace('http', 'ws'), webSocketImpl: WebSocket });
    await Array.fromAsync(client.iterate({ query: 'query OnSocket { __typename }' }));
    await client.dispose();
    // Flushes what there is.
    await gateway.stop();
  });

  afterAll(() => receiver.close());

  const spansOf = (what: string): readonly Received[] =>
    receiver.spans.filter(({ traceId }) => traceId === traces.get(what));

  test("is named by type and name, lies below the request's, and never has the document", () => {
    const spans = spansOf('named');
    const operation = spans.find(({ name }) => name === 'query Names')!;
    expect(operation.attributes).toEqual({ 'graphql.operation.type': 'query', 'graphql.operation.name': 'Names' });
    const root = spans.find(({ spanId }) => spanId === operation.parentSpanId)!;
    expect(root.attributes).toMatchObject({ 'http.request.method': 'POST' });
    expect(JSON.stringify(receiver.spans)).not.toContain('first: 1');
  });

  test('is named by its type alone where it has no name, and says how it failed', () => {
    const operation = spansOf('failing').find(({ name }) => name === 'query')!;
    expect(operation.status).toMatchObject({ message: 'UPSTREAM_BAD_RESPONSE' });
  });

  test('has as much of a name as somebody may want to read', () => {
    expect(spansOf('long').map(({ name }) => name)).toContain(`query ${longName.slice(0, 128)}`);
  });

  test('is one for each entry of a batch, and one for each operation on a WebSocket', () => {
    expect(spansOf('batch').map(({ name }) => name)).toEqual(expect.arrayContaining(['query One', 'query Two']));
    expect(receiver.spans.map(({ name }) => name)).toContain('query OnSocket');
  });
});

describe('The duration of operations', () => {
  let gateway: ShopGateway;

  beforeAll(async () => {
    gateway = await startShopGateway({ upstreams });
  });

  afterAll(() => gateway.stop());

  const metrics = async () => (await fetch(`${gateway.adminUrl}/metrics`)).text();

  const count = async (type: string, outcome: string): Promise<number> => {
    const series = (await metrics())
      .split('\n')
      .filter((line) => line.startsWith('weir_graphql_operation_duration_seconds_count'))
      .find((line) => line.includes(`"${type}"`) && line.includes(`"${outcome}"`));
    return series === undefined ? 0 : Number(series.slice(series.lastIndexOf(' ') + 1));
  };

  test.each([
    ['query', 'ok', 'query Names { users(first: 1) { name } }', {}],
    [
      'mutation',
      'ok',
      'mutation { addReview(input: { productId: 2, authorId: 2, stars: 4, body: "Fine." }) { id } }',
      {},
    ],
    ['query', 'refused', 'query($n: Int!) { users(first: $n) { name } }', {}],
    ['unknown', 'refused', '{ nothing }', {}],
    ['query', 'partial', '{ users(first: 1) { orders(first: 1) { id } } }', { kind: 'garbage' }],
    ['subscription', 'refused', 'subscription { orderEvents { type } }', {}],
  ] as const)(
    'is counted by type and outcome, and by nothing that clients choose: %s %s',
    async (type, outcome, query, fault) => {
      if ('kind' in fault) await gateway.shop.orders.setFault(fault);
      const before = await count(type, outcome);
      await gateway.query(query, { accept: 'application/json' });
      await gateway.clearFaults();
      expect(await count(type, outcome)).toBe(before + 1);
      expect(await metrics()).not.toContain('Names');
    },
  );

  test('goes with a gauge of the subscriptions that are open', async () => {
    const open = async () => /^weir_graphql_subscriptions_open\S* (\d+)/m.exec(await metrics())?.[1];
    const leaving = new AbortController();
    await fetch(gateway.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query: 'subscription { orderEvents { type } }' }),
      signal: leaving.signal,
    });
    expect(await open()).toBe('1');
    leaving.abort();
    await expect.poll(open).toBe('0');
  });
});
