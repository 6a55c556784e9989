import { afterEach, describe, expect, test } from 'vitest';
import { hashKey } from '#upstreams/balancing/hash-key.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import { upstreamSchema } from '#upstreams/settings.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, settle, until } from '../support/raw-client.ts';
import { deadUrl, startRawUpstream, startUpstream, type TestUpstream } from '../support/upstream.ts';

/** An endpoint that says its name, and is well or not. */
interface Named extends TestUpstream {
  well: boolean;
}

const services: { close(): Promise<void> }[] = [];
let gateway: TestGateway;

afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await Promise.all(services.splice(0).map((service) => service.close()));
});

async function named(name: string): Promise<Named> {
  const upstream = await startUpstream((request, response) => {
    if (request.url === '/health' && !service.well) response.statusCode = 500;
    response.end(name);
  });
  const service = Object.assign(upstream, { well: true });
  services.push(service);
  return service;
}

async function front(endpoints: readonly unknown[], settings: object = {}): Promise<void> {
  gateway = await startGateway({
    upstreams: { things: { endpoints, ...settings } },
    routes: [{ path: '/*path', upstream: 'things' }],
  });
}

async function answers(count: number): Promise<string[]> {
  const names: string[] = [];
  for (let index = 0; index < count; index++) names.push((await send(`${gateway.url}/${index}`)).text);
  return names;
}

const endpoint = (index: number) => gateway.gateway.assembly.upstreams.get('things')!.endpoints[index]!;
const health = { path: '/health', every: '100ms', timeout: '1s', healthyAfter: 2, unhealthyAfter: 2 };

describe('Balancing', () => {
  test('goes round the endpoints', async () => {
    await front([(await named('a')).url, (await named('b')).url, (await named('c')).url]);
    expect(await answers(6)).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  });

  test('gives each its share by weight, interleaved, and none to weight 0', async () => {
    const [a, b, c] = [await named('a'), await named('b'), await named('c')];
    await front([
      { url: a.url, weight: 3 },
      { url: b.url, weight: 1 },
      { url: c.url, weight: 0 },
    ]);
    expect(await answers(8)).toEqual(['a', 'a', 'b', 'a', 'a', 'a', 'b', 'a']);
  });
});

describe('Least connections', () => {
  test('goes to the endpoint that has the least to do for its weight', async () => {
    const held: (() => void)[] = [];
    const names = ['a', 'b'];
    const [a, b] = await Promise.all(
      names.map(async (name) => {
        const service = await startUpstream((request, response) => {
          if (request.url!.startsWith('/held')) held.push(() => response.end(name));
          else response.end(name);
        });
        services.push(service);
        return service;
      }),
    );
    await front([a!.url, { url: b!.url, weight: 2 }], { balance: 'least-connections', attemptTimeout: '60s' });
    // In flight: one at each, of which b can take two.
    const calls = [send(`${gateway.url}/held1`), send(`${gateway.url}/held2`)];
    await until(() => held.length === 2);
    expect([endpoint(0).active, endpoint(1).active]).toEqual([1, 1]);
    expect(new Set(await answers(4))).toEqual(new Set(['b']));
    for (const answer of held) answer();
    await Promise.all(calls);
  });
});

