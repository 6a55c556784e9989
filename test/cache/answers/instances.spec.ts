import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { send, until } from '../../support/raw-client.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { forHour, startAnswerServer, type AnswerServer } from './server.ts';

/** The machine may be busy. */
const patient = { timeout: 15_000 };

const query = '{ things(first: 1) { name } }';

for (const shared of [false, true]) {
  describe(`Two instances on one Redis, ${shared ? 'which holds what upstreams answered' : 'each with a store of its own'}`, () => {
    let redis: TestRedis;
    let one: AnswerServer;
    let other: AnswerServer;
    let version = 0;

    beforeAll(async () => {
      redis = await startRedis();
      const config = { redis: { url: redis.url }, cache: { redis: shared } };
      [one, other] = await Promise.all([startAnswerServer(config), startAnswerServer(config)]);
      await until(async () => {
        const channels = (await redis.client.pubsub('CHANNELS', 'weir:v1:cache*')) as string[];
        const counts = await Promise.all(channels.map(async (name) => (await redis.client.pubsub('NUMSUB', name))[1]));
        return counts.some((count) => count === 2);
      });
    });

    afterAll(async () => {
      await Promise.all([one.stop(), other.stop()]);
      await redis.close();
    });

    beforeEach(() => shelve());

    /** Both services have the same, as the one service behind both would. */
    function shelve(): void {
      version++;
      const items = [{ id: '1', name: `version ${version}` }];
      for (const { gives, service } of [one, other]) {
        gives('/things', { items }, { ...forHour, 'surrogate-key': 'red' });
        service.answer('/things/1', { status: 204 });
      }
    }

    const name = async (server: AnswerServer) =>
      ((await server.post(query)).json().data as { things: { name: string }[] }).things[0]!.name;
    const hit = async (server: AnswerServer) =>
      String((await server.post(query)).headers['cache-status']).startsWith('weir; hit');

    /** Both give out finished answers. */
    async function settle(): Promise<void> {
      for (const server of [one, other]) await expect.poll(() => hit(server), patient).toBe(true);
    }

    test.each<[string, () => Promise<unknown>]>([
      ['a PATCH by REST', () => send(`${one.url}/v1/things/1`, { method: 'PATCH', body: '{}' })],
      ['a mutation', () => one.post('mutation { rename(id: "1", name: "x") { id } }')],
      ['purging a tag', () => purge({ tag: 'red' })],
      ['purging a URL', () => purge({ url: '/things' })],
      ['purging an upstream', () => purge({ upstream: 'things' })],
    ])('what one has made is good no longer after %s at the other', async (_, write) => {
      await settle();
      shelve();
      await write();
      for (const server of [one, other]) await expect.poll(() => name(server), patient).toBe(`version ${version}`);
    });

    const purge = (what: object) =>
      send(`${one.adminUrl}/admin/cache/purge`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ by: 'ann', ...what }),
      });

    test('nor is what was made while news may have been missed', async () => {
      await settle();
      shelve();
      await redis.restart();
      for (const server of [one, other]) await expect.poll(() => name(server), patient).toBe(`version ${version}`);
    });
  });
}
