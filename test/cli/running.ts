import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { run } from '#gateway/cli/run.ts';
import type { Outcome } from '../support/program.ts';

/** `weir ARGS` by somebody whose configuration says that the gateway's operators are served there. */
export type Weir = (...args: readonly string[]) => Promise<Outcome>;

/** A terminal beside a running gateway. @param admin what its configuration says of `admin` besides the port */
export function weirAt(adminUrl: string, admin: Readonly<Record<string, string>> = {}): Weir {
  const folder = mkdtempSync(join(tmpdir(), 'weir-at-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, 'gateway.yaml');
  writeFileSync(config, JSON.stringify({ admin: { port: Number(new URL(adminUrl).port), ...admin } }));
  return async (...args) => {
    const outcome = { stdout: '', stderr: '' };
    const status = await run([...args, '--config', config], {
      out: (text) => (outcome.stdout += text),
      err: (text) => (outcome.stderr += text),
    });
    return { status, ...outcome };
  };
}
