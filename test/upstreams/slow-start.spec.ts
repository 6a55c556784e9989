import { afterEach, describe, expect, test } from 'vitest';
import type { Clock } from '#core/clock.ts';
import { silentLogger } from '#core/log.ts';
import { endpointOf } from '#upstreams/balancing/consistent-hash.ts';
import { hashOf } from '#upstreams/balancing/hash.ts';
import { leastConnections } from '#upstreams/balancing/least-connections.ts';
import { roundRobin } from '#upstreams/balancing/round-robin.ts';
import type { Endpoint } from '#upstreams/endpoint.ts';
import { Endpoints } from '#upstreams/endpoints.ts';
import { Rotation } from '#upstreams/rotation.ts';
import { upstreamSchema } from '#upstreams/settings.ts';
import { transportOf } from '#upstreams/transport.ts';
import { startNameServer } from '../support/dns.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/raw-client.ts';
import { deadUrl, startUpstream } from '../support/upstream.ts';

describe('An endpoint that comes back', () => {
  let now = 0;
  const clock: Clock = { monotonicMs: () => now, epochMs: () => now };
  const transport = transportOf(upstreamSchema.parse({ endpoints: ['http://10.0.0.1'] }));

  /** Two endpoints of weight 10, of which the second comes back now. */
  function two(slowStartMs = 10_000): { readonly rotation: Rotation; readonly back: Endpoint } {
    const endpoints = new Endpoints(clock, transport, slowStartMs);
    const rotation = new Rotation(endpoints, 0, 'things', silentLogger);
    endpoints.replace([1, 2].map((host) => ({ url: `http://10.0.0.${host}`, weight: 10, labels: {} })));
    const back = endpoints.current[1]!;
    back.healthy = false;
    back.healthy = true;
    return { rotation, back };
  }

  test('has a tenth of its weight, and all of it when its slow start is over', () => {
    const { rotation, back } = two();
    const shares = [0, 2_500, 5_000, 10_000, 60_000].map((passedMs) => {
      now = passedMs;
      return [back.share, rotation.candidates[1]!.effectiveWeight];
    });
    expect(shares).toEqual([
      [0.1, 1],
      [0.325, 3.25],
      [0.55, 5.5],
      [1, 10],
      [1, 10],
    ]);
    now = 0;
  });

  const balancings = {
    'round-robin': (candidates: readonly Endpoint[]) => roundRobin(candidates),
    'least-connections': (candidates: readonly Endpoint[]) => leastConnections(candidates),
    'consistent-hash': (candidates: readonly Endpoint[], index: number) =>
      endpointOf(hashOf(`user-${index}`), candidates),
  };

  test.each(Object.entries(balancings))('gets calls accordingly by %s', (_, choose) => {
    const { rotation, back } = two();
    const callsOf = (passedMs: number) => {
      now = passedMs;
      return Array.from({ length: 1_100 }, (__, index) => choose(rotation.candidates, index)).filter(
        (endpoint) => endpoint === back,
      ).length;
    };
    const [first, half, last] = [callsOf(0), callsOf(5_000), callsOf(10_000)];
    now = 0;
    // A tenth against one, 0.55 against one, one against one: of 1,100 calls.
    expect(Math.abs(first - 100)).toBeLessThan(25);
    expect(Math.abs(half - 390)).toBeLessThan(45);
    expect(Math.abs(last - 550)).toBeLessThan(45);
  });

  test('has all of it at once with slowStart: 0ms', () => {
    const { rotation, back } = two(0);
    expect([back.share, rotation.candidates[1]!.effectiveWeight]).toEqual([1, 10]);
  });
});

describe('Slow start begins', () => {
  const services: { close(): Promise<void> }[] = [];
  let gateway: TestGateway;
  let written: Record<string, unknown>;

  afterEach(async () => {
    await gateway.stop();
    await Promise.all(services.splice(0).map((service) => service.close()));
  });

  async function front(settings: object): Promise<void> {
    written = { slowStart: '1h', retry: { attempts: 0 }, breaker: { failures: 10_000 }, ...settings };
    gateway = await startGateway({ upstreams: { things: written }, routes: [{ path: '/*path', upstream: 'things' }] });
  }
  async function start(): Promise<{ url: string; well: boolean }> {
    const state = { url: '', well: true };
    const upstream = await startUpstream((_request, response) => void response.writeHead(state.well ? 200 : 500).end());
    services.push(upstream);
    state.url = upstream.url;
    return state;
  }
  const endpoints = () => gateway.gateway.assembly.upstreams.get('things')!.endpoints;
  const slow = () => endpoints().map(({ share }) => share < 1);
  const ask = () => fetch(`${gateway.url}/${Math.random()}`);

  test('for one that its health checks find well again, but for none at boot', async () => {
    const [a, b] = [await start(), await start()];
    await front({
      endpoints: [a.url, b.url],
      health: { path: '/health', every: '100ms', healthyAfter: 1, unhealthyAfter: 1 },
    });
    expect(slow()).toEqual([false, false]);
    a.well = false;
    await until(() => !endpoints()[0]!.healthy);
    a.well = true;
    await until(() => endpoints()[0]!.healthy);
    expect(slow()).toEqual([true, false]);
  });

  test('for one whose ejection is over', async () => {
    const a = await start();
    await front({ endpoints: [a.url, await deadUrl()], ejection: { failures: 1, for: '50ms' } });
    while (endpoints()[1]!.ejections === 0) await ask();
    await until(() => endpoints()[1]!.ejectedUntilMs === undefined);
    expect(slow()).toEqual([false, true]);
  });

  test('for one that an operator no longer drains', async () => {
    await front({ endpoints: [(await start()).url, (await start()).url] });
    endpoints()[0]!.drained = true;
    endpoints()[0]!.drained = false;
    expect(slow()).toEqual([true, false]);
  });

  test('for one that joins others by a reload', async () => {
    const [a, b] = [await start(), await start()];
    await front({ endpoints: [a.url] });
    const things = gateway.gateway.assembly.upstreams.get('things')!;
    things.prepare(upstreamSchema.parse({ ...written, endpoints: [a.url, b.url] }))();
    expect(slow()).toEqual([false, true]);
  });

  test('for one that joins others by discovery, but for none of the first answer', async () => {
    const names = await startNameServer({ 'a.test': { a: ['127.0.0.2', '127.0.0.3'] } });
    services.push(names);
    await front({ discovery: { kind: 'dns', name: 'a.test', port: 1, every: '100ms', servers: [names.address] } });
    await until(() => endpoints().length === 2);
    expect(slow()).toEqual([false, false]);
    names.records.set('a.test', { a: ['127.0.0.2', '127.0.0.3', '127.0.0.4'] });
    await until(() => endpoints().length === 3);
    expect(slow()).toEqual([false, false, true]);
  });
});
