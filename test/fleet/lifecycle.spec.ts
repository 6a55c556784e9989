import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { fleetConfig, readyWorkers, startFleet } from '../support/fleet.ts';
import { GatewayProgram } from '../support/gateway-program.ts';
import { Load } from '../support/load.ts';
import { freePort, isListening } from '../support/ports.ts';
import { Program } from '../support/program.ts';
import { send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import type { ServerResponse } from 'node:http';

let upstream: TestUpstream;
let held: ServerResponse[] = [];
const fleets: { kill(): void }[] = [];
const scratch = mkdtempSync(join(tmpdir(), 'weir-fleet-'));

function kept<T extends { kill(): void }>(fleet: T): T {
  fleets.push(fleet);
  return fleet;
}

beforeAll(async () => {
  upstream = await startUpstream((request, response) => {
    if (request.url!.startsWith('/things/slow')) held.push(response);
    else response.end('thing');
  });
});

afterEach(() => {
  for (const fleet of fleets.splice(0)) fleet.kill();
  for (const response of held) response.destroy();
  held = [];
});

afterAll(async () => {
  await upstream.close();
  rmSync(scratch, { recursive: true });
});

describe('A fleet that is told to stop', { timeout: 60_000 }, () => {
  test('finishes what is in flight in every worker, loses no request, and leaves nothing behind', async () => {
    // Long enough for what is asked in it on a busy machine too: after it nobody listens.
    const fleet = kept(await startFleet(upstream.url, { listen: { drainDelay: '5s' } }));
    const load = new Load(fleet.url, { clients: 8, path: '/things', methods: ['GET', 'POST'] });
    const slow = Array.from({ length: 8 }, (_, index) => send(`${fleet.url}/things/slow/${index}`));
    await until(() => held.length === 8);
    await load.more(100);
    fleet.program.signal('SIGTERM');
    await until(async () => (await fleet.admin('/readyz')).status === 503);
    // It goes on accepting for the drain delay.
    await load.more(50);
    await load.stop();
    expect(load.failures).toEqual([]);
    for (const response of held) response.end('held');
    expect((await Promise.all(slow)).map(({ text }) => text)).toEqual(Array.from({ length: 8 }, () => 'held'));
    expect(await fleet.ended()).toBe(0);
    expect(fleet.program.running).toBe(false);
    expect(fleet.program.stderr).toBe('');
  });

  test('does so when the signal comes to all of its processes, as from a service manager or a terminal', async () => {
    const fleet = kept(await startFleet(upstream.url, { listen: { drainDelay: '500ms' } }));
    const slow = Array.from({ length: 6 }, (_, index) => send(`${fleet.url}/things/slow/${index}`));
    await until(() => held.length === 6);
    fleet.program.signalAll('SIGINT');
    fleet.program.signalAll('SIGTERM');
    await until(async () => (await fleet.admin('/readyz')).status === 503);
    for (const response of held) response.end('held');
    expect((await Promise.all(slow)).map(({ text }) => text)).toEqual(Array.from({ length: 6 }, () => 'held'));
    expect(await fleet.ended()).toBe(0);
    expect(fleet.program.running).toBe(false);
    expect(fleet.log.filter(({ msg }) => String(msg).startsWith('worker'))).toEqual([]);
  });

  test('ends at once, with all of its workers, when it is told so again', async () => {
    const fleet = kept(await startFleet(upstream.url, { listen: { drainDelay: '10m' } }));
    const slow = send(`${fleet.url}/things/slow`).catch(() => 'lost');
    await until(() => held.length === 1);
    fleet.program.signal('SIGTERM');
    const impatient = setInterval(() => fleet.program.signal('SIGTERM'), 100);
    expect(await fleet.program.end()).toBe(143);
    clearInterval(impatient);
    expect(await slow).toBe('lost');
    await until(() => !fleet.program.running);
  });

  test('from a terminal by Ctrl-C, which reaches the workers too, drains nothing and loses nothing', async () => {
    const file = join(scratch, 'terminal.yaml');
    const port = await freePort();
    const config = fleetConfig(upstream.url, { listen: { port, drainDelay: '10m' }, admin: { port: 0 } });
    writeFileSync(file, JSON.stringify(config));
    const command = ['exec', process.execPath, 'gateway/main.ts', 'start', '--config', file].join(' ');
    const program = new Program(['script', '--quiet', '--return', '--command', command, '/dev/null'], {
      cwd: resolve(import.meta.dirname, '../..'),
    });
    kept({ kill: () => program.signalAll('SIGKILL') });
    await program.until(({ stdout }) => stdout.includes('Upstreams'));
    const slow = send(`http://127.0.0.1:${port}/things/slow`);
    await until(() => held.length === 1);
    program.type('\x03');
    await until(async () => !(await isListening(port)));
    held[0]!.end('held');
    expect((await slow).text).toBe('held');
    expect(await program.end()).toBe(0);
  });
});

describe('A fleet that cannot start', { timeout: 60_000 }, () => {
  const begin = (config: object, options = {}) => kept(GatewayProgram.begin(config, options));

  async function refused(fleet: GatewayProgram): Promise<string> {
    expect(await fleet.program.end()).toBe(1);
    expect(fleet.program.running).toBe(false);
    expect(fleet.log).toEqual([]);
    return fleet.program.stderr;
  }

  test.each(['listen', 'admin'])('says in a line that %s.port is taken, as one process does', async (listener) => {
    const config = fleetConfig(upstream.url, { [listener]: { workers: 2, port: upstream.port } });
    const { workers: _, ...admin } = { workers: 2, port: upstream.port };
    const fleet = begin(listener === 'admin' ? fleetConfig(upstream.url, { admin }) : config);
    expect(await refused(fleet)).toMatch(
      new RegExp(
        `^${listener}\\.port \\(.*gateway\\.yaml:\\d+\\): port ${upstream.port} of 127\\.0\\.0\\.1 is taken by another process\\. ` +
          `Fix: stop that process, or write another ${listener}\\.port in .*\\.\n$`,
      ),
    );
  });

  test('says what a module says that cannot be loaded in a worker', async () => {
    const modules = join(scratch, 'modules');
    mkdirSync(modules);
    writeFileSync(
      join(modules, 'registry.ts'),
      `if (process.send) throw new Error('this module wants to be alone');
export const modules = [];
`,
    );
    const fleet = begin({ ...fleetConfig(upstream.url), modules });
    expect(await refused(fleet)).toContain('this module wants to be alone');
  });

  test('says what a worker says that ends by itself', async () => {
    const modules = join(scratch, 'ending');
    mkdirSync(modules);
    writeFileSync(
      join(modules, 'registry.ts'),
      `if (process.send) process.exit(7);
export const modules = [];
`,
    );
    const fleet = begin({ ...fleetConfig(upstream.url), modules });
    expect(await refused(fleet)).toContain('exit status 7');
  });

  test('says which bound is too small to be shared', async () => {
    const config = fleetConfig(upstream.url, { listen: { workers: 3 }, upstream: { maxInFlight: 2 } });
    expect(await refused(begin(config))).toMatch(
      /^upstreams\.things\.maxInFlight \(.*gateway\.yaml:\d+\): 2 is too few for 3 workers \(listen\.workers\), .* Fix: write 3 or more, or run fewer workers\.\n$/,
    );
  });
});

describe('listen.workers: auto', { timeout: 60_000 }, () => {
  test('is one for each processor', async () => {
    const fleet = kept(await startFleet(upstream.url, { listen: { workers: 'auto' } }));
    await readyWorkers(fleet, availableParallelism());
    expect(await fleet.stop()).toBe(0);
  });
});

describe('A worker that dies again and again', { timeout: 120_000 }, () => {
  test('is replaced ever more slowly, which is said, while the other serves', async () => {
    const modules = join(scratch, 'looping');
    const marker = join(scratch, 'broken');
    mkdirSync(modules);
    writeFileSync(
      join(modules, 'registry.ts'),
      `import { existsSync } from 'node:fs';
if (existsSync(${JSON.stringify(marker)})) process.exit(9);
export const modules = [];
`,
    );
    const fleet = kept(await GatewayProgram.start({ ...fleetConfig(upstream.url), modules }));
    const load = new Load(fleet.url, { clients: 1, path: '/things', pauseMs: 5 });
    const [victim, other] = await readyWorkers(fleet, 2);
    writeFileSync(marker, '');
    process.kill(victim!, 'SIGKILL');
    await until(() => fleet.log.filter(({ msg }) => msg === 'worker cannot start').length >= 4);
    const waits = fleet.log.filter(({ nextInMs }) => nextInMs !== undefined).map(({ nextInMs }) => nextInMs);
    expect(waits.slice(0, 5)).toEqual([0, 250, 500, 1000, 2000]);
    expect(fleet.log.find(({ msg }) => msg === 'worker cannot start')).toMatchObject({ level: 'error' });
    expect(await readyWorkers(fleet, 1)).toEqual([other]);
    expect((await fleet.admin('/readyz')).status).toBe(200);

    rmSync(marker);
    await readyWorkers(fleet, 2);
    await load.stop();
    // The one that its connection to the killed worker may have cost.
    expect(load.failures.length).toBeLessThanOrEqual(1);
    expect(await fleet.stop()).toBe(0);
  });
});
