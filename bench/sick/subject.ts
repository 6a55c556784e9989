/** The gateway under test, in front of upstreams that are well and of every kind of sick one. */
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Exposition } from '../exposition.ts';
import { oneClient } from '../one-client.ts';
import { freePort } from '../ports.ts';
import { Running, spawnOn } from '../processes.ts';
import type { Run } from '../scenario.ts';
import { node } from '../subjects/node.ts';
import { startFixedUpstream } from '../upstreams/fixed.ts';
import type { Setting } from './settings.ts';
import { wellNames, type Sickness } from './sicknesses.ts';

export interface Subject {
  readonly process: Running;
  readonly port: number;
  /** How often a sick upstream has been asked so far. Of the dead one nobody can count but the gateway itself. */
  readonly attempts: (name: Sickness) => Promise<number>;
  /** Resolves when nothing is under way in the gateway. @throws {Error} when it takes longer than any call may */
  readonly idle: () => Promise<void>;
}

/** Far more than all the time that a call has. */
const idleTimeoutMs = 60_000;

export async function startSubject(run: Run, stack: AsyncDisposableStack, { upstream }: Setting): Promise<Subject> {
  const [port, adminPort, deadPort] = [await freePort(), await freePort(), await freePort()];
  const well = await startFixedUpstream(run, stack);
  const sick = await startPeer(run.cores.load, stack);
  const origins: Record<string, string> = { dead: `http://127.0.0.1:${deadPort}` };
  for (const name of wellNames) origins[name] = well.origin;
  for (const [name, peerPort] of Object.entries(sick.ports)) origins[name] = `http://127.0.0.1:${peerPort}`;
  const names = Object.keys(origins);
  const [checkout] = run.checkouts;
  const config = {
    ...oneClient(checkout!.folder),
    modules: join(import.meta.dirname, '../../test/fixtures/sick'),
    listen: { port, drainDelay: '0s' },
    admin: { port: adminPort },
    upstreams: Object.fromEntries(
      // The one that is measured has all that is on by default.
      names.map((name) => [name, { endpoints: [origins[name]], ...(name !== 'well' && upstream) }]),
    ),
    routes: names.map((name) => ({ path: `/${name}{/*rest}`, upstream: name })),
  };
  const file = join(await mkdtemp(join(run.folder, 'weir-')), 'gateway.yaml');
  await writeFile(file, JSON.stringify(config, undefined, 2));
  const command = node(join(checkout!.folder, 'gateway/main.ts'), 'start', '--config', file);
  const process = await Running.start({ name: 'Weir', command, core: run.cores.subject }, port);
  stack.defer(() => process.stop());

  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const attemptsAtNobody = async (): Promise<number> => {
    const said = await Exposition.of(adminUrl);
    const labels = { weir_upstream: 'dead' };
    const calls = said.sum('weir_upstream_call_duration_seconds_count', labels);
    // What breaker and bulkhead refused, be it the first or a further one, was no attempt.
    const refused = ['UPSTREAM_UNAVAILABLE', 'UPSTREAM_OVERLOADED']
      .map((code) => said.sum('weir_upstream_call_errors_total', { ...labels, error_type: code }))
      .reduce((sum, count) => sum + count);
    return calls + said.sum('weir_upstream_retries_total', labels) - refused;
  };
  return {
    process,
    port,
    attempts: (name) => (name === 'dead' ? attemptsAtNobody() : sick.count(name)),
    idle: () => untilIdle(adminUrl),
  };
}

async function untilIdle(adminUrl: string): Promise<void> {
  const giveUpMs = performance.now() + idleTimeoutMs;
  for (;;) {
    const said = await Exposition.of(adminUrl);
    const underWay = said.sum('http_server_active_requests') + said.sum('weir_upstream_active_calls');
    if (underWay === 0) return;
    if (performance.now() > giveUpMs) throw new Error(`${underWay} requests and calls are under way without a client.`);
    await sleep(50);
  }
}

type Present = Exclude<Sickness, 'dead'>;

interface Peer {
  readonly ports: Readonly<Record<Present, number>>;
  readonly count: (name: Present) => Promise<number>;
}

async function startPeer(core: number, stack: AsyncDisposableStack): Promise<Peer> {
  const child = spawnOn(core, node(join(import.meta.dirname, 'peer.ts')), { stdio: ['pipe', 'pipe', 'inherit'] });
  stack.defer(() => void child.stdin!.end());
  const lines = createInterface({ input: child.stdout! });
  const ports = JSON.parse(await nextLine(lines)) as Peer['ports'];
  return {
    ports,
    count: async (name) => {
      child.stdin!.write('\n');
      return (JSON.parse(await nextLine(lines)) as Record<Present, number>)[name];
    },
  };
}

async function nextLine(lines: Interface): Promise<string> {
  const [line] = (await once(lines, 'line')) as [string];
  return line;
}
