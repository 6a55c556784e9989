import { startGateway, type TestConfig, type TestGateway } from '../support/gateway.ts';
import { send, until, type Answer, type Sending } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

/** Where the answers of a gateway are stored. */
export interface Level {
  start(config: TestConfig): Promise<TestGateway>;
  /** Sends requests to a gateway by path. */
  asking(
    gateway: () => TestGateway,
  ): (path: string, headers?: Record<string, string>, sending?: Sending) => Promise<Answer>;
  close(): Promise<void>;
}

export const memory: Level = {
  start: startGateway,
  asking:
    (gateway) =>
    (path, headers = {}, sending = {}) =>
      send(gateway().url + path, { ...sending, headers }),
  close: () => Promise.resolve(),
};

/** Nothing stays in memory from one request to the next, so that all comes from Redis. */
export function redisAlone(): Level {
  let redis: TestRedis;
  return {
    async start(config) {
      redis = await startRedis();
      return startSharing(redis, config);
    },
    asking: (gateway) => {
      const ask = memory.asking(gateway);
      return async (path, headers, sending) => {
        try {
          return await ask(path, headers, sending);
        } finally {
          await untilShared(gateway());
          forgetMemory(gateway());
        }
      };
    },
    close: () => redis.close(),
  };
}

/** A gateway that shares what it stores. The machine may be busy, so that Redis has more time than it would be given. */
export async function startSharing(redis: { readonly url: string }, config: TestConfig): Promise<TestGateway> {
  const gateway = await startGateway({
    ...config,
    cache: { ...(config.cache as object), redis: true },
    redis: { url: redis.url, timeout: '1s', ...(config.redis as object) },
  });
  await until(() => shares(gateway));
  return gateway;
}

const surroundingsOf = ({ gateway }: TestGateway) => [...gateway.assembly.upstreams.values()][0]!.surroundings;

function secondLevelOf(gateway: TestGateway) {
  return surroundingsOf(gateway).secondLevel!;
}

/** Whether Redis is the second level of the gateway's cache now. */
export function shares(gateway: TestGateway): boolean {
  return secondLevelOf(gateway).used;
}

/** Waits until all that the gateway had to say to Redis is said. */
export async function untilShared(gateway: TestGateway): Promise<void> {
  await until(() => secondLevelOf(gateway).puts === 0 && shares(gateway));
}

/** Takes all out of memory, as if other answers had needed the room. */
export function forgetMemory(gateway: TestGateway): void {
  const cache = surroundingsOf(gateway).cache!;
  const settings = gateway.gateway.project.loaded.config.cache;
  cache.configure({ ...settings, memory: 0 });
  cache.configure(settings);
}

/** So many answers are in memory. */
export function inMemory(gateway: TestGateway): number {
  return surroundingsOf(gateway).cache!.entries;
}
