import { createClient } from 'graphql-ws';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import type { TestConfig } from '../support/gateway.ts';
import { startIssuer } from '../support/issuer.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** How a client might get around a limit, and what comes of it. */

const sliding = { algorithm: 'sliding-window', window: '1h' } as const;
const key = { 'x-api-key': 'acme-key' };

let service: TestUpstream;
let server: GraphqlServer;

beforeEach(async () => {
  service = await startUpstream((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.setHeader('cache-control', 'max-age=60');
    response.end('{}');
  });
});

afterEach(async () => {
  await server.stop();
  await service.close();
});

async function start(config: TestConfig): Promise<void> {
  server = await startModules('test/fixtures/awaits', {
    upstreams: { owners: { endpoints: [service.url] } },
    routes: [{ path: '/owners', upstream: 'owners' }],
    consumers: [{ id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] }],
    ...config,
  });
}

/** Statuses of requests that differ in their headers. */
async function statuses(headers: readonly Record<string, string>[], path = '/owners'): Promise<number[]> {
  const all: number[] = [];
  for (const each of headers) all.push((await send(server.url + path, { headers: each })).status);
  return all;
}

const forwardedFor = (...addresses: readonly string[]) => addresses.map((address) => ({ 'x-forwarded-for': address }));

describe('An address', () => {
  const perIp = (quota: number) => ({ perIp: [{ name: 'ip', unit: 'requests', quota, ...sliding }] });

  test('of IPv6 is its /64: the others that the client has are no further quota', async () => {
    await start({ listen: { trustedProxies: ['127.0.0.0/8'] }, limits: perIp(2) });
    expect(
      await statuses(
        forwardedFor('2001:db8:1:2::1', '2001:db8:1:2:ffff::2', '2001:DB8:1:2:0:0:0:3', '2001:db8:1:3::1'),
      ),
    ).toEqual([200, 200, 429, 200]);
  });

  test('of IPv4 is the same however it is written', async () => {
    await start({ listen: { trustedProxies: ['127.0.0.0/8'] }, limits: perIp(2) });
    expect(
      await statuses(
        forwardedFor('192.0.2.7', '::ffff:192.0.2.7', '::FFFF:192.0.2.7', '::ffff:c000:207', '192.0.2.7:99'),
      ),
    ).toEqual([200, 200, 429, 429, 429]);
    expect(await statuses(forwardedFor('192.0.2.8'))).toEqual([200]);
  });

  test('is what its connection has where it is no trusted proxy, whatever it says', async () => {
    await start({ limits: perIp(2) });
    const said = [
      ...forwardedFor('192.0.2.1', '192.0.2.2', '192.0.2.3'),
      { forwarded: 'for=192.0.2.4' },
      { 'x-real-ip': '192.0.2.5' },
    ];
    expect(await statuses(said)).toEqual([200, 200, 429, 429, 429]);
  });

  test('is bounded by requests though all it gets are hits of the cache, which cost no call', async () => {
    await start({ limits: perIp(5) });
    expect(await statuses(Array.from({ length: 7 }, () => ({})))).toEqual([200, 200, 200, 200, 200, 429, 429]);
    expect(service.requests).toHaveLength(1);
  });

  test('is bounded in the operations of a batch as in requests', async () => {
    await start({ limits: perIp(3) });
    const answer = await fetch(server.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Array.from({ length: 5 }, () => ({ query: '{ things(first: 1) { id } }' }))),
    });
    const entries = (await answer.json()) as { data?: object; errors?: { extensions: { code: string } }[] }[];
    expect(entries.map(({ data, errors }) => (data ? 'ok' : errors![0]!.extensions.code))).toEqual([
      'ok',
      'ok',
      'ok',
      'RATE_LIMITED',
      'RATE_LIMITED',
    ]);
  });

  test('is bounded in the operations on a WebSocket as in requests', async () => {
    await start({ limits: perIp(3) });
    const client = createClient({
      url: server.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    });
    const run = () =>
      new Promise<unknown>((resolve) => {
        client.subscribe(
          { query: '{ rateLimit { tier } }' },
          { next: () => resolve('ok'), error: resolve, complete() {} },
        );
      });
    // The handshake is the first of them.
    expect([await run(), await run()]).toEqual(['ok', 'ok']);
    expect(await run()).toMatchObject([{ extensions: { code: 'RATE_LIMITED', 'violated-policies': ['ip'] } }]);
    await client.dispose();
  });
});

