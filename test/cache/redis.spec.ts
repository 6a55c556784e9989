import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { format } from '#upstreams/cache/second-level/codec.ts';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { exposition } from '../telemetry/exposition.ts';
import { forgetMemory, startSharing, untilShared } from './levels.ts';
import { asking, oneName, startCacheService, type CacheService } from './service.ts';

/** Two instances that share what they store. */

const acme = newApiKey();
const rival = newApiKey();
const bearing = ({ key }: { key: string }) => ({ 'x-api-key': key });

let service: CacheService;
let redis: TestRedis;
let one: TestGateway;
let other: TestGateway;
const askOne = asking(() => one.url, oneName);
const askOther = asking(() => other.url, oneName);

beforeAll(async () => {
  service = await startCacheService();
  redis = await startRedis();
  const config = {
    upstreams: {
      things: { endpoints: [service.url], identity: 'none', retry: { attempts: 0 } },
      more: { endpoints: [service.url], identity: 'none' },
      known: { endpoints: [service.url] },
    },
    routes: [
      { path: '/{*rest}', upstream: 'things' },
      { path: '/more{/*rest}', upstream: 'more' },
      { path: '/known{/*rest}', upstream: 'known' },
    ],
    consumers: [
      { id: 'acme-limited', keys: [acme.hash] },
      { id: 'rival', keys: [rival.hash] },
    ],
  };
  [one, other] = await Promise.all([startSharing(redis, config), startSharing(redis, config)]);
  await until(async () => (await redis.client.pubsub('NUMSUB', 'weir:v1:cache'))[1] === 2);
});

afterAll(async () => {
  await Promise.all([untilIdle(one), untilIdle(other)]);
  await Promise.all([one.stop(), other.stop()]);
  await redis.close();
  await service.close();
});

const patient = { timeout: 15_000 };
const fresh = { 'cache-control': 'max-age=3600' };
const statusOf = (answer: { headers: NodeJS.Dict<string | string[]> }) => String(answer.headers['cache-status']);

/** Has paths stored in Redis, and in no memory. */
async function storeInRedis(paths: readonly string[], headers: Record<string, string> = {}): Promise<void> {
  for (const path of paths) {
    service.answer(path, { headers: { ...fresh, ...headers } });
    await askOne(path);
  }
  await untilShared(one);
  for (const gateway of [one, other]) forgetMemory(gateway);
}

async function keys(pattern = '*'): Promise<string[]> {
  return (await redis.client.keys(pattern)).toSorted();
}

const records = () => keys(`weir:v1:-:cache:{*}:${format}:*`);

async function readsOf(gateway: TestGateway): Promise<number> {
  const reads = exposition((await send(`${gateway.adminUrl}/metrics`)).text).get('weir_cache_redis_reads_total')!;
  return reads.samples.reduce((sum, { value }) => sum + value, 0);
}

function purge(body: object, at = one) {
  const headers = { 'content-type': 'application/json' };
  const sent = JSON.stringify({ by: 'ann', ...body });
  return send(`${at.adminUrl}/admin/cache/purge`, { method: 'POST', headers, body: sent });
}

/** It is a hit for neither instance. */
async function isGone(path: string): Promise<boolean> {
  const asked = { 'cache-control': 'only-if-cached' };
  const answers = [await askOne(path, asked), await askOther(path, asked)];
  return answers.every(({ status }) => status === 504);
}

