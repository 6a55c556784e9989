import { afterEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
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

describe('Health checks', () => {
  test('take an endpoint out after as many failed checks as configured, and back after as many good ones', async () => {
    const [a, b] = [await named('a'), await named('b')];
    await front([a.url, b.url], { health });
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
