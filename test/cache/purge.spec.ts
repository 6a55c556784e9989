import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { weirAt } from '../cli/running.ts';
import { askEach, readyWorkers, startFleet } from '../support/fleet.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { exposition } from '../telemetry/exposition.ts';
import { asking, startCacheService, type CacheService } from './service.ts';

let service: CacheService;
let redis: TestRedis;
let gateway: TestGateway;
let other: TestGateway;
const ask = asking(() => gateway.url);
const askOther = asking(() => other.url);

beforeAll(async () => {
  service = await startCacheService();
  redis = await startRedis();
  const config = {
    redis: { url: redis.url },
    upstreams: {
      things: { endpoints: [service.url], identity: 'none', cache: { tags: ['everything'] } },
      more: { endpoints: [service.url], identity: 'none' },
    },
    routes: [
      { path: '/{*rest}', upstream: 'things' },
      { path: '/more{/*rest}', upstream: 'more' },
    ],
  };
  [gateway, other] = await Promise.all([startGateway(config), startGateway(config)]);
  // From here on each hears the other.
  await until(async () => (await redis.client.pubsub('NUMSUB', 'weir:v1:cache'))[1] === 2);
});

afterAll(async () => {
  await Promise.all([gateway.stop(), other.stop()]);
  await redis.close();
  await service.close();
});

/** The machine may be busy. */
const patient = { timeout: 15_000 };

const fresh = { 'cache-control': 'max-age=3600' };

async function isStored(path: string, at = ask): Promise<boolean> {
  return (await at(path, { 'cache-control': 'only-if-cached' })).status === 200;
}

/** Has these paths stored, by both instances. */
async function store(paths: readonly string[], headers: Record<string, string> = {}): Promise<void> {
  for (const path of paths) {
    service.answer(path, { headers: { ...fresh, ...headers } });
    for (const at of [ask, askOther])
      await expect.poll(async () => (await at(path), isStored(path, at)), patient).toBe(true);
  }
}

async function purge(body: object): Promise<{ status: number; json: Record<string, unknown> }> {
  const headers = { 'content-type': 'application/json' };
  const answer = await send(`${gateway.adminUrl}/admin/cache/purge`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ by: 'ann', ...body }),
  });
  return { status: answer.status, json: answer.json() };
}

describe('Purging', () => {
  test('by a tag of Surrogate-Key or Cache-Groups takes what has it, and tells how much, and who did it', async () => {
    await store(['/tag/1', '/tag/2'], { 'surrogate-key': 'red blue' });
    await store(['/tag/3'], { 'cache-groups': '"blue", "green";x=1' });
    await store(['/tag/4'], { 'surrogate-key': 'red' });
    expect(await purge({ tag: 'blue', reason: 'new prices' })).toEqual({ status: 200, json: { purged: 3 } });
    for (const path of ['/tag/1', '/tag/2', '/tag/3']) expect(await isStored(path)).toBe(false);
    expect(await isStored('/tag/4')).toBe(true);
    const line = gateway.log.find(({ happened }) => happened === 'cache purged');
    expect(line).toMatchObject({ by: 'ann', reason: 'new prices', tags: ['blue'], purged: 3 });
  });

  test('by URL takes it with whatever query', async () => {
    await store(['/url/1', '/url/2']);
    await ask('/url/1?a=1');
    expect(await purge({ url: '/url/1' })).toMatchObject({ json: { purged: 2 } });
    expect(await isStored('/url/1')).toBe(false);
    expect(await isStored('/url/2')).toBe(true);
  });

  test('by upstream takes all of it and nothing of others', async () => {
    await store(['/some', '/more/1']);
    await purge({ upstream: 'more' });
    expect([await isStored('/some'), await isStored('/more/1')]).toEqual([true, false]);
    await purge({ upstream: 'things', tag: 'everything' });
    expect(await isStored('/some')).toBe(false);
  });

  test('says what it needs', async () => {
    expect((await purge({})).status).toBe(400);
    expect((await purge({ tag: 'a', colour: 'b' })).status).toBe(400);
    const weir = weirAt(gateway.adminUrl);
    expect(await weir('cache', 'purge')).toMatchObject({ status: 2 });
    await store(['/cli'], { 'surrogate-key': 'cli' });
    const done = await weir('cache', 'purge', '--tag', 'cli');
    expect(done).toMatchObject({ status: 0, stdout: 'One answer is no longer stored.\n' });
  });

  test.each([
    ['--tag red', ['/more/1'], ['/more/2', '/things/1']],
    ['--url /more/1', ['/more/1', '/more/1?a=1'], ['/more/2']],
    ['--upstream more', ['/more/1', '/more/2'], ['/things/1']],
    ['--upstream more --url /things/1', [], ['/more/1', '/things/1']],
  ])('by `weir cache purge %s` takes that, from every instance, and nothing else', async (options, gone, kept) => {
    await store(['/more/1'], { 'surrogate-key': 'red' });
    await store(['/more/2', '/things/1']);
    for (const at of [ask, askOther]) await at('/more/1?a=1');
    const weir = weirAt(gateway.adminUrl);
    expect(await weir('cache', 'purge', ...options.split(' '), '--by', 'ann')).toMatchObject({ status: 0 });
    for (const path of gone) {
      expect(await isStored(path)).toBe(false);
      await expect.poll(() => isStored(path, askOther), patient).toBe(false);
    }
    for (const path of kept) for (const at of [ask, askOther]) expect(await isStored(path, at)).toBe(true);
  });
});

