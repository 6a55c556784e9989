import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './ports.ts';

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** A client of the test's own. */
  readonly client: Redis;
  /** Stops it for a while, as a machine does that is out of breath. */
  pause(): void;
  resume(): void;
  /** Ends it at once. */
  kill(): Promise<void>;
  /** Starts it again on its port, empty. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** A Redis that watches over others, by its file. */
interface SentinelFile {
  readonly file: string;
  /** What it says when it is up. */
  readonly ready: string;
}

/**
 * A Redis of the test's own on a free port, which it may stop and starve.
 * @throws {Error} when `redis-server` is not there
 */
export async function startRedis(args: readonly string[] = [], sentinel?: SentinelFile): Promise<TestRedis> {
  const port = await freePort();
  // A replica writes down what it is sent, whatever it is told to save; whoever starts in that folder next would load it.
  const folder = mkdtempSync(join(tmpdir(), 'weir-redis-'));
  const start = () => launch(port, ['--dir', folder, ...args], sentinel);
  let server = await start();
  const client = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: null });
  client.on('error', () => {});
  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill('SIGKILL');
    await once(server, 'exit');
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    client,
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    kill,
    async restart() {
      await kill();
      rmSync(join(folder, 'dump.rdb'), { force: true });
      server = await start();
    },
    async close() {
      client.disconnect();
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch(port: number, args: readonly string[], sentinel?: SentinelFile): Promise<ChildProcess> {
  const at = ['--port', String(port), '--bind', '127.0.0.1'];
  const fixed = sentinel ? [sentinel.file, '--sentinel', ...at] : [...at, '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', [...fixed, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const failed = once(server, 'error').then(([error]) => {
    throw new Error(`redis-server cannot be started; install it (Debian: apt-get install redis-server)`, {
      cause: error,
    });
  });
  let said = '';
  const ready = new Promise<void>((resolve, reject) => {
    server.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes(sentinel?.ready ?? 'Ready to accept connections')) resolve();
    });
    server.once('exit', () => reject(new Error(`redis-server ended:\n${said}`)));
  });
  await Promise.race([ready, failed]);
  return server;
}
