import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { silentLogger } from '#core/log.ts';
import { newApiKey, prefixOf } from '#policies/auth/api-keys/format.ts';
import { KeyStore, type KeptKey } from '#policies/auth/api-keys/key-store.ts';
import { redisSchema } from '#gateway/redis/settings.ts';
import { RedisStore } from '#gateway/redis/redis-store.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startRedisCluster, startRedisSentinel, type TestRedisGroup } from '../support/redis-topologies.ts';
import { send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** Issued keys (issue 4) where Redis is more than one process: `redis.cluster`, `redis.nodes`, `redis.sentinels`. */

let upstream: TestUpstream;
let group: TestRedisGroup;
let gateways: TestGateway[];
let store: RedisStore;
let keys: KeyStore;

/** Gateways that are told of Redis in these ways, and a store of the test's own by the first. */
async function start(...ways: readonly object[]): Promise<void> {
  upstream = await startUpstream((_request, response) => void response.end('ok'));
  // Whatever hides a lost subscription hides it for so long.
  const auth = { apiKeys: { maxStale: '10m' } };
  const settings = ways.map((redis) => ({ ...redis, timeout: '2s' }));
  const config = {
    auth,
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [{ path: '/private', upstream: 'service', auth: 'required' }],
  };
  gateways = await Promise.all(settings.map((redis) => startGateway({ ...config, redis })));
  store = new RedisStore(redisSchema.parse(settings[0]), silentLogger);
  store.start();
  await until(() => store.up && gateways.every(({ log }) => log.some(({ msg }) => msg === 'redis connected')));
  keys = new KeyStore(store);
}

async function stop(): Promise<void> {
  store.stop();
  for (const gateway of gateways) await gateway.stop();
  await group.close();
  await upstream.close();
}

async function issue(): Promise<{ readonly key: string; readonly kept: KeptKey }> {
  const { key, hash } = newApiKey();
  const record = {
    id: crypto.randomUUID(),
    prefix: prefixOf(key),
    consumer: 'acme',
    name: '',
    scopes: [],
    methods: [],
  };
  const kept = { hash, record: { ...record, allowIps: [], createdMs: systemClock.epochMs(), createdBy: 'test' } };
  await keys.put(kept);
  return { key, kept };
}

const revoke = ({ hash, record }: KeptKey) =>
  keys.put({ hash, record: { ...record, revokedMs: systemClock.epochMs() } });

const statuses = (key: string) =>
  Promise.all(
    gateways.map(async ({ url }) => (await send(`${url}/private`, { headers: { 'x-api-key': key } })).status),
  );

const all = (answers: readonly number[], status: number) => answers.every((answer) => answer === status);

/** It is good everywhere, and no longer so once it is revoked, although each instance remembers it. @returns its last statuses */
async function liveAndDie(): Promise<readonly number[]> {
  const { key, kept } = await issue();
  await until(async () => all(await statuses(key), 200));
  await revoke(kept);
  await until(async () => all(await statuses(key), 401));
  return statuses(key);
}

describe('Issued keys over a Redis Cluster', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    group = await startRedisCluster();
    const [first, ...others] = group.addresses;
    await start({ url: `redis://${first}`, nodes: others }, { url: `redis://${others[0]}`, cluster: true });
  }, 60_000);
  afterAll(stop);

  test('work at every instance, and are refused by all once they are revoked', async () => {
    // Slots are spread over the nodes; keys that belong together are in one.
    for (let turn = 0; turn < 3; turn++) await liveAndDie();
    const kept = await Promise.all(group.servers.map(async ({ client }) => (await client.keys('*{keys}*')).length));
    expect(kept.filter((count) => count > 0)).toHaveLength(1);
  });

  test('are asked for again after a node is gone that an instance listened to: no revocation is missed', async () => {
    const { key, kept } = await issue();
    expect(await statuses(key)).toEqual([200, 200]);
    const counts = await Promise.all(group.servers.map(async ({ client }) => (await client.keys('*{keys}*')).length));
    // The first gateway listens to the first node, the second to the second. Not the one that has the keys: without it nobody
    // could be asked; and one alone, for two of three are the majority.
    await group.servers[[0, 1].find((place) => counts[place] === 0)!]!.kill();
    await until(async () => {
      await revoke(kept).catch(() => {});
      return all(await statuses(key), 401);
    });
  });
});

describe('Issued keys over a Redis that sentinels watch', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    group = await startRedisSentinel('weir-main');
    const way = { url: 'redis://weir-main', sentinels: group.addresses };
    await start(way, way);
  }, 60_000);
  afterAll(stop);

  test('work at every instance, and are refused by all once they are revoked', async () => {
    expect(await liveAndDie()).toEqual([401, 401]);
  });

  test('outlive a failover, and are revoked at the new primary', async () => {
    const { key, kept } = await issue();
    expect(await statuses(key)).toEqual([200, 200]);
    const [primary] = group.servers;
    await primary!.client.wait(1, 5_000);
    await primary!.kill();
    await until(async () => {
      await revoke(kept).catch(() => {});
      return all(await statuses(key), 401);
    });
    expect(await liveAndDie()).toEqual([401, 401]);
  });
});

describe('Issued keys over a primary that hangs', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    group = await startRedisSentinel('weir-main');
    const way = { url: 'redis://weir-main', sentinels: group.addresses };
    await start(way, way);
  }, 60_000);
  afterAll(async () => {
    for (const server of group.servers) server.resume();
    await stop();
  });

  test('are revoked at its successor, which is listened to although the old connection still stands', async () => {
    const { key, kept } = await issue();
    expect(await statuses(key)).toEqual([200, 200]);
    const [primary] = group.servers;
    await primary!.client.wait(1, 5_000);
    primary!.pause();
    await until(async () => {
      await revoke(kept).catch(() => {});
      return all(await statuses(key), 401);
    });
    expect(await liveAndDie()).toEqual([401, 401]);
  });
});