describe('What one instance has fetched', () => {
  test('is a hit for the other, byte for byte, with its age, and no call', async () => {
    const text = randomBytes(5_000).toString('hex');
    service.answer('/shared', { headers: { ...fresh, age: '30', etag: '"1"', 'x-own': 'ä' }, text });
    const first = await askOne('/shared');
    await untilShared(one);
    const second = await askOther('/shared');
    expect(second).toMatchObject({ status: 200, text });
    expect(second.headers).toMatchObject({ etag: '"1"', 'x-own': first.headers['x-own'], 'content-length': '10000' });
    expect(statusOf(second)).toMatch(/^weir; hit; ttl=35\d\d$/);
    expect(Number(second.headers.age)).toBeGreaterThanOrEqual(30);
    expect(service.asked('/shared')).toHaveLength(1);
    expect(await askOther('/shared', { 'if-none-match': '"1"' })).toMatchObject({ status: 304, text: '' });
    expect(await askOther('/shared', { range: 'bytes=0-3' })).toMatchObject({ status: 206, text: text.slice(0, 4) });
  });

  test('is a hit also for an instance whose client had it already, and was told so', async () => {
    service.answer('/had', (request, response) => {
      const status = request.headers['if-none-match'] === '"1"' ? 304 : 200;
      const length = status === 200 ? { 'content-length': '4' } : {};
      response.writeHead(status, { ...fresh, ...length, etag: '"1"' }).end(status === 200 ? 'text' : undefined);
    });
    expect((await askOne('/had', { 'if-none-match': '"1"' })).status).toBe(304);
    await askOther('/had');
    await untilShared(other);
    expect(statusOf(await askOne('/had'))).toContain('hit');
    expect(service.asked('/had')).toHaveLength(2);
  });

  test('is in its memory from then on, which asks Redis nothing', async () => {
    await storeInRedis(['/memory']);
    await askOther('/memory');
    const before = await readsOf(other);
    for (let times = 0; times < 10; times++) expect(statusOf(await askOther('/memory'))).toContain('hit');
    expect(await readsOf(other)).toBe(before);
  });

  test('lies there compressed where that pays, for no longer than it is of use', async () => {
    const before = await records();
    const bodies = ['x'.repeat(50_000), randomBytes(50_000).toString('latin1')];
    for (const [index, text] of bodies.entries()) {
      service.answer(`/packed/${index}`, { headers: fresh, text });
      await askOne(`/packed/${index}`);
      await untilShared(one);
      expect((await askOther(`/packed/${index}`)).text).toBe(text);
      expect(service.asked(`/packed/${index}`)).toHaveLength(1);
    }
    const added = (await records()).filter((key) => !before.includes(key));
    expect(added).toHaveLength(2);
    for (const key of added) expect(await redis.client.pttl(key)).toBeLessThanOrEqual(3_600_000);
    const sizes = await Promise.all(added.map((key) => redis.client.strlen(key)));
    expect(Math.min(...sizes)).toBeLessThan(2_000);
    expect(Math.max(...sizes)).toBeGreaterThan(50_000);
  });

  test('is one of several where the upstream says Vary (RFC 9111 §4.1)', async () => {
    service.answer('/vary', (request, response) => {
      const text = String(request.headers['accept-language']);
      response.writeHead(200, { ...fresh, vary: 'Accept-Language', 'content-length': text.length }).end(text);
    });
    for (const language of ['de', 'en']) await askOne('/vary', { 'accept-language': language });
    await untilShared(one);
    for (const language of ['en', 'de', 'DE']) {
      forgetMemory(other);
      const answer = await askOther('/vary', { 'accept-language': language });
      expect([answer.text, statusOf(answer)]).toEqual([language.toLowerCase(), expect.stringContaining('hit')]);
    }
    expect(service.asked('/vary')).toHaveLength(2);
    expect(statusOf(await askOther('/vary', { 'accept-language': 'fr' }))).toContain('fwd=vary-miss');
  });

  test('is for whom the upstream was shown, and nobody else', async () => {
    service.answer('/known/1', (request, response) => {
      const text = String(request.headers['x-weir-consumer']);
      response.writeHead(200, { ...fresh, 'content-length': text.length }).end(text);
    });
    await askOne('/known/1', bearing(acme));
    await untilShared(one);
    expect((await askOther('/known/1', bearing(rival))).text).toBe('rival');
    expect((await askOther('/known/1')).text).toBe('anonymous');
    const again = await askOther('/known/1', bearing(acme));
    expect([again.text, statusOf(again)]).toEqual(['acme-limited', expect.stringContaining('hit')]);
    expect(service.asked('/known/1')).toHaveLength(3);
  });

  test('lies under keys with tenant and format, which show nobody; all but the state expire by themselves', async () => {
    await storeInRedis(['/known/keys'], { 'surrogate-key': 'blue', vary: 'accept-language' });
    const pattern = new RegExp(
      String.raw`^weir:v1:-:cache:\{[\w-]{22}\}:(lease|tagged|purged|${format}:[\w-]{22}(:[\w-]{22})?)$|:\{state\}$`,
    );
    for (const key of await keys()) {
      if (!key.includes(':cache:')) continue;
      expect(key).toMatch(pattern);
      expect(key.includes('{state}') || (await redis.client.pttl(key)) > 0).toBe(true);
    }
    const all = await Promise.all((await records()).map((key) => redis.client.getBuffer(key)));
    for (const bytes of all) expect(bytes!.toString('latin1')).not.toMatch(/(?:acme-limited|anonymous)\n/);
  });

  test('is not stored there where it cannot be stored at all, and then Redis is not asked again', async () => {
    service.answer('/never', { headers: { 'cache-control': 'no-store' } });
    await askOne('/never');
    const before = await readsOf(one);
    for (let times = 0; times < 5; times++) await askOne('/never');
    expect(await readsOf(one)).toBe(before);
    service.answer('/never', { headers: fresh });
    await askOne('/never');
    expect(statusOf(await askOne('/never'))).toContain('hit');
  });
});

