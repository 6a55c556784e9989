import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { format } from '#upstreams/cache/second-level/codec.ts';
import type { TestGateway } from '../support/gateway.ts';
import { startRedisCluster, startRedisSentinel, type TestRedisGroup } from '../support/redis-topologies.ts';
import { send, until } from '../support/raw-client.ts';
import { forgetMemory, startSharing, untilShared } from './levels.ts';
import { asking, oneName, startCacheService, type CacheService } from './service.ts';

/** What instances share where Redis is more than one process. */

let service: CacheService;
let group: TestRedisGroup | undefined;
let gateways: TestGateway[] = [];
const askOne = asking(() => gateways[0]!.url, oneName);
const askOther = asking(() => gateways[1]!.url, oneName);

beforeAll(async () => {
  service = await startCacheService();
});

afterEach(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  gateways = [];
  await group?.close();
});

afterAll(() => service.close());

async function start(redis: {
  readonly url: string;
  readonly cluster?: boolean;
  readonly sentinels?: readonly string[];
}): Promise<void> {
  const config = {
    redis: { ...redis, timeout: '2s' },
    upstreams: { things: { endpoints: [service.url], identity: 'none' } },
    routes: [{ path: '/{*rest}', upstream: 'things' }],
  };
  gateways = await Promise.all([startSharing(redis, config), startSharing(redis, config)]);
}

const patient = { timeout: 20_000 };
const fresh = { 'cache-control': 'max-age=3600' };
const statusOf = (answer: { headers: NodeJS.Dict<string | string[]> }) => String(answer.headers['cache-status']);
const isStored = async (path: string, ask = askOther) =>
  (await ask(path, { 'cache-control': 'only-if-cached' })).status === 200;

async function store(paths: readonly string[], headers: Record<string, string> = {}): Promise<void> {
  for (const path of paths) {
    service.answer(path, { headers: { ...fresh, ...headers } });
    await askOne(path);
  }
  await untilShared(gateways[0]!);
  for (const gateway of gateways) forgetMemory(gateway);
}

async function purge(body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const sent = JSON.stringify({ by: 'ann', ...body });
  await send(`${gateways[0]!.adminUrl}/admin/cache/purge`, { method: 'POST', headers, body: sent });
  await untilShared(gateways[0]!);
}

describe('On a Redis Cluster', { timeout: 120_000 }, () => {
  test('answers lie on all nodes, and are shared, written and purged as on one', async () => {
    group = await startRedisCluster();
    await start({ url: `redis://${group.addresses[0]}`, cluster: true });
    const paths = Array.from({ length: 30 }, (_, index) => `/all/${index}`);
    await store(paths, { 'surrogate-key': 'all' });
    const counts = await Promise.all(
      group.servers.map(async ({ client }) => (await client.keys(`*:${format}:*`)).length),
    );
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(30);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    for (const path of paths) expect(statusOf(await askOther(path))).toContain('hit');
    expect(service.asked('/all/7')).toHaveLength(1);
    service.answer('/all/7', { status: 204 });
    await askOther('/all/7', {}, { method: 'DELETE' });
    await untilShared(gateways[1]!);
    for (const gateway of gateways) forgetMemory(gateway);
    expect([await isStored('/all/7'), await isStored('/all/8')]).toEqual([false, true]);
    await purge({ tag: 'all' });
    for (const gateway of gateways) forgetMemory(gateway);
    for (const path of paths) expect([await isStored(path, askOne), await isStored(path)]).toEqual([false, false]);
    const left = await Promise.all(
      group.servers.map(async ({ client }) => (await client.keys(`*:${format}:*`)).length),
    );
    expect(left.reduce((sum, count) => sum + count, 0)).toBe(0);
  });
});

describe('Behind Sentinel', { timeout: 120_000 }, () => {
  test('answers are shared, and again once another Redis has taken over', async () => {
    group = await startRedisSentinel('weir-main');
    await start({ url: 'redis://weir-main', sentinels: group.addresses });
    await store(['/one']);
    expect(statusOf(await askOther('/one'))).toContain('hit');
    const [primary] = group.servers;
    await primary!.kill();
    service.answer('/meanwhile', { headers: fresh });
    for (const ask of [askOne, askOther]) expect((await ask('/meanwhile')).text).toBe('stored');
    for (const gateway of gateways)
      await until(() => gateway.log.filter(({ msg }) => msg === 'redis connected').length > 2);
    let index = 0;
    await expect
      .poll(async () => {
        const path = `/after/${index++}`;
        service.answer(path, { headers: fresh });
        await askOne(path);
        await untilShared(gateways[0]!);
        return statusOf(await askOther(path));
      }, patient)
      .toContain('hit');
  });
});
