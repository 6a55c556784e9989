import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import type { TestConfig } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** "A consumer asks `GET /limits` (and `rateLimit { … }` in GraphQL) for its own budget at no cost." */

const key = { 'x-api-key': 'acme-key' };
const budget = '{ rateLimit { consumer tier limits { name unit limit remaining resetSeconds description scale } } }';
const left = '{ rateLimit { limits { remaining } } }';
const sliding = { algorithm: 'sliding-window', window: '1h' } as const;

let service: TestUpstream;
let redis: TestRedis;
let server: GraphqlServer;

beforeAll(async () => {
  redis = await startRedis();
  service = await startUpstream((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{}');
  });
});

afterEach(() => server.stop());

afterAll(async () => {
  await service.close();
  await redis.close();
});

async function start(limits: readonly object[], config: TestConfig = {}): Promise<void> {
  server = await startModules('test/fixtures/awaits', {
    upstreams: { owners: { endpoints: [service.url], cache: false } },
    consumers: [
      { id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] },
      { id: 'rival', tier: 'pro', keys: [hashOf('rival-key')] },
    ],
    tiers: { pro: { limits } },
    ...config,
  });
}

const operation = (query: string, headers: Record<string, string> = key) => server.query(query, headers);
const calls = (things: number) => `{ things(first: ${things}) { owner { id } } }`;

const remaining = async (headers: Record<string, string> = key): Promise<number[]> => {
  const { body } = await operation(left, headers);
  const { rateLimit } = body.data as { rateLimit: { limits: { remaining: number }[] } };
  return rateLimit.limits.map((limit) => limit.remaining);
};