describe('What one instance has made invalid', () => {
  test('by a write is found by nobody, though it lies only in Redis', async () => {
    await storeInRedis(['/written', '/written/7', '/unwritten']);
    service.answer('/written/7', { status: 204 });
    await askOther('/written/7', {}, { method: 'PATCH', body: 'x' });
    await untilShared(other);
    expect([await isGone('/written'), await isGone('/written/7'), await isGone('/unwritten')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('by tag is found by nobody, though it lies only in Redis; what has it not stays', async () => {
    await storeInRedis(['/tagged/1', '/tagged/2'], { 'surrogate-key': 'red blue' });
    await storeInRedis(['/more/3'], { 'cache-groups': '"blue"' });
    await storeInRedis(['/tagged/4'], { 'surrogate-key': 'red' });
    await purge({ tag: 'blue' });
    await untilShared(one);
    const gone = await Promise.all(['/tagged/1', '/tagged/2', '/more/3', '/tagged/4'].map(isGone));
    expect(gone).toEqual([true, true, true, false]);
  });

  test('by tag is no more than what has the tag: thousands of others are not looked at', async () => {
    await storeInRedis(['/few/1'], { 'surrogate-key': 'few' });
    const paths = Array.from({ length: 300 }, (_, index) => `/many/${index}`);
    await storeInRedis(paths, { 'surrogate-key': 'many' });
    const calls = async () => {
      const stats = await redis.client.info('commandstats');
      const of = (name: string) => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
      return [of('unlink'), of('scan') + of('keys')];
    };
    const [before, scans] = await calls();
    await purge({ tag: 'few', upstream: 'things' });
    await untilShared(one);
    expect(await calls()).toEqual([before! + 1, scans]);
    expect([await isGone('/few/1'), await isGone('/many/7')]).toEqual([true, false]);
    await purge({ tag: 'many' });
    await untilShared(one);
    for (const path of ['/many/0', '/many/150', '/many/299']) expect(await isGone(path)).toBe(true);
  });

  test('by URL and by upstream is found by nobody', async () => {
    await storeInRedis(['/url/1', '/more/1', '/more/2', '/url/2']);
    await askOne('/url/1?a=1');
    await untilShared(one);
    await purge({ url: '/url/1' });
    await untilShared(one);
    expect([await isGone('/url/1'), await isGone('/url/1?a=1'), await isGone('/url/2')]).toEqual([true, true, false]);
    await purge({ upstream: 'more' }, other);
    await untilShared(other);
    await expect.poll(() => isGone('/more/1'), patient).toBe(true);
    expect([await isGone('/more/2'), await isGone('/url/2')]).toEqual([true, false]);
  });

  test.each([{ tag: 'rolled' }, { url: '/more/rolled' }])(
    'at an instance of another configuration, which does not know the upstream, is found by nobody: %j',
    async (what) => {
      const third = await startSharing(redis, {
        upstreams: { things: { endpoints: [service.url], identity: 'none' } },
        routes: [{ path: '/{*rest}', upstream: 'things' }],
      });
      try {
        await storeInRedis(['/more/rolled'], { 'surrogate-key': 'rolled' });
        expect((await purge(what, third)).status).toBe(200);
        await expect.poll(() => isGone('/more/rolled'), patient).toBe(true);
      } finally {
        await untilIdle(third);
        await third.stop();
      }
    },
  );

  test('is stored by nobody who asked before, however late he is', async () => {
    let held: ServerResponse | undefined;
    service.answer('/late', (request, response) => {
      if (request.method !== 'GET') response.writeHead(204).end();
      else if (held) response.writeHead(200, { ...fresh, 'content-length': 3 }).end('new');
      else held = response;
    });
    const late = askOne('/late');
    await until(() => held !== undefined);
    await askOther('/late', {}, { method: 'PUT', body: 'x' });
    await untilShared(other);
    held!.writeHead(200, { ...fresh, 'content-length': 3 }).end('old');
    expect((await late).text).toBe('old');
    await untilShared(one);
    forgetMemory(one);
    for (const ask of [askOther, askOne]) expect((await ask('/late')).text).toBe('new');
  });
});

describe('Revalidation', () => {
  test('in the background is one call of all instances (RFC 5861 §3)', async () => {
    const held: ServerResponse[] = [];
    const headers = { 'cache-control': 'max-age=3600, stale-while-revalidate=86400', 'content-length': 1 };
    service.answer('/swr', (_, response) => {
      if (service.asked('/swr').length === 1) response.writeHead(200, { ...headers, age: '7200' }).end('0');
      else held.push(response);
    });
    await askOne('/swr');
    await untilShared(one);
    for (let times = 0; times < 3; times++) {
      const answers = await Promise.all([askOne('/swr'), askOther('/swr'), askOther('/swr')]);
      expect(answers.map(({ text }) => text)).toEqual(['0', '0', '0']);
      // Longer than it takes until it is looked again.
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    await until(() => held.length > 0);
    expect(service.asked('/swr')).toHaveLength(2);
    for (const response of held) response.writeHead(200, headers).end('1');
    for (const ask of [askOne, askOther]) await expect.poll(async () => (await ask('/swr')).text, patient).toBe('1');
    expect(service.asked('/swr')).toHaveLength(2);
  });

  test('that a client waits for is one call too, where it is soon done', async () => {
    let gets = 0;
    service.answer('/validated', (request, response) => {
      gets++;
      const headers = { etag: '"1"', 'cache-control': 'max-age=3600' };
      if (request.headers['if-none-match'] === undefined)
        response.writeHead(200, { ...headers, age: '7200', 'content-length': 1 }).end('0');
      else setTimeout(() => response.writeHead(304, headers).end(), 30);
    });
    await askOne('/validated');
    await untilShared(one);
    const before = gets;
    const answers = await Promise.all([askOne('/validated'), askOther('/validated')]);
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [200, '0'],
      [200, '0'],
    ]);
    expect(gets).toBe(before + 1);
  });

  test('without Redis is each instance’s own', async () => {
    service.answer('/alone', {
      headers: { 'cache-control': 'max-age=3600, stale-while-revalidate=86400', age: '7200' },
    });
    await askOne('/alone');
    await untilShared(one);
    await askOther('/alone');
    await until(() => service.asked('/alone').length >= 2);
    await redis.kill();
    try {
      const before = service.asked('/alone').length;
      await expect
        .poll(async () => {
          for (const ask of [askOne, askOther]) expect((await ask('/alone')).text).toBe('stored');
          return service.asked('/alone').length;
        }, patient)
        .toBeGreaterThanOrEqual(before + 2);
    } finally {
      await redis.restart();
      await Promise.all([untilShared(one), untilShared(other)]);
    }
  });
});
