import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand, type Outcome } from '../support/program.ts';

/** Runs Prometheus' own checker. @throws {Error} where it is not installed: nothing here is skipped for that */
export async function promtool(...args: readonly string[]): Promise<Outcome> {
  try {
    return await runCommand(['promtool', ...args], { cwd: process.cwd() });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(
      'promtool is not installed. Fix: install Prometheus; on Debian `apt-get install prometheus`, with RUNLEVEL=1 to start none.',
      { cause: error },
    );
  }
}

/** Runs it over a file of this text. */
export async function promtoolOver(text: string, ...args: readonly string[]): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-promtool-'));
  try {
    const file = join(folder, 'file.yml');
    writeFileSync(file, text);
    return await promtool(...args, file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
