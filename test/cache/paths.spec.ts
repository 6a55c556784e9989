import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Invalidation } from '#upstreams/cache/invalidation.ts';
import { MemoryStore, pathOf } from '#upstreams/cache/memory-store.ts';
import { cacheSchema } from '#upstreams/cache/settings.ts';
import { weirAt } from '../cli/running.ts';
import { untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, until } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { forgetMemory, startSharing, untilShared } from './levels.ts';
import { asking, oneName, startCacheService, type CacheService } from './service.ts';

/** One path may be written in several ways: what is stored of it is found by each. Two instances share what they store. */

let service: CacheService;
let redis: TestRedis;
let one: TestGateway;
let other: TestGateway;
const ask = asking(() => one.url, oneName);
const askOther = asking(() => other.url, oneName);

beforeAll(async () => {
  service = await startCacheService();
  redis = await startRedis();
  const config = {
    upstreams: { things: { endpoints: [service.url], identity: 'none' } },
    routes: [{ path: '/{*rest}', upstream: 'things' }],
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

/** The machine may be busy. */
const patient = { timeout: 15_000 };

async function isStored(path: string, at = ask): Promise<boolean> {
  return (await at(path, { 'cache-control': 'only-if-cached' })).status === 200;
}

/** Has it stored in the memory of both instances, and in Redis. */
async function store(path: string): Promise<void> {
  service.answer(path, (request, response) => {
    const read = request.method === 'GET';
    response.writeHead(read ? 200 : 204, read ? { 'cache-control': 'max-age=3600', 'content-length': 0 } : {}).end();
  });
  for (const at of [ask, askOther])
    await expect.poll(async () => (await at(path), isStored(path, at)), patient).toBe(true);
  await untilShared(one);
}

/** It is stored nowhere any more. */
async function expectGone(path: string): Promise<void> {
  expect(await isStored(path)).toBe(false);
  await expect.poll(() => isStored(path, askOther), patient).toBe(false);
  await untilShared(other);
  // What lies in Redis.
  for (const gateway of [one, other]) forgetMemory(gateway);
  for (const at of [ask, askOther]) expect(await isStored(path, at)).toBe(false);
}

async function purge(url: string) {
  const answer = await send(`${one.adminUrl}/admin/cache/purge`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ by: 'ann', url }),
  });
  return { status: answer.status, text: answer.text };
}

async function shown(url: string): Promise<unknown> {
  const answer = await send(`${one.adminUrl}/admin/cache?${new URLSearchParams({ url }).toString()}`);
  return (answer.json().answers as readonly { url: string }[]).map(({ url: target }) => target);
}

describe('An operator finds what is stored', () => {
  test.each([
    '/odd/{x}',
    '/odd/a"b',
    '/odd/a^b',
    '/odd/a|b',
    '/odd/a`b',
    '/odd/<a>',
    "/odd/a'b",
    '/odd/a;b=1',
    '/odd//a',
    '/odd/%7Bx%7D',
    '/odd/%2Fa',
    '/odd/a:b@c',
  ])('of %s by just that', async (path) => {
    await store(path);
    expect(await shown(path)).toEqual([path]);
    expect(await purge(path)).toEqual({ status: 200, text: '{"purged":1}' });
    await expectGone(path);
  });

  test.each([
    ['/as/{x}?a=1#b', '/as/{x}'],
    ['/as/{x}#b?a=1', '/as/{x}'],
    ['http://things.example/as/{y}?a=1', '/as/{y}'],
    ['HTTPS://things.example:8443/as/{z}#b', '/as/{z}'],
    ['//things.example/as/"', '/as/"'],
    ['http://things.example?a', '/'],
    ['/as/%7b%61%7D', '/as/%7Ba%7D'],
    ['/as/ä b', '/as/%C3%A4%20b'],
  ])('by %s, which names %s', async (url, path) => {
    await store(path);
    expect(await shown(url)).toEqual([path]);
    expect(await purge(url)).toEqual({ status: 200, text: '{"purged":1}' });
    await expectGone(path);
  });

  test('from the command line, too', async () => {
    await store('/cli/{x}');
    const weir = weirAt(one.adminUrl);
    const found = await weir('cache', 'show', '--url', '/cli/{x}');
    expect(found.status).toBe(0);
    expect(found.stdout).toMatch(/^ +things +\/cli\/\{x\} /m);
    const done = await weir('cache', 'purge', '--url', '/cli/{x}', '--by', 'ann');
    expect(done).toMatchObject({ status: 0, stdout: 'One answer is no longer stored.\n' });
  });

  test.each([
    'orders/7',
    '*',
    'http://[',
    'http:///orders',
    '///orders',
    'ftp://things.example/orders',
    'http:/orders',
  ])('by no %s, and is told what to write', async (url) => {
    const { status, text } = await purge(url);
    expect(status).toBe(400);
    expect(text).toContain('write a path such as /orders/7');
  });
});

