/** The shop and the gateway in front of it, its limits short, so that a soak meets each of them many times. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { spawnShop, type Shop } from '../../examples/shop/services/spawn.ts';
import { oneClient } from '../one-client.ts';
import { freePort } from '../ports.ts';
import { pin, Running } from '../processes.ts';
import type { Run } from '../scenario.ts';
import { node } from '../subjects/node.ts';
import { Inspector } from './inspector.ts';
import type { Tally } from './tally.ts';

const root = resolve(import.meta.dirname, '../..');

export const serviceNames = ['users', 'orders', 'catalog', 'reviews'] as const;

export interface Stage {
  readonly shop: Shop;
  readonly gateway: Running;
  readonly inspector: Inspector;
  readonly port: number;
  readonly adminUrl: string;
  /** Writes the configuration anew, and tells the gateway to load it. */
  readonly reload: (variant: Variant) => Promise<void>;
}

/** What a reload changes: nothing, settings, connections, routes; or the file is a bad one. */
export type Variant = 'same' | 'settings' | 'transport' | 'routes' | 'bad';

export async function setStage({ folder, cores }: Run, stack: AsyncDisposableStack, tally: Tally): Promise<Stage> {
  const shop = await spawnShop({ ports: 'free' });
  stack.defer(() => shop.stop());
  for (const name of serviceNames) pin(shop[name].pid, cores.load);

  const [port, adminPort, inspectorPort] = [await freePort(), await freePort(), await freePort()];
  const file = join(await mkdtemp(join(folder, 'weir-')), 'gateway.yaml');
  // JSON is YAML.
  const write = (variant: Variant): Promise<void> =>
    writeFile(file, JSON.stringify(configure({ shop, port, adminPort, variant }), undefined, 2));
  await write('same');
  const [, ...flags] = node(
    `--inspect=127.0.0.1:${inspectorPort}`,
    '--inspect-publish-uid=http',
    join(root, 'gateway/main.ts'),
    'start',
    '--config',
    file,
  );
  const gateway = await Running.start(
    {
      name: 'Weir',
      command: [process.execPath, ...flags],
      core: cores.subject,
      heed: (line) => heed(line, tally),
    },
    port,
  );
  stack.defer(() => gateway.stop());
  const inspector = await Inspector.attach(inspectorPort);
  stack.defer(() => inspector.close());
  return {
    shop,
    gateway,
    inspector,
    port,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    reload: async (variant) => {
      await write(variant);
      gateway.signal('SIGHUP');
    },
  };
}

interface Choices {
  readonly shop: Shop;
  readonly port: number;
  readonly adminPort: number;
  readonly variant: Variant;
}

function configure({ shop, port, adminPort, variant }: Choices): object {
  const upstream = {
    timeout: variant === 'settings' ? '4s' : '5s',
    attemptTimeout: '1s',
    connectTimeout: variant === 'transport' ? '900ms' : '1s',
    idleTimeout: '5s',
    breaker: { openFor: '2s' },
    ejection: { for: '2s', maxFor: '5s' },
    health: { path: '/health', every: '1s', timeout: '1s' },
    maxInFlight: 200,
  };
  return {
    ...oneClient(root),
    modules: join(root, 'resolvers'),
    listen: {
      port,
      drainDelay: '0s',
      headersTimeout: '3s',
      bodyTimeout: '3s',
      minBytesPerSecond: '1KiB',
      keepAliveTimeout: '5s',
      // What is shed is another run's business, and others may keep the machine busy.
      maxEventLoopLag: '10s',
    },
    admin: { port: adminPort },
    upstreams: Object.fromEntries(serviceNames.map((name) => [name, { ...upstream, endpoints: [shop[name].url] }])),
    graphql: { timeout: '10s' },
    // Full within the first leg: from then on what is stored makes room, and adds nothing to what is held.
    cache: { memory: '2MiB', maxEntryBytes: '256KiB' },
    ...(variant === 'routes' && { routes: [{ path: '/v9/users{/*rest}', upstream: 'users' }] }),
    ...(variant === 'bad' && { bad: 'this key is nobody’s' }),
  };
}

/** A defect says so in the log; so does a bad file, which is there on purpose. */
function heed(line: string, tally: Tally): void {
  if (!line.includes('"level":"error"') && !line.includes('"level":50')) return;
  if (line.includes('"reload refused"')) return;
  tally.complain('an error in the log', line);
}