describe('What one instance knows to be no longer so', () => {
  test('is gone from the others at once: writes, groups that they name (RFC 9875 §3), purges', async () => {
    await store(['/both', '/grouped'], { 'cache-groups': '"prices"' });
    service.answer('/elsewhere', { status: 204, headers: { 'cache-group-invalidation': '"prices"' } });
    await ask('/elsewhere', {}, { method: 'POST', body: 'x' });
    await expect.poll(() => isStored('/grouped', askOther), patient).toBe(false);
    await store(['/both']);
    service.answer('/both', { status: 204 });
    await ask('/both', {}, { method: 'DELETE' });
    await expect.poll(() => isStored('/both', askOther), patient).toBe(false);
    await store(['/purged'], { 'surrogate-key': 'x' });
    await purge({ tag: 'x' });
    await expect.poll(() => isStored('/purged', askOther), patient).toBe(false);
  });

  test('may have been missed while Redis was gone: all that was stored until then is gone too', async () => {
    await store(['/gone']);
    await redis.restart();
    await expect.poll(() => isStored('/gone', askOther), patient).toBe(false);
    await expect.poll(() => isStored('/gone'), patient).toBe(false);
  });

  test('is gone from all workers of a gateway, without Redis too', { timeout: 60_000 }, async () => {
    service.answer('/things/1', { headers: fresh });
    const fleet = await startFleet(service.url);
    try {
      const pids = await readyWorkers(fleet, 2);
      await askEach(fleet, pids, '/things/1');
      const before = service.asked('/things/1').length;
      await askEach(fleet, pids, '/things/1');
      expect(service.asked('/things/1')).toHaveLength(before);
      service.answer('/things/1', { headers: fresh, text: 'new' });
      await send(`${fleet.url}/things/1`, { method: 'POST', body: 'x' });
      await expect
        .poll(async () => [...(await askEach(fleet, pids, '/things/1')).values()].map(({ text }) => text))
        .toEqual(['new', 'new']);
    } finally {
      fleet.kill();
    }
  });
});

describe('Metrics', () => {
  test('tell what became of reads, what came from the store, and how full it is', async () => {
    await store(['/metrics/1']);
    const metrics = exposition((await send(`${gateway.adminUrl}/metrics`)).text);
    const reads = metrics.get('weir_cache_reads_total')!.samples;
    const of = (outcome: string) =>
      reads.find(({ labels }) => labels.weir_cache_outcome === outcome && labels.http_route === '/{*rest}')?.value;
    expect(of('hit')).toBeGreaterThan(0);
    expect(of('miss')).toBeGreaterThan(0);
    expect(metrics.get('weir_cache_served_bytes_total')!.samples[0]!.value).toBeGreaterThan(0);
    expect(metrics.get('weir_cache_entries')!.samples[0]!.value).toBeGreaterThan(0);
    expect(metrics.get('weir_cache_size_bytes')!.samples[0]!.value).toBeGreaterThan(1_000);
  });
});
