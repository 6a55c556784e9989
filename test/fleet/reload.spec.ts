import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askEach, connectAll, fleetConfig, readyWorkers, startFleet, tellsDeathOf } from '../support/fleet.ts';
import type { GatewayProgram } from '../support/gateway-program.ts';
import { Load } from '../support/load.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let fleet: GatewayProgram;
const things = { path: '/things{/*rest}', upstream: 'things', methods: ['GET', 'POST'] };
const withRoutes = (...routes: object[]) => fleetConfig(upstream.url, { routes: [things, ...routes] });
const stopped: number[] = [];

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => void response.end('thing'));
  fleet = await startFleet(upstream.url);
}, 60_000);

afterEach(() => {
  for (const pid of stopped.splice(0)) process.kill(pid, 'SIGCONT');
});

afterAll(async () => {
  fleet.kill();
  await upstream.close();
});

interface Report {
  readonly ok: boolean;
  readonly changed: boolean;
  readonly hash: string;
  readonly error?: string;
  readonly needsRestart: readonly string[];
}

async function change(how: 'reload' | 'rollback'): Promise<Report> {
  return (await fleet.admin(`/admin/${how}?by=test`, 'POST')).json() as unknown as Report;
}

/** What each worker answers there. */
async function statuses(path: string, pids?: readonly number[]): Promise<number[]> {
  const answers = await askEach(fleet, pids ?? (await readyWorkers(fleet, 2)), path);
  return [...answers.values()].map(({ status }) => status);
}

describe('A reload of two workers', { timeout: 120_000 }, () => {
  test('reaches both, in one step, and loses no request under load', async () => {
    const load = new Load(fleet.url, { clients: 6, path: '/things', methods: ['GET', 'POST'] });
    await load.more(50);
    for (let turn = 0; turn < 5; turn++) {
      const path = `/turn-${turn}`;
      fleet.write(withRoutes({ path, upstream: 'things' }));
      expect(await change('reload')).toMatchObject({ ok: true, changed: true });
      expect(await statuses(path)).toEqual([200, 200]);
      if (turn > 0) expect(await statuses(`/turn-${turn - 1}`)).toEqual([404, 404]);
      await load.more(50);
    }
    await load.stop();
    expect(load.failures).toEqual([]);
  });

  test('by SIGHUP, to the primary alone', async () => {
    const [pid] = await readyWorkers(fleet, 2);
    // A terminal that is closed sends it to all of them.
    process.kill(pid!, 'SIGHUP');
    fleet.write(withRoutes({ path: '/by-signal', upstream: 'things' }));
    fleet.program.signal('SIGHUP');
    await fleet.logged(({ msg, hash }) => msg === 'reloaded' && hash !== undefined);
    while ((await send(`${fleet.url}/by-signal`)).status !== 200);
    expect(await statuses('/by-signal')).toEqual([200, 200]);
    expect(await readyWorkers(fleet, 2)).toContain(pid);
  });

  test('with a bad file changes neither, says why, and a rollback restores the file', async () => {
    fleet.write(withRoutes({ path: '/good', upstream: 'things' }));
    const { hash } = await change('reload');
    fleet.write(withRoutes({ path: '/bad', upstream: 'nowhere' }));
    const answer = await fleet.admin('/admin/reload?by=test', 'POST');
    expect([answer.status, answer.json()]).toMatchObject([422, { ok: false, hash, changed: false }]);
    expect(String(answer.json()['error'])).toContain('nowhere');
    expect(await statuses('/good')).toEqual([200, 200]);
    expect(await statuses('/bad')).toEqual([404, 404]);

    expect(await change('rollback')).toMatchObject({ ok: true, hash, changed: false });
    expect(await change('reload')).toMatchObject({ ok: true, hash, changed: false });
  });

  test('names what waits for a restart, the number of workers among it', async () => {
    fleet.write(fleetConfig(upstream.url, { listen: { workers: 3, maxBodyBytes: '2MiB' } }));
    expect(await change('reload')).toMatchObject({ ok: true, needsRestart: ['listen.workers', 'listen.maxBodyBytes'] });
    await readyWorkers(fleet, 2);
  });

  test('that one worker cannot follow changes none', async () => {
    fleet.write(withRoutes({ path: '/before', upstream: 'things' }));
    await change('reload');
    const [hung, other] = await readyWorkers(fleet, 2);
    // A new connection could be handed to the one that hangs.
    const connected = await connectAll(fleet, [other!], 1, '/things');
    const { client } = connected.find(({ pid }) => pid === other)!;
    const statusAt = async (path: string) => {
      const { statusCode, body } = await client.request({ path, method: 'GET' });
      await body.dump();
      return statusCode;
    };
    stopped.push(hung!);
    process.kill(hung!, 'SIGSTOP');
    fleet.write(withRoutes({ path: '/after', upstream: 'things' }));
    const { ok, error } = await change('reload');
    expect(ok).toBe(false);
    expect(error).toMatch(new RegExp(`^Worker \\d \\(process ${hung}\\) cannot be told of it: .* Fix: `));
    expect(await statusAt('/before')).toBe(200);
    expect(await statusAt('/after')).toBe(404);

    process.kill(hung!, 'SIGCONT');
    expect(await statuses('/after')).toEqual([404, 404]);
    expect(await change('reload')).toMatchObject({ ok: true, changed: true });
    expect(await statuses('/after')).toEqual([200, 200]);
  });

  test('is what a worker serves that starts later, whatever the file says by then', async () => {
    fleet.write(withRoutes({ path: '/served', upstream: 'things' }));
    await change('reload');
    fleet.write('listen: [no, configuration, at, all');
    const [victim] = await readyWorkers(fleet, 2);
    process.kill(victim!, 'SIGKILL');
    await fleet.logged(tellsDeathOf(victim!));
    const pids = await readyWorkers(fleet, 2);
    expect(pids).not.toContain(victim);
    expect(await statuses('/served', pids)).toEqual([200, 200]);
    expect(await statuses('/before', pids)).toEqual([404, 404]);
  });
});
