import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#core/clock.ts';
import { silentLogger } from '#core/log.ts';
import { newApiKey, prefixOf, type NewApiKey } from '#policies/auth/api-keys/format.ts';
import type { KeyRecord } from '#policies/auth/api-keys/key-record.ts';
import { KeyStore } from '#policies/auth/api-keys/key-store.ts';
import { redisSchema } from '#gateway/redis/settings.ts';
import { RedisStore } from '#gateway/redis/redis-store.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let redis: TestRedis;
/** Two instances and one Redis. */
let gateways: TestGateway[];
let store: RedisStore;
let keys: KeyStore;

beforeAll(async () => {
  upstream = await startUpstream((request, response) => {
    if (request.url !== '/events') response.end('ok');
    else response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: tick\n\n');
  });
  redis = await startRedis();
  gateways = await Promise.all([startGateway(configuration()), startGateway(configuration())]);
  store = new RedisStore(redisSchema.parse({ url: redis.url, timeout: '1s' }), silentLogger);
  store.start();
  await until(() => store.up);
  keys = new KeyStore(store);
});

afterAll(async () => {
  store.stop();
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await redis.close();
  await upstream.close();
});

function configuration(apiKeys: object = {}, timeout = '1s') {
  return {
    redis: { url: redis.url, timeout },
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [
      { path: '/private', upstream: 'service', auth: 'required' },
      { path: '/events', upstream: 'service', auth: 'required' },
      { path: '/read', upstream: 'service', auth: { scopes: { all: ['orders:read'] } } },
    ],
    auth: { apiKeys },
  };
}

async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await happened())) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function issue(record: Partial<KeyRecord> = {}): Promise<NewApiKey & { record: KeyRecord }> {
  const made = newApiKey();
  const full: KeyRecord = {
    id: crypto.randomUUID(),
    prefix: prefixOf(made.key),
    consumer: 'acme',
    name: '',
    scopes: [],
    methods: [],
    allowIps: [],
    createdMs: systemClock.epochMs(),
    createdBy: 'test',
    ...record,
  };
  await keys.put({ hash: made.hash, record: full });
  return { ...made, record: full };
}

async function status(key: string, at = gateways[0]!, path = '/private', method = 'GET'): Promise<number> {
  return (await fetch(`${at.url}${path}`, { method, headers: { 'x-api-key': key } })).status;
}

describe('An issued key', () => {
  it('works at every instance, shows the consumer, and goes no further', async () => {
    const { key } = await issue({ scopes: ['orders:read'] });
    for (const gateway of gateways) expect(await status(key, gateway)).toBe(200);
    const { headers } = upstream.requests.at(-1)!;
    expect(headers).toMatchObject({
      'x-weir-consumer': 'acme',
      'x-weir-tier': 'default',
      'x-weir-scopes': 'orders:read',
    });
    expect(headers).not.toHaveProperty('x-api-key');
    expect(await status(key, gateways[0], '/read')).toBe(200);
    expect(await status((await issue()).key, gateways[0], '/read')).toBe(403);
  });

  it('is refused when it is not known, mistyped, or not a key at all', async () => {
    expect(await status(newApiKey().key)).toBe(401);
    const { key } = await issue();
    expect(await status(`${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`)).toBe(401);
    expect(await status('hello')).toBe(401);
    expect(await status('')).toBe(401);
    expect(await status('x'.repeat(5_000))).toBe(401);
  });

  it('is good for its methods, its addresses and its time alone', async () => {
    const readOnly = await issue({ methods: ['GET', 'HEAD'] });
    expect(await status(readOnly.key)).toBe(200);
    expect(await status(readOnly.key, gateways[0], '/private', 'POST')).toBe(403);
    expect(await status((await issue({ allowIps: ['10.0.0.0/8'] })).key)).toBe(401);
    expect(await status((await issue({ allowIps: ['127.0.0.0/8'] })).key)).toBe(200);
    expect(await status((await issue({ expiresMs: systemClock.epochMs() - 1 })).key)).toBe(401);
    expect(await status((await issue({ expiresMs: systemClock.epochMs() + 60_000 })).key)).toBe(200);
  });

  it('that is revoked is refused by every instance within a second', async () => {
    const { key, hash, record } = await issue();
    for (const gateway of gateways) expect(await status(key, gateway)).toBe(200);
    await keys.put({ hash, record: { ...record, revokedMs: systemClock.epochMs() } });
    const began = performance.now();
    for (const gateway of gateways) await until(async () => (await status(key, gateway)) === 401);
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it('that is revoked takes the event streams with it that it began, at every instance', async () => {
    const { key, hash, record } = await issue();
    const other = await issue();
    const open = async (shown: string) =>
      Promise.all(gateways.map(({ url }) => fetch(`${url}/events`, { headers: { 'x-api-key': shown } })));
    const ending = await open(key);
    const staying = (await open(other.key)).map((response) => response.body!.getReader());
    await keys.put({ hash, record: { ...record, revokedMs: systemClock.epochMs() } });
    for (const response of ending) await expect(response.text()).rejects.toThrow();
    for (const reader of staying) {
      expect((await reader.read()).done).toBe(false);
      await reader.cancel();
    }
  });

  it('that is revoked while an instance hears nothing is refused within a second all the same', async () => {
    const { key, hash, record } = await issue();
    for (const gateway of gateways) expect(await status(key, gateway)).toBe(200);
    for (let round = 0; round < 5; round++) await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await keys.put({ hash, record: { ...record, revokedMs: systemClock.epochMs() } });
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    const began = performance.now();
    for (const gateway of gateways) await until(async () => (await status(key, gateway)) === 401);
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('is counted without a write for each use', async () => {
    const { key, record } = await issue();
    for (let use = 0; use < 20; use++) expect(await status(key)).toBe(200);
    const before = await commands();
    for (let use = 0; use < 200; use++) expect(await status(key)).toBe(200);
    expect((await commands()) - before).toBeLessThan(50);
    await until(async () => (await keys.usesOf(record.id)).count === 220);
    expect((await keys.usesOf(record.id)).lastUsedMs).toBeGreaterThan(systemClock.epochMs() - 60_000);
  });
});

async function commands(): Promise<number> {
  const info = await redis.client.info('stats');
  return Number(/total_commands_processed:(\d+)/.exec(info)?.[1]);
}

describe('With Redis in trouble', () => {
  it('a known key works for maxStale and not longer; an unknown one is 503, never let in; both work again after', async () => {
    const own = await startGateway(configuration({ maxStale: '1500ms' }, '100ms'));
    const { key } = await issue();
    const late = await issue();
    await until(async () => (await status(key, own)) === 200);
    const confirmed = performance.now();
    redis.pause();
    expect(await status(key, own)).toBe(200);
    expect(await status(late.key, own)).toBe(503);
    await redis.kill();
    await until(async () => (await status(key, own)) === 503);
    expect(performance.now() - confirmed).toBeGreaterThan(1_000);
    await redis.restart();
    await until(() => store.up);
    await keys.put({ hash: late.hash, record: late.record });
    await until(async () => (await status(late.key, own)) === 200);
    // It came back empty: what it does not know any more is not let in.
    await until(async () => (await status(key, own)) === 401);
    await own.stop();
  });
});
