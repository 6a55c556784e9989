import { spawnSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run, Subject } from '../scenario.ts';

/** Varnish as it is out of the box, with little memory, which is all that it needs here. */
export function varnish(run: Run, upstream: string): Subject {
  const installed = spawnSync('varnishd', ['-V'], { stdio: 'ignore' }).error === undefined;
  return {
    name: 'varnish',
    ...(!installed && { missing: 'it is not installed: apt-get install -y varnish' }),
    launch: async (port) => {
      const folder = await mkdtemp(join(run.folder, 'varnish-'));
      const at = ['-a', `127.0.0.1:${port}`, '-b', new URL(upstream).host, '-T', '127.0.0.1:0'];
      return { command: ['varnishd', '-j', 'none', '-F', '-n', folder, ...at, '-s', 'malloc,64m'] };
    },
  };
}
