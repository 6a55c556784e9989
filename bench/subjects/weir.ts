import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../ports.ts';
import { oneClient } from '../one-client.ts';
import type { Checkout, Run, Subject } from '../scenario.ts';
import { node } from './node.ts';

/**
 * The gateway of a checkout as its command starts it, with what is on by default on: access log, metrics, one trace in a
 * hundred. `config` is the rest of its configuration.
 */
export function weir(run: Run, { name, folder }: Checkout, config: Readonly<Record<string, unknown>>): Subject {
  return {
    name,
    launch: async (port) => {
      const file = join(await mkdtemp(join(run.folder, 'weir-')), 'gateway.yaml');
      const whole = {
        ...oneClient(folder),
        ...config,
        // Nobody watches /readyz here.
        listen: { host: '127.0.0.1', port, drainDelay: '0s' },
        admin: { host: '127.0.0.1', port: await freePort() },
      };
      // JSON is YAML.
      await writeFile(file, JSON.stringify(whole, undefined, 2));
      return { command: node(join(folder, 'gateway/main.ts'), 'start', '--config', file) };
    },
  };
}
