import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './raw-client.ts';
import { freePort } from './ports.ts';
import { startRedis, type TestRedis } from './redis.ts';

/** Several Redis that are one. */
export interface TestRedisGroup {
  readonly servers: readonly TestRedis[];
  /** Addresses of all that a client is told of, HOST:PORT. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

const addressOf = ({ port }: TestRedis) => `127.0.0.1:${port}`;

/** A Redis Cluster of three primaries, which share the slots. */
export async function startRedisCluster(): Promise<TestRedisGroup> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-cluster-'));
  const busPorts = [await freePort(), await freePort(), await freePort()];
  const servers = await Promise.all(
    busPorts.map((bus) =>
      startRedis(
        ['--cluster-enabled', 'yes', '--dir', folder, '--cluster-config-file', `nodes-${bus}.conf`].concat(
          // What it says of itself would be this port and ten thousand, which may be none.
          ['--cluster-port', String(bus), '--cluster-require-full-coverage', 'no'],
        ),
      ),
    ),
  );
  const slots = 16_384;
  for (const [index, { client }] of servers.entries()) {
    const from = Math.ceil((index * slots) / servers.length);
    const to = Math.ceil(((index + 1) * slots) / servers.length) - 1;
    await client.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
    const next = (index + 1) % servers.length;
    await client.call('CLUSTER', 'MEET', '127.0.0.1', servers[next]!.port, busPorts[next]!);
  }
  await until(async () => {
    const all = await Promise.all(servers.map(async ({ client }) => String(await client.call('CLUSTER', 'INFO'))));
    return all.every((info) => info.includes('cluster_state:ok') && info.includes('cluster_slots_ok:16384'));
  });
  return { servers, addresses: servers.map(addressOf), close: () => closeAll(servers, folder) };
}

/** A primary that sentinels know as `name`, a replica of it, and one sentinel, which is enough to agree. */
export async function startRedisSentinel(name: string): Promise<TestRedisGroup> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-sentinel-'));
  const primary = await startRedis();
  const replica = await startRedis(['--replicaof', '127.0.0.1', String(primary.port)]);
  await until(async () => (await replica.client.info('replication')).includes('master_link_status:up'));
  // It writes down there what it finds out.
  const file = join(folder, 'sentinel.conf');
  writeFileSync(
    file,
    [
      `sentinel monitor ${name} 127.0.0.1 ${primary.port} 1`,
      `sentinel down-after-milliseconds ${name} 500`,
      `sentinel failover-timeout ${name} 2000`,
      '',
    ].join('\n'),
  );
  const sentinel = await startRedis([], { file, ready: 'Sentinel ID is' });
  await until(async () =>
    String(await sentinel.client.call('SENTINEL', 'REPLICAS', name)).includes(String(replica.port)),
  );
  const servers = [primary, replica, sentinel];
  return { servers, addresses: [addressOf(sentinel)], close: () => closeAll(servers, folder) };
}

async function closeAll(servers: readonly TestRedis[], folder: string): Promise<void> {
  for (const server of servers) await server.close();
  rmSync(folder, { recursive: true, force: true });
}
