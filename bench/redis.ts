import { spawnSync } from 'node:child_process';
import { freePort } from './ports.ts';
import { Running } from './processes.ts';
import type { Run } from './scenario.ts';

/** Why there is none here, and the remedy. */
export function redisMissing(): string | undefined {
  const { error } = spawnSync('redis-server', ['--version'], { stdio: 'ignore' });
  return error && 'redis-server is not installed: apt-get install -y redis-server';
}

export interface BenchRedis {
  readonly url: string;
  readonly process: Running;
}

/** A Redis of the bench's own, which keeps nothing, beside the load generator. @throws {Error} when it does not start */
export async function startRedis({ cores, folder }: Run, stack: AsyncDisposableStack): Promise<BenchRedis> {
  const port = await freePort();
  const options = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const command = ['redis-server', '--port', String(port), ...options] as const;
  const process = await Running.start({ name: 'Redis', command: [...command], core: cores.load }, port);
  stack.defer(() => process.stop());
  return { url: `redis://127.0.0.1:${port}`, process };
}