describe('Consistent hash', () => {
  const five = async () => Promise.all(['a', 'b', 'c', 'd', 'e'].map(named));
  const by = async (key: unknown, settings: object = {}) =>
    front(
      (await five()).map(({ url }) => url),
      { balance: { 'consistent-hash': key }, ...settings },
    );
  let asked = 0;
  const ask = async (headers: Record<string, string>) => (await send(`${gateway.url}/${asked++}`, { headers })).text;
  const users = Array.from({ length: 60 }, (_, index) => `user-${index}`);
  /** Who answers each user, and that it is always the same. */
  async function places(headersOf: (user: string) => Record<string, string>): Promise<Set<string>> {
    const seen = new Set<string>();
    for (const user of users) {
      const answered = new Set([await ask(headersOf(user)), await ask(headersOf(user))]);
      expect(answered.size).toBe(1);
      for (const name of answered) seen.add(name);
    }
    return seen;
  }

  test('sends calls with the same header to the same endpoint, in both forms of the exchange', async () => {
    await by({ header: 'X-User' });
    expect((await places((user) => ({ 'x-user': user }))).size).toBe(5);
    const held = await ask({ 'x-user': 'u' });
    const large = { method: 'POST', body: Buffer.alloc(100_000), headers: { 'x-user': 'u' } };
    expect((await send(`${gateway.url}/large`, large)).text).toBe(held);
  });

  test('sends calls with the same cookie to the same endpoint, whatever stands beside it', async () => {
    await by({ cookie: 'session' });
    let noise = 0;
    const cookies = (user: string) => `mysession=${noise++}; session=${user};other=${noise++}; sessions=3`;
    expect((await places((user) => ({ cookie: cookies(user) }))).size).toBe(5);
  });

  test.each(['ip', { ip: true }])('sends calls of the same client address to the same endpoint (%j)', async (key) => {
    const endpoints = (await five()).map(({ url }) => url);
    gateway = await startGateway({
      listen: { trustedProxies: ['127.0.0.1/32'] },
      upstreams: { things: { endpoints, balance: { 'consistent-hash': key } } },
      routes: [{ path: '/*path', upstream: 'things' }],
    });
    const address = (user: string) => `192.0.2.${user.slice(5)}`;
    expect((await places((user) => ({ 'x-forwarded-for': address(user) }))).size).toBe(5);
  });

  test.each([{ header: 'x-user' }, { cookie: 'session' }, 'consumer', { consumer: true }])(
    'goes round with calls that have no such key: %j',
    async (key) => {
      await by(key);
      expect(await answers(5)).toEqual(['a', 'b', 'c', 'd', 'e']);
    },
  );

  test('sends calls of one consumer to the same endpoint', () => {
    const keyOf = hashKey({ from: 'consumer' });
    const of = (consumer: string) => keyOf({ context: { identity: { consumer } } } as UpstreamCall);
    expect(of('acme')).toBe(of('acme'));
    expect(of('acme')).not.toBe(of('emca'));
    expect(of('anonymous')).toBe(-1);
  });

  test('keeps what a client asks for at once together, up to eight calls in flight', async () => {
    const held: { readonly name: string; readonly answer: () => void }[] = [];
    const endpoints = await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (name) => {
        const service = await startUpstream(
          (_, response) => void held.push({ name, answer: () => response.end(name) }),
        );
        services.push(service);
        return service.url;
      }),
    );
    await front(endpoints, { balance: { 'consistent-hash': { header: 'x-user' } }, attemptTimeout: '60s' });
    const calls = Array.from({ length: 8 }, (_, index) =>
      send(`${gateway.url}/${index}`, { headers: { 'x-user': 'eager' } }),
    );
    await until(() => held.length === 8);
    expect(new Set(held.map(({ name }) => name)).size).toBe(1);
    for (const { answer } of held) answer();
    await Promise.all(calls);
  });

  test('does not let a popular key have more than a quarter above the fair part of what is in flight', async () => {
    const held: { readonly name: string; readonly answer: () => void }[] = [];
    const endpoints = await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (name) => {
        const service = await startUpstream(
          (_, response) => void held.push({ name, answer: () => response.end(name) }),
        );
        services.push(service);
        return service.url;
      }),
    );
    await front(endpoints, { balance: { 'consistent-hash': { header: 'x-user' } }, attemptTimeout: '60s' });
    const calls = Array.from({ length: 40 }, (_, index) =>
      send(`${gateway.url}/${index}`, { headers: { 'x-user': 'popular' } }),
    );
    await until(() => held.length === 40);
    const loads = ['a', 'b', 'c', 'd'].map((name) => held.filter((call) => call.name === name).length);
    // ⌈1.25 × 40 ÷ 4⌉, and the popular endpoint has all of it.
    expect(Math.max(...loads)).toBe(13);
    for (const { answer } of held) answer();
    await Promise.all(calls);
  });

  test('tries every endpoint before one that has failed the call: a dead preference and a dead second one', async () => {
    const alive = await named('alive');
    await front([await deadUrl(), alive.url, await deadUrl()], {
      balance: { 'consistent-hash': { header: 'x-user' } },
      retry: { attempts: 2, backoff: '1ms', budget: 2 },
      breaker: { failures: 10_000 },
      ejection: { failures: 0 },
    });
    for (const user of users) expect(await ask({ 'x-user': user })).toBe('alive');
  });
});

