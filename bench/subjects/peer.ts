import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Subject } from '../scenario.ts';
import { node } from './node.ts';

const bench = join(import.meta.dirname, '..');

/** A program of peers/, whose packages are those of bench/package.json. */
export function peer(name: string, program: string, env: Readonly<Record<string, string>>): Subject {
  return {
    name,
    ...(!existsSync(join(bench, 'node_modules')) && {
      missing: 'its packages are not installed: npm ci --prefix bench',
    }),
    launch: async (port) => ({
      command: node(join(bench, 'peers', program)),
      env: { ...env, PORT: String(port) },
    }),
  };
}
