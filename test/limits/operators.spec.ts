import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { weirAt, type Weir } from '../cli/running.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let gateway: TestGateway;
let weir: Weir;

beforeEach(async () => {
  upstream = await startUpstream((_request, response) => void response.end('thing'));
});

afterEach(async () => {
  await gateway.stop();
  await upstream.close();
});

async function start(algorithm: string, more: object = {}): Promise<TestGateway> {
  gateway = await startGateway({
    upstreams: { things: { endpoints: [upstream.url] } },
    routes: [{ path: '/things', upstream: 'things' }],
    consumers: [{ id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] }],
    tiers: { pro: { limits: [{ name: 'hour', algorithm, quota: 10, window: '1h' }] } },
    ...more,
  });
  weir = weirAt(gateway.adminUrl);
  return gateway;
}

async function ask(count: number, { url } = gateway): Promise<number[]> {
  const statuses: number[] = [];
  for (let turn = 0; turn < count; turn++)
    statuses.push((await send(`${url}/things`, { headers: { 'x-api-key': 'acme-key' } })).status);
  return statuses;
}

describe('weir limit', () => {
  test.each(['sliding-window', 'token-bucket', 'fixed-window'])(
    'makes a %s smaller for a while, counting what has been used, and is what is written again',
    async (algorithm) => {
      await start(algorithm);
      expect(await ask(3)).toEqual([200, 200, 200]);
      const { stdout } = await weir('limit', 'hour', '--scale', '0.5', '--for', '1h', '--reason', 'spare them');
      expect(stdout).toContain("The limit 'hour' is 0.5 times what is written");
      expect(await ask(3)).toEqual(algorithm === 'token-bucket' ? expect.any(Array) : [200, 200, 429]);
      expect((await weir('status')).stdout).toContain('limit hour scale 0.5');
      expect((await weir('limit', 'hour', 'off')).stdout).toContain('is what is written again');
      const used = upstream.requests.length;
      expect(await ask(10 - used + 1)).toEqual([...Array.from({ length: 10 - used }, () => 200), 429]);
    },
  );

  test('makes one larger, and holds it over a reload', async () => {
    await start('sliding-window');
    await weir('limit', 'hour', '--scale', '1.2');
    await gateway.gateway.control.reload();
    expect((await ask(13)).filter((status) => status === 200)).toHaveLength(12);
    const line = gateway.log.find(({ msg, kind }) => msg === 'operator' && kind === 'limit');
    expect(line).toMatchObject({ target: 'hour', action: 'scale', happened: 'set' });
  });

  test('names the limits that there are, and wants a number', async () => {
    await start('sliding-window');
    const unknown = await weir('limit', 'minute', '--scale', '0.5');
    expect([unknown.status, unknown.stderr]).toEqual([1, expect.stringContaining("There is no limit 'minute'")]);
    expect((await weir('limit', 'hour')).status).toBe(2);
    expect((await weir('limit', 'hour', '--scale', '0')).status).toBe(2);
  });

  test('is in force in every gateway on the same Redis', async () => {
    const redis = await startRedis();
    const shared = { redis: { url: redis.url, timeout: '1s' } };
    const other = await start('sliding-window', shared);
    await start('sliding-window', shared);
    try {
      for (const each of [gateway, other])
        await expect
          .poll(async () => (await send(`${each.adminUrl}/readyz`)).json().limits)
          .toMatchObject({ counted: 'redis' });
      await weir('limit', 'hour', '--scale', '0.3');
      await expect.poll(async () => (await send(`${other.adminUrl}/admin/overrides`)).text).toContain('"scale":0.3');
      const statuses = [...(await ask(2)), ...(await ask(2, other))];
      expect(statuses).toEqual([200, 200, 200, 429]);
    } finally {
      await other.stop();
      await redis.close();
    }
  });
});