test('What comes from the cache costs what limits.cachedCost says, by either door', async () => {
  await start({
    limits: { cachedCost: 0.25 },
    tiers: { pro: { limits: [{ name: 'hour', quota: 10, ...sliding }] } },
  });
  const left = async () =>
    ((await send(`${server.url}/limits`, { headers: key })).json() as { limits: { remaining: number }[] }).limits[0]!
      .remaining;
  const operation = () => server.query('{ things(first: 1) { owner { id } } }', key);
  await statuses([key]);
  await operation();
  await expect.poll(left).toBe(8);
  await statuses([key, key, key]);
  const { body } = await operation();
  expect(body.extensions!.cost).toMatchObject({ actual: 0.25 });
  // 10 - 2 - 4 × 0.25
  await expect.poll(left).toBe(7);
  expect(service.requests).toHaveLength(2);
});

describe('A consumer', () => {
  const pro = (limit: object) => ({ tiers: { pro: { limits: [{ name: 'limit', ...sliding, ...limit }] } } });

  test('has no further quota for another spelling of a host that is limited', async () => {
    await start(pro({ by: 'tenant', unit: 'requests', quota: 2 }));
    const at = (host: string) => ({ ...key, host });
    expect(
      await statuses([at('shop.example'), at('SHOP.example:8080'), at('shop.example.'), at('shop.example:443')]),
    ).toEqual([200, 200, 429, 429]);
  });

  test('pays for each alias of a field that calls', async () => {
    await start({ ...pro({ quota: 20 }), upstreams: { owners: { endpoints: [service.url], cache: false } } });
    const aliases = Array.from({ length: 4 }, (_, at) => `a${at}: unsaid { id }`).join(' ');
    const { body } = await server.query(`{ things(first: 3) { ${aliases} } }`, key);
    expect((body.extensions!.cost as { actual: number }).actual).toBe(service.requests.length);
    expect(service.requests.length).toBeGreaterThanOrEqual(3);
  });

  test('has one quota of a route for the path with its version and the one without', async () => {
    await start({
      versions: { owners: { by: 'path', known: ['v1', 'v2'], default: 'v1' } },
      routes: [
        {
          path: '/v1/owners',
          upstream: 'owners',
          version: { of: 'owners', is: 'v1' },
          limits: [{ name: 'owners', unit: 'requests', quota: 2, ...sliding }],
        },
        { path: '/v2/owners', upstream: 'owners', version: { of: 'owners', is: 'v2' } },
      ],
    });
    expect(await statuses([key], '/v1/owners')).toEqual([200]);
    expect(await statuses([key, key], '/owners')).toEqual([200, 429]);
    expect(await statuses([key], '/v1/owners')).toEqual([429]);
  });

  test('sees what is his own: a limit by subject is each end user’s, and of each consumer', async () => {
    const issuer = await startIssuer();
    await start({
      ...pro({ by: 'subject', unit: 'requests', quota: 2 }),
      auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }] },
    });
    const as = async (azp: string, sub: string) => ({
      authorization: `Bearer ${await issuer.token({ azp, sub, tier: 'pro' })}`,
    });
    const [alice, bob, foreign] = [await as('acme', 'alice'), await as('acme', 'bob'), await as('rival', 'alice')];
    expect(await statuses([alice, alice, alice])).toEqual([200, 200, 429]);
    expect(await statuses([bob, foreign])).toEqual([200, 200]);
    const left = async (headers: Record<string, string>) =>
      ((await send(`${server.url}/limits`, { headers })).json() as { limits: { remaining: number }[] }).limits[0]!
        .remaining;
    expect([await left(alice), await left(bob), await left(foreign)]).toEqual([0, 1, 1]);
    // Without an end user it is the consumer itself.
    expect(await statuses([key, key, key])).toEqual([200, 200, 429]);
    await issuer.close();
  });

  test('is told in a 429 of GraphQL what its tier says besides, as in one of REST', async () => {
    const limits = [{ name: 'limit', unit: 'requests', quota: 1, ...sliding }];
    await start({ tiers: { pro: { limits, message: 'The trial is over.', upgradeUrl: 'https://example.com/plans' } } });
    expect((await server.query('{ things(first: 1) { id } }', key)).status).toBe(200);
    const { status, body } = await server.query('{ things(first: 1) { id } }', key);
    const told = {
      hint: 'The trial is over.',
      upgradeUrl: 'https://example.com/plans',
      'violated-policies': ['limit'],
    };
    expect([status, body.errors![0]!.extensions]).toEqual([429, expect.objectContaining(told)]);
    const rest = await send(`${server.url}/owners`, { headers: key });
    expect([rest.status, rest.json()]).toEqual([429, expect.objectContaining(told)]);
  });
});
