import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Override } from '#gateway/control/override.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let redis: TestRedis;
let gateways: TestGateway[];

beforeEach(async () => {
  upstream = await startUpstream((_request, response) => response.end('ok'));
  redis = await startRedis();
  gateways = [await start(), await start()];
});

afterEach(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await redis.close();
  await upstream.close();
});

async function start(more: object = {}): Promise<TestGateway> {
  const gateway = await startGateway({
    redis: { url: redis.url, timeout: '1s' },
    upstreams: { orders: { endpoints: [upstream.url] }, ...more },
    routes: [{ path: '/orders', upstream: 'orders' }],
  });
  await expect.poll(() => gateway.log.some(({ msg }) => msg === 'redis connected')).toBe(true);
  return gateway;
}

async function set(gateway: TestGateway, wanted: object = {}): Promise<{ set: Override; note?: string }> {
  const body = { kind: 'upstream', target: 'orders', action: 'open', for: '10m', by: 'anna', ...wanted };
  const response = await fetch(`${gateway.adminUrl}/admin/overrides`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(201);
  return (await response.json()) as { set: Override };
}

async function remove(gateway: TestGateway, query: string): Promise<void> {
  const url = `${gateway.adminUrl}/admin/overrides?${query}&by=anna`;
  expect((await fetch(url, { method: 'DELETE' })).status).toBe(200);
}

async function heldBy(gateway: TestGateway): Promise<string[]> {
  const response = await fetch(`${gateway.adminUrl}/admin/overrides`);
  return ((await response.json()) as Override[]).map(({ id }) => id);
}

const statusOf = async (gateway: TestGateway) => (await fetch(`${gateway.url}/orders`)).status;

describe('What an operator changes in one of several gateways on one Redis', () => {
  test('is in force in all of them, and removed in all of them', async () => {
    const [one, other] = gateways as [TestGateway, TestGateway];
    const { set: override } = await set(one);
    await expect.poll(() => heldBy(other)).toEqual([override.id]);
    expect(await statusOf(other)).toBe(503);
    await remove(other, 'kind=upstream&target=orders');
    await expect.poll(() => heldBy(one)).toEqual([]);
    expect(await statusOf(one)).toBe(200);
  });

  test('is written down by each that carries it out, with who did it', async () => {
    const [one, other] = gateways as [TestGateway, TestGateway];
    await set(one, { reason: 'they deploy' });
    const line = () => other.log.find(({ msg, happened }) => msg === 'operator' && happened === 'set');
    await expect.poll(line).toMatchObject({ target: 'orders', action: 'open', by: 'anna', reason: 'they deploy' });
  });

  test('is taken over by one that starts later', async () => {
    const { set: override } = await set(gateways[0]!);
    gateways.push(await start());
    await expect.poll(() => heldBy(gateways[2]!)).toEqual([override.id]);
  });

  test('holds for one alone while Redis is gone, which is said, and for all when it is back, empty', async () => {
    const [one, other] = gateways as [TestGateway, TestGateway];
    const { set: shared } = await set(one);
    await expect.poll(() => heldBy(other)).toEqual([shared.id]);
    await redis.kill();
    await expect.poll(() => one.log.some(({ msg }) => msg === 'redis lost')).toBe(true);
    const { set: alone, note } = await set(one, { kind: 'route', target: '/orders', action: 'debug' });
    expect(note).toContain('Redis');
    expect(await heldBy(other)).toEqual([shared.id]);
    await redis.restart();
    await expect.poll(async () => (await heldBy(other)).includes(alone.id)).toBe(true);
    expect(await heldBy(one)).toContain(alone.id);
    // What an empty Redis has forgotten, those that hold it have not.
    for (const gateway of gateways) expect(await heldBy(gateway)).toContain(shared.id);
  });

  test('and removed while another heard nothing of it is removed there too, once it hears again', async () => {
    const [one, other] = gateways as [TestGateway, TestGateway];
    const { set: override } = await set(one);
    await expect.poll(() => heldBy(other)).toEqual([override.id]);
    await redis.kill();
    await expect.poll(() => one.log.some(({ msg }) => msg === 'redis lost')).toBe(true);
    await remove(one, 'kind=upstream&target=orders');
    expect(await heldBy(other)).toEqual([override.id]);
    await redis.restart();
    await expect.poll(() => heldBy(other)).toEqual([]);
    expect(await heldBy(one)).toEqual([]);
  });

  test('that another has no such thing for holds where it can, and the other says so', async () => {
    gateways.push(await start({ users: { endpoints: [upstream.url] } }));
    const { set: override } = await set(gateways[2]!, { target: 'users' });
    const said = () => gateways[0]!.log.find(({ msg }) => String(msg).includes('cannot be held here'));
    await expect.poll(said).toMatchObject({ detail: expect.stringContaining("no upstream 'users'") as string });
    expect(await heldBy(gateways[2]!)).toEqual([override.id]);
    expect(await heldBy(gateways[0]!)).toEqual([]);
  });

  test('cannot be forged into anything but an override by what stands in Redis', async () => {
    const key = (await redis.client.keys('*overrides*'))[0] ?? 'weir:v1:{overrides}:held';
    await redis.client.hset(key, 'upstream orders', 'not json');
    await redis.client.publish('weir:v1:overrides', '{"sender":"x","command":{"type":"set","override":{"id":1}}}');
    const said = () => gateways[0]!.log.find(({ msg }) => String(msg).includes('cannot be read'));
    await expect.poll(said).toBeDefined();
    gateways.push(await start());
    expect(await heldBy(gateways[2]!)).toEqual([]);
    expect(await statusOf(gateways[2]!)).toBe(200);
  });
});
