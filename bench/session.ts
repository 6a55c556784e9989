import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chooseCores } from './machine.ts';
import { killAll } from './processes.ts';
import type { Checkout, Run } from './scenario.ts';

/**
 * Gives the work a folder and its cores, and leaves neither files nor processes behind, whether the work ends, fails or is
 * interrupted. @throws {Error} what the work throws, or that there is but one core
 */
export async function session<T>(checkouts: readonly Checkout[], work: (run: Run) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-bench-'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      killAll();
      void rm(folder, { recursive: true, force: true }).then(() => process.exit(signal === 'SIGINT' ? 130 : 143));
    });
  }
  try {
    return await work({ folder, cores: chooseCores(), checkouts });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
