import { Cluster, Redis } from 'ioredis';
import type { RedisSettings } from './settings.ts';

export type RedisClient = Redis | Cluster;

/** Reconnects soon, then rarely, and not all instances in one moment. */
function backoffMs(attempt: number): number {
  const ceiling = Math.min(5_000, 50 * 2 ** Math.min(attempt, 7));
  return ceiling / 2 + Math.random() * (ceiling / 2);
}

/** A client that connects by itself, again and again, and never holds what is asked of it while it is not connected. */
export function connectRedis(settings: RedisSettings, use: 'commands' | 'messages'): RedisClient {
  const { url, sentinels, nodes, timeout, connectTimeout, cluster } = settings;
  const { hostname, port, username, password, pathname, protocol } = new URL(url);
  const tls = protocol === 'rediss:' ? { tls: { servername: hostname } } : {};
  const common = {
    lazyConnect: true,
    connectTimeout,
    // A subscription may wait for its turn as long as it takes. Whoever asks waits `timeout`, which the store sees to.
    ...(use === 'commands' && {
      // A server that hangs keeps its connection, and one that vanished keeps it for a quarter of an hour, while sentinels or the
      // cluster have long made another the primary.
      socketTimeout: Math.max(timeout, connectTimeout),
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
    }),
    autoResendUnfulfilledCommands: false,
    // The store does it, and hears of what comes of it; ioredis lets the refusal go where nobody catches it.
    autoResubscribe: false,
    retryStrategy: backoffMs,
    // After a failover the old primary answers READONLY: what it is asked belongs elsewhere.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    connectionName: 'weir',
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    ...tls,
  };
  if (cluster || nodes.length > 0) {
    const first = { host: unbracketed(hostname), port: Number(port || 6379) };
    const known = [first, ...nodes.map(hostAndPort)];
    if (use === 'messages') {
      // What is published goes to every node, so one is listened to, and the next when that is gone. A Cluster would change
      // nodes without a word, and what is said meanwhile would be missed.
      let turn = 0;
      const retryStrategy = (attempt: number) => {
        Object.assign(client.options, known[++turn % known.length]);
        return backoffMs(attempt);
      };
      const client: Redis = new Redis({ ...common, ...first, retryStrategy });
      return client;
    }
    return new Cluster(known, {
      lazyConnect: true,
      enableOfflineQueue: false,
      enableAutoPipelining: true,
      clusterRetryStrategy: backoffMs,
      redisOptions: common,
      slotsRefreshTimeout: connectTimeout,
    });
  }
  const db = Number(pathname.slice(1) || 0);
  if (sentinels.length > 0) {
    return new Redis({
      ...common,
      db,
      sentinels: sentinels.map(hostAndPort),
      name: hostname,
      sentinelRetryStrategy: backoffMs,
    });
  }
  return new Redis({ ...common, db, host: unbracketed(hostname), port: Number(port || 6379) });
}

function hostAndPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: unbracketed(address.slice(0, colon)), port: Number(address.slice(colon + 1)) };
}

function unbracketed(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}