describe('Hex digits of a percent-encoding are the same in either case (RFC 3986 §6.2.2.1)', () => {
  test.each([
    ['/hex/%c3%a9', '/hex/%C3%A9'],
    ['/hex/%C3%a8', '/hex/%c3%A8'],
    ['/hex/%2fa', '/hex/%2Fa'],
  ])('for what is stored of %s and a write to %s', async (path, written) => {
    await store(path);
    await store(`${path}/part`);
    service.answer(written, { status: 204 });
    expect((await ask(written, {}, { method: 'PATCH', body: '{}' })).status).toBe(204);
    await expectGone(path);
    // The collection is as the member's path has it.
    await store(path);
    service.answer(`${written}/part`, { status: 204 });
    await ask(`${written}/part`, {}, { method: 'DELETE' });
    await expectGone(path);
  });

  test('for what another instance has written', async () => {
    await store('/hex/%c3%b6');
    service.answer('/hex/%C3%B6', { status: 204 });
    await askOther('/hex/%C3%B6', {}, { method: 'PATCH', body: '{}' });
    await expect.poll(() => isStored('/hex/%c3%b6'), patient).toBe(false);
    await expectGone('/hex/%c3%b6');
  });

  test('for what Location names, which may encode what need not be (§6.2.2.2)', async () => {
    await store('/hex/%c3%bc-7');
    service.answer('/elsewhere', { status: 201, headers: { location: '/hex/%C3%BC%2D%37' } });
    await ask('/elsewhere', {}, { method: 'POST', body: '{}' });
    await expectGone('/hex/%c3%bc-7');
  });

  test('for operators, though the service is asked as the client has written it', async () => {
    await store('/hex/%c3%9f');
    expect(service.asked('/hex/%c3%9f').length).toBeGreaterThan(0);
    expect(service.asked('/hex/%C3%9F')).toEqual([]);
    expect(await shown('/hex/%C3%9f')).toEqual(['/hex/%c3%9f']);
    expect(await purge('/hex/%C3%9F')).toMatchObject({ text: '{"purged":1}' });
    await expectGone('/hex/%c3%9f');
  });

  test('for a read that was under way when a write came: what it brings is not stored', async () => {
    let answer!: () => void;
    service.answer('/hex/%c3%a5', (_, response) => {
      answer = () => void response.writeHead(200, { 'cache-control': 'max-age=3600', 'content-length': 0 }).end();
    });
    service.answer('/hex/%C3%A5', { status: 204 });
    const reading = ask('/hex/%c3%a5');
    await until(() => service.asked('/hex/%c3%a5').length === 1);
    await ask('/hex/%C3%A5', {}, { method: 'PATCH', body: '{}' });
    answer();
    expect((await reading).status).toBe(200);
    await expectGone('/hex/%c3%a5');
  });
});

describe('The form in which paths are compared', () => {
  const piece = fc.constantFrom(
    '/',
    'a',
    'Z',
    '%c3%a9',
    '%C3%a9',
    '%2f',
    '%2F',
    '%7e',
    '~',
    '%41',
    '%25',
    '%2541',
    '{',
  );
  const path = fc.array(piece, { maxLength: 10 }).map((pieces) => `/${pieces.join('')}`);

  test('is its own, names the same, and has no query', () => {
    fc.assert(
      fc.property(path, fc.constantFrom('', '?', '?%c3=/&?'), (text, query) => {
        const normal = pathOf(text + query);
        expect(pathOf(normal)).toBe(normal);
        expect(decodeURIComponent(normal)).toBe(decodeURIComponent(text));
        expect(normal).not.toMatch(/%(?:[a-f]|.[a-f]|2[DE]|3\d|4[1-9A-F]|5[\dAF]|6[1-9A-F]|7[\dAE])/);
      }),
    );
  });

  test('is that in which others are told of them, and in which marks hold', () => {
    const memory = new MemoryStore(cacheSchema.parse({}));
    const told: Invalidation[] = [];
    memory.onWritten((news) => told.push(news));
    const mark = memory.shelf('things').mark('/%c3%a9?a=%c3', []);
    memory.invalidate({ upstream: 'things', paths: ['/%C3%a8'], tags: ['%c3'] });
    expect(mark.holds()).toBe(true);
    memory.apply({ upstream: 'things', paths: ['/%C3%a9'] });
    expect(mark.holds()).toBe(false);
    expect(told).toEqual([{ upstream: 'things', paths: ['/%C3%A8'], tags: ['%c3'] }]);
  });
});
