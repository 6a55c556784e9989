import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '#core/log.ts';
import { RedisStore } from '#gateway/redis/redis-store.ts';
import { redisSchema } from '#gateway/redis/settings.ts';
import { until } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

let redis: TestRedis;
let store: RedisStore;

beforeAll(async () => {
  redis = await startRedis();
  store = new RedisStore(redisSchema.parse({ url: redis.url, timeout: '10s' }), silentLogger);
  store.start();
});

afterAll(async () => {
  store.stop();
  await redis.close();
});

describe('A store that listens', () => {
  test('subscribes again once when its connection is back, and nothing but itself does: a refusal has somebody to hear it', async () => {
    const heard = { resumed: 0, lost: 0, messages: [] as string[] };
    store.listen('news', {
      message: (text) => heard.messages.push(text),
      resumed: () => heard.resumed++,
      lost: () => heard.lost++,
    });
    await until(() => heard.resumed === 1);
    const subscribed: string[] = [];
    const monitor = await redis.client.monitor();
    monitor.on('monitor', (_time: string, [command, ...channels]: string[]) => {
      if (command?.toLowerCase() === 'subscribe') subscribed.push(...channels);
    });
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until(() => heard.resumed >= 2);
    const channel = `${store.prefix}news`;
    await redis.client.publish(channel, 'hello');
    await until(() => heard.messages.length > 0);
    expect(subscribed).toEqual([channel]);
    expect(heard).toEqual({ resumed: 2, lost: 1, messages: ['hello'] });
    monitor.disconnect();
  });
});
