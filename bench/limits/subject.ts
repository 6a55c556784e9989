import { hash } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { oneClient } from '../one-client.ts';
import { freePort } from '../ports.ts';
import { Running } from '../processes.ts';
import type { Checkout, Run } from '../scenario.ts';
import { node } from '../subjects/node.ts';

export interface LimitedSubject {
  readonly process: Running;
  readonly port: number;
  readonly adminUrl: string;
}

/** The gateway as its command starts it, before an upstream at `/items`. @param tiers limits by tier, each with consumers by key */
export async function startLimited(
  run: Run,
  stack: AsyncDisposableStack,
  {
    upstream,
    tiers,
    redis,
  }: {
    readonly upstream: string;
    readonly tiers: Readonly<Record<string, { readonly limit: object; readonly keys: readonly string[] }>>;
    readonly redis: object | undefined;
  },
): Promise<LimitedSubject> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const [{ folder }] = run.checkouts as [Checkout];
  const config = {
    ...oneClient(folder),
    listen: { port, drainDelay: '0s' },
    admin: { port: adminPort },
    upstreams: { items: { endpoints: [upstream] } },
    routes: [{ path: '/items{/*rest}', upstream: 'items' }],
    tiers: Object.fromEntries(Object.entries(tiers).map(([tier, { limit }]) => [tier, { limits: [limit] }])),
    consumers: Object.entries(tiers).flatMap(([tier, { keys }]) =>
      keys.map((key) => ({ id: key, tier, keys: [`sha256:${hash('sha256', key)}`] })),
    ),
    ...(redis && { redis }),
  };
  const file = join(await mkdtemp(join(run.folder, 'weir-')), 'gateway.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config, undefined, 2));
  const command = node(join(folder, 'gateway/main.ts'), 'start', '--config', file);
  const process = await Running.start({ name: 'Weir', command, core: run.cores.subject }, port);
  stack.defer(() => process.stop());
  return { process, port, adminUrl: `http://127.0.0.1:${adminPort}` };
}