describe('Health checks', () => {
  test('take an endpoint out after as many failed checks as configured, and back after as many good ones', async () => {
    const [a, b] = [await named('a'), await named('b')];
    await front([a.url, b.url], { health, slowStart: '0ms' });
    expect(new Set(await answers(4))).toEqual(new Set(['a', 'b']));
    a.well = false;
    await until(() => !endpoint(0).healthy);
    expect(new Set(await answers(4))).toEqual(new Set(['b']));
    const { upstreams } = (await send(`${gateway.adminUrl}/readyz`)).json() as { upstreams: object };
    expect(upstreams).toMatchObject({ things: { endpoints: 2, healthy: 1 } });
    a.well = true;
    await until(() => endpoint(0).healthy);
    expect(new Set(await answers(4))).toEqual(new Set(['a', 'b']));
    expect(gateway.log.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['endpoint unhealthy', 'endpoint healthy']),
    );
  });

  test('never leave an upstream without endpoints: if all fail their checks, all are used', async () => {
    const [a, b] = [await named('a'), await named('b')];
    await front([a.url, b.url], { health });
    a.well = b.well = false;
    await until(() => !endpoint(0).healthy && !endpoint(1).healthy);
    expect(new Set(await answers(4))).toEqual(new Set(['a', 'b']));
  });

  test('find a dead and a hanging endpoint, which then cost nobody anything', async () => {
    const a = await named('a');
    const hanging = await startRawUpstream(() => {});
    services.push(hanging);
    await front([await deadUrl(), a.url, hanging.url], {
      health: { ...health, timeout: '100ms' },
      retry: { attempts: 0 },
    });
    await until(() => !endpoint(0).healthy && !endpoint(2).healthy);
    expect(await answers(6)).toEqual(Array(6).fill('a'));
  });

  test('are not kept from an endpoint by calls that have taken all its connections', async () => {
    const held = await startUpstream((request, response) => void (request.url === '/health' && response.end('well')));
    services.push(held);
    await front([held.url], { health, maxConnections: 1, attemptTimeout: '60s' });
    const call = fetch(`${gateway.url}/held`);
    await until(() => held.requests.some(({ url }) => url === '/held'));
    const checks = () => held.requests.filter(({ url }) => url === '/health').length;
    const before = checks();
    await until(() => checks() >= before + 4);
    expect(endpoint(0).healthy).toBe(true);
    await held.close();
    await expect(call.then(({ status }) => status)).resolves.toBe(502);
  });

  test('follow who comes and goes, and say when they ask next', async () => {
    const [a, b] = [await named('a'), await named('b')];
    await front([a.url], { health });
    const things = gateway.gateway.assembly.upstreams.get('things')!;
    const checks = ({ requests }: TestUpstream) => requests.filter(({ url }) => url === '/health').length;
    const first = endpoint(0);
    const nextMs = () => things.health.nextCheckMs(endpoint(0))! - Date.now();
    expect(nextMs()).toBeLessThanOrEqual(100);
    await until(() => checks(a) > 0);
    things.prepare(upstreamSchema.parse({ endpoints: [b.url], health }))();
    await until(() => checks(b) > 1);
    const before = checks(a);
    await settle(250);
    expect(checks(a)).toBe(before);
    expect(things.health.nextCheckMs(first)).toBeUndefined();
    things.prepare(upstreamSchema.parse({ endpoints: [b.url] }))();
    expect(things.health.nextCheckMs(endpoint(0))).toBeUndefined();
  });

  test("notice that a dead endpoint has come back while the breaker is open, and are nobody's calls", async () => {
    const a = await named('a');
    await front([a.url], { health, breaker: { failures: 1, openFor: '10m' }, retry: { attempts: 0 } });
    const seen = a.requests.length;
    const broken = gateway.gateway.assembly.upstreams.get('things')!;
    a.well = false;
    await until(() => !endpoint(0).healthy);
    expect(broken.breaker.state).toBe('closed');
    a.well = true;
    await until(() => endpoint(0).healthy);
    expect(a.requests.length).toBeGreaterThan(seen);
    expect(a.requests.every(({ headers }) => headers['x-weir-consumer'] === undefined)).toBe(true);
  });
});