describe('rateLimit', () => {
  test('tells the facts of GET /limits', async () => {
    await start([
      { name: 'hour', quota: 20, ...sliding },
      { name: 'requests', unit: 'requests', quota: 9, ...sliding },
      { name: 'secret', quota: 20, ...sliding, hideHeaders: true },
      { name: 'trial', quota: 20, ...sliding, shadow: true },
      { name: 'once', unit: 'concurrent', quota: 9 },
    ]);
    await operation(calls(3));
    await expect.poll(() => remaining()).toEqual([19, 8]);
    const told = (await send(`${server.url}/limits`, { headers: key })).json() as { limits: object[] };
    const { body } = await operation(budget);
    expect(body).toEqual({
      data: {
        rateLimit: {
          ...told,
          limits: told.limits.map((limit) => ({
            ...limit,
            unit: (limit as { unit: string }).unit.toUpperCase(),
            scale: 1,
          })),
        },
      },
    });
    expect(told).toMatchObject({
      consumer: 'acme',
      tier: 'pro',
      limits: [
        { name: 'hour', remaining: 19 },
        { name: 'requests', remaining: 8 },
      ],
    });
  });

  test('costs nothing, of calls or of requests, also when nothing is left, and the answer says so too', async () => {
    await start([
      { name: 'hour', quota: 4, ...sliding },
      { name: 'requests', unit: 'requests', quota: 2, ...sliding },
      { name: 'once', unit: 'concurrent', quota: 1 },
    ]);
    for (let turn = 0; turn < 5; turn++) expect(await remaining()).toEqual([4, 2]);
    await operation(calls(1));
    await operation(calls(2));
    await expect.poll(() => remaining()).toEqual([2, 0]);
    expect((await operation(calls(3))).status).toBe(429);
    const { status, headers, body } = await operation(left);
    expect(status).toBe(200);
    expect(body.errors).toBeUndefined();
    expect(headers.get('x-ratelimit-remaining')).toBe('0');
    expect(await remaining()).toEqual([2, 0]);
  });

  test('is each consumer’s own, and of who shows no credential its address’', async () => {
    await start([{ name: 'hour', quota: 10, ...sliding }], {
      tiers: {
        pro: { limits: [{ name: 'hour', quota: 10, ...sliding }] },
        anonymous: { limits: [{ name: 'trial', quota: 5, ...sliding }] },
      },
    });
    await operation(calls(1));
    await expect.poll(() => remaining()).toEqual([9]);
    expect(await remaining({ 'x-api-key': 'rival-key' })).toEqual([10]);
    expect(await remaining({})).toEqual([5]);
    const { body } = await operation('{ rateLimit { consumer tier } }', {});
    expect(body.data).toEqual({ rateLimit: { consumer: 'anonymous', tier: 'anonymous' } });
  });

  test('is empty where nobody is limited', async () => {
    await start([]);
    expect(await remaining()).toEqual([]);
  });

  test.each([
    [
      'by fragments',
      'query { ...Budget } fragment Budget on Query { rateLimit { ...Facts } } fragment Facts on RateLimit { tier }',
    ],
    [
      'by another name, often',
      `{ __typename ${Array.from({ length: 18 }, (_, at) => `a${at}: rateLimit { tier }`).join(' ')} }`,
    ],
    ['by a variable', 'query Budget($with: Boolean = true) { rateLimit @include(if: $with) { tier } }'],
  ])('costs nothing asked %s', async (_, query) => {
    await start([{ name: 'requests', unit: 'requests', quota: 1, ...sliding }]);
    for (let turn = 0; turn < 3; turn++) expect((await operation(query)).body.errors).toBeUndefined();
    expect(await remaining()).toEqual([1]);
  });

  test.each([
    ['a field that calls', '{ rateLimit { tier } things(first: 1) { owner { id } } }'],
    ['introspection', '{ rateLimit { tier } __schema { queryType { name } } }'],
    [
      'one that is hidden in a fragment',
      'query { rateLimit { tier } ...More } fragment More on Query { things { id } }',
    ],
  ])('is charged with %s beside it', async (_, query) => {
    await start([{ name: 'requests', unit: 'requests', quota: 1, ...sliding }]);
    expect((await operation(query)).status).toBe(200);
    expect((await operation(query)).status).toBe(429);
  });

  test('beside other fields says what is left while these run, with what they may cost reserved', async () => {
    await start([{ name: 'hour', quota: 20, ...sliding }]);
    const { body } = await operation('{ rateLimit { limits { remaining } } things(first: 3) { owner { id } } }');
    const { rateLimit } = body.data as { rateLimit: { limits: { remaining: number }[] } };
    expect(rateLimit.limits[0]!.remaining).toBeLessThan(20);
  });

  test('has no price, and an explanation says that', async () => {
    await start([{ name: 'hour', quota: 20, ...sliding }]);
    const { body } = await operation(budget, { ...key, 'x-weir-explain': 'plan' });
    expect(body.extensions!.explain).toMatchObject({ cost: { estimated: 0, actual: 0 }, fields: [] });
  });

  test('is told in Redis as in memory, with one look however often it is asked for', async () => {
    await start([{ name: 'hour', quota: 10, ...sliding }], {
      redis: { url: redis.url, timeout: '1s', keyPrefix: `${crypto.randomUUID()}:` },
    });
    await expect
      .poll(async () => (await send(`${server.adminUrl}/readyz`)).json().limits, { timeout: 15_000 })
      .toMatchObject({ counted: 'redis' });
    await operation(calls(2));
    await expect.poll(() => remaining()).toEqual([9]);
    const asked = async () => {
      const info = await redis.client.info('commandstats');
      return Number(/cmdstat_evalsha:calls=(\d+)/.exec(info)?.[1] ?? 0);
    };
    const aliases = Array.from({ length: 18 }, (_, at) => `a${at}: rateLimit { limits { remaining } }`).join(' ');
    const before = await asked();
    await operation(`{ ${aliases} }`);
    // One for all of them, and maybe an instance's sign of life.
    expect((await asked()) - before).toBeLessThanOrEqual(3);
  });

  test('on a WebSocket costs nothing either', async () => {
    await start([{ name: 'requests', unit: 'requests', quota: 1, ...sliding }]);
    const client = createClient({
      url: server.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, { headers: key });
        }
      },
      retryAttempts: 0,
    });
    for (let turn = 0; turn < 3; turn++) {
      const result = await client.iterate({ query: left }).next();
      expect(result.value as unknown).toEqual({ data: { rateLimit: { limits: [{ remaining: 1 }] } } });
    }
    await client.dispose();
  });
});
