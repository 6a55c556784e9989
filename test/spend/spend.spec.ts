import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SpendReport } from '#gateway/spend/report.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let redis: TestRedis;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => response.end('ok'));
  redis = await startRedis();
});

afterAll(async () => {
  await redis.close();
  await upstream.close();
});

const configuration = (more: object = {}) => ({
  upstreams: {
    orders: { endpoints: [upstream.url], weight: 2 },
    users: { endpoints: [upstream.url], weight: 0.25 },
  },
  routes: [
    { name: 'orders', path: '/orders{/*rest}', upstream: 'orders' },
    { name: 'users', path: '/users', upstream: 'users' },
  ],
  ...more,
});

const get = async (gateway: TestGateway, path: string) => (await fetch(gateway.url + path)).text();

async function spendOf(gateway: TestGateway, query = ''): Promise<SpendReport> {
  const response = await fetch(`${gateway.adminUrl}/admin/spend${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as SpendReport;
}

describe('/admin/spend', () => {
  test('says who spends what on which upstream, in calls by their weights', async () => {
    const gateway = await startGateway(configuration());
    try {
      for (const path of ['/orders/1', '/orders/2', '/users']) await get(gateway, path);
      expect(await spendOf(gateway)).toMatchObject({
        minutes: 5,
        instances: 'this',
        calls: 3,
        cost: 4.25,
        lines: [
          { consumer: 'anonymous', upstream: 'orders', operation: 'orders', calls: 2, cost: 4 },
          { consumer: 'anonymous', upstream: 'users', operation: 'users', calls: 1, cost: 0.25 },
        ],
      });
      expect((await spendOf(gateway, '?by=upstream&top=1&minutes=60')).lines).toEqual([
        { upstream: 'orders', calls: 2, cost: 4, share: 0.941 },
      ]);
      const wrong = await fetch(`${gateway.adminUrl}/admin/spend?minutes=7&by=colour`);
      expect(wrong.status).toBe(400);
      expect(await wrong.text()).toContain('write 1, 5, 60');
    } finally {
      await gateway.stop();
    }
  });

  test('is of all instances on one Redis, and of this one alone while Redis is gone', async () => {
    const shared = configuration({ redis: { url: redis.url, timeout: '1s' } });
    const [one, other] = [await startGateway(shared), await startGateway(shared)];
    try {
      for (const gateway of [one, other])
        await expect.poll(() => gateway.log.some(({ msg }) => msg === 'redis connected')).toBe(true);
      await get(one, '/orders/1');
      await get(other, '/orders/2');
      // What the other has spent is there once it has reported.
      await expect.poll(async () => (await spendOf(one)).calls, { timeout: 15_000 }).toBe(2);
      expect(await spendOf(other)).toMatchObject({ instances: 'all', calls: 2, cost: 4 });
      await redis.kill();
      await expect.poll(() => spendOf(one)).toMatchObject({ instances: 'this', calls: 1 });
    } finally {
      await Promise.all([one.stop(), other.stop()]);
    }
  });
});
