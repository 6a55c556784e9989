import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { asking, startCacheService, type CacheService } from './service.ts';

/** What a write makes invalid besides its own path, by which ways and however it ends. */

let service: CacheService;
let gateway: TestGateway;
const ask = asking(() => gateway.url);

beforeAll(async () => {
  service = await startCacheService();
});

beforeEach(async () => {
  service.requests.length = 0;
  const endpoints = [service.url];
  const fragile = { retry: { attempts: 1 }, attemptTimeout: '100ms', breaker: { failures: 1, openFor: '1h' } };
  gateway = await startGateway({
    upstreams: {
      things: { endpoints, identity: 'none', cache: { tags: ['goods'] } },
      more: { endpoints, identity: 'none', cache: { tags: ['goods'] } },
      fragile: { endpoints, identity: 'none', ...fragile },
      shadow: { endpoints, identity: 'none' },
    },
    routes: [
      { path: '/things{/*rest}', upstream: 'things' },
      { path: '/more{/*rest}', upstream: 'more' },
      { path: '/unstored{/*rest}', upstream: 'things', cache: false },
      { path: '/fragile{/*rest}', upstream: 'fragile' },
      { path: '/api{/*rest}', upstream: 'shadow', rewrite: '{/*rest}' },
      {
        path: '/mirrored{/*rest}',
        upstream: 'fragile',
        mirror: { upstream: 'shadow', methods: ['PUT'] },
      },
      { path: '/prefixed{/*rest}', upstream: 'shadow', rewrite: '/svc/prefixed{/*rest}' },
      { path: '/shadow{/*rest}', upstream: 'shadow', rewrite: '/mirrored{/*rest}' },
    ],
  });
  return async () => {
    await untilIdle(gateway);
    await gateway.stop();
  };
});

afterAll(() => service.close());

const fresh = { 'cache-control': 'max-age=3600' };

async function store(path: string, upstreams = path): Promise<void> {
  service.answer(upstreams, { headers: fresh });
  await ask(path);
  expect(await isStored(path)).toBe(true);
}

async function isStored(path: string): Promise<boolean> {
  return (await ask(path, { 'cache-control': 'only-if-cached' })).status === 200;
}

const put = (path: string) => ask(path, {}, { method: 'PUT', body: '{}' });

describe('A write', () => {
  test('makes all with a tag of its route or upstream invalid, of whatever upstream', async () => {
    for (const path of ['/things/1', '/more/1', '/api/1']) await store(path, path.replace('/api', ''));
    service.answer('/things/far/away', { status: 204 });
    await put('/things/far/away');
    expect([await isStored('/things/1'), await isStored('/more/1'), await isStored('/api/1')]).toEqual([
      false,
      false,
      true,
    ]);
  });

  test('by a route with cache: false makes invalid what any other would', async () => {
    await store('/things/2');
    service.answer('/unstored/far/away', { status: 204 });
    await put('/unstored/far/away');
    expect(await isStored('/things/2')).toBe(false);
  });

  test('that was sent and not answered, and could not be sent again, may have been done', async () => {
    await store('/fragile/1');
    service.answer('/fragile/1', () => {});
    // The first attempt takes too long, which opens the breaker, so that there is no second.
    expect((await put('/fragile/1')).json()).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect(service.asked('/fragile/1')).toHaveLength(2);
    expect(await isStored('/fragile/1')).toBe(false);
  });

  test('that never left changes nothing', async () => {
    await store('/fragile/2');
    service.answer('/fragile/bad', { status: 500 });
    await ask('/fragile/bad');
    expect((await put('/fragile/2')).json()).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect(service.asked('/fragile/2')).toHaveLength(1);
    expect(await isStored('/fragile/2')).toBe(true);
  });

  test.each([
    ['as the service knows it', () => '/made/7'],
    ['as clients see it', () => `${gateway.url}/api/made/7`],
    ['as clients see it, without a host', () => '/api/made/7'],
  ])('makes what its Location names invalid, %s (RFC 9111 §4.4)', async (_, location) => {
    await store('/api/made/7', '/made/7');
    await store('/api/made/8', '/made/8');
    service.answer('/orders/new', { status: 201, headers: { location: location() } });
    await ask('/api/orders/new', {}, { method: 'POST', body: '{}' });
    expect([await isStored('/api/made/7'), await isStored('/api/made/8')]).toEqual([false, true]);
  });

  test('makes it invalid where the service has the path under another name before it', async () => {
    await store('/prefixed/7', '/svc/prefixed/7');
    service.answer('/svc/prefixed/new/one', { status: 201, headers: { location: '/prefixed/7' } });
    await ask('/prefixed/new/one', {}, { method: 'POST', body: '{}' });
    expect(await isStored('/prefixed/7')).toBe(false);
  });

  test('that is mirrored is one to the shadow, too', async () => {
    await store('/shadow/1', '/mirrored/1');
    service.answer('/mirrored/1', { status: 204 });
    await put('/mirrored/1');
    await expect.poll(() => isStored('/shadow/1')).toBe(false);
  });
});
