/** What the demonstration plays on: the shop, a Redis of its own, and two gateways that share it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { freePort, spawnShop, type Shop } from '../services/spawn.ts';
import { startProcess, type RunningProcess } from './processes.ts';

export const root = resolve(import.meta.dirname, '../../..');

/** `weir` of this tree. */
export const weir = [process.execPath, join(root, 'gateway/main.ts')] as const;

/** Of each tier here, in upstream calls and an hour. */
export const quota = 200;

/**
 * 25 ms unless it is written, which is what docs/limits.md shows; here more, so that it is never the machine of whoever looks on
 * that is too slow for it.
 */
const redisTimeout = '3s';

export interface GatewayAddress {
  readonly url: string;
  readonly admin: string;
}

export interface Stage {
  readonly shop: Shop;
  readonly gateways: readonly [GatewayAddress, GatewayAddress];
  readonly redis: RunningProcess;
  /** For files; gone when the demonstration is over. */
  readonly folder: string;
  /** Of the gateways. */
  readonly config: string;
}

/** @throws {Error} when something of it does not start */
export async function setStage(stack: AsyncDisposableStack): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-budget-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const redisPort = await freePort();
  const redis = await startRedis(redisPort, folder);
  stack.defer(() => redis.end());
  const shop = await spawnShop({ ports: 'free' });
  stack.defer(() => shop.stop());
  const config = join(folder, 'gateway.yaml');
  // JSON is YAML.
  await writeFile(config, JSON.stringify(await configOf(shop, redisPort), undefined, 2));
  const start = async (): Promise<GatewayAddress> => {
    const gateway = await startProcess([...weir, 'start', '--config', config], (line) => line.includes('"listening"'));
    stack.defer(() => gateway.end());
    const { address, admin } = JSON.parse(gateway.ready) as { readonly address: string; readonly admin: string };
    return { url: address, admin };
  };
  return { shop, redis, folder, config, gateways: [await start(), await start()] };
}

async function startRedis(port: number, folder: string): Promise<RunningProcess> {
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'];
  try {
    return await startProcess(['redis-server', ...args], (line) => line.includes('Ready to accept connections'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error('redis-server is not installed. Fix: apt-get install redis-server', { cause: error });
  }
}

/** That of the shop, with one limit for each tier that lasts longer than the demonstration. */
async function configOf(shop: Shop, redisPort: number): Promise<object> {
  const folder = join(root, 'examples/shop');
  const text = await readFile(join(folder, 'gateway.yaml'), 'utf8');
  const limits = [{ name: 'hour', algorithm: 'sliding-window', quota, window: '1h' }];
  const services = ['users', 'orders', 'catalog', 'reviews'] as const;
  return {
    ...(parse(text) as object),
    modules: join(root, 'resolvers'),
    graphql: { documents: { path: join(folder, 'operations') } },
    // Nor too slow for so many clients at once, before it is warm.
    listen: { port: 0, drainDelay: '0s', maxEventLoopLag: '60s' },
    admin: { port: 0 },
    upstreams: Object.fromEntries(
      services.map((name) => [name, { endpoints: [shop[name].url], timeout: '30s', attemptTimeout: '30s' }]),
    ),
    redis: { url: `redis://127.0.0.1:${redisPort}`, timeout: redisTimeout },
    tiers: { pro: { limits }, partner: { limits } },
    limits: { perIp: [], onStoreFailure: 'local-share' },
  };
}
