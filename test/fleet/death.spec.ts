import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { askEach, connectAll, readyWorkers, startFleet, statusOf, tellsDeathOf } from '../support/fleet.ts';
import type { GatewayProgram } from '../support/gateway-program.ts';
import { Load } from '../support/load.ts';
import { isListening } from '../support/ports.ts';
import { send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let fleet: GatewayProgram;
/** Answers that the service holds back. */
let held: ServerResponse[] = [];

/** One fleet for all: it is to be as good as new after each, but for how long it waits before it replaces the next. */
beforeAll(async () => {
  upstream = await startUpstream((request, response) => {
    if (request.url!.startsWith('/things/slow')) held.push(response);
    else response.end('thing');
  });
  fleet = await startFleet(upstream.url, { listen: { drainDelay: '500ms' } });
}, 60_000);

afterEach(() => {
  for (const response of held) response.destroy();
  held = [];
});

afterAll(async () => {
  fleet.kill();
  await upstream.close();
});

describe('A worker that dies', { timeout: 60_000 }, () => {
  test('loses exactly the requests that were in it, is counted, and is replaced', async () => {
    const pids = await readyWorkers(fleet, 2);
    const [victim] = pids;
    const connected = await connectAll(fleet, pids, 12, '/things');
    const inIt = connected.filter(({ pid }) => pid === victim);
    const answers = connected.map(async ({ client, pid }, index) => {
      // Reads of one thing would be collapsed into one.
      const answer = await client.request({ path: `/things/slow/${index}`, method: 'GET' }).then(
        async ({ statusCode, body }) => `${statusCode} ${await body.text()}`,
        () => 'lost',
      );
      return { pid, answer };
    });
    await until(() => held.length === connected.length);

    process.kill(victim!, 'SIGKILL');
    await fleet.logged(({ msg, pid }) => msg === 'worker died' && pid === victim);
    // What was in it has ended at the service too.
    await until(() => held.filter(({ destroyed }) => destroyed).length === inIt.length);
    for (const response of held) if (!response.destroyed) response.end('held');
    for (const { pid, answer } of await Promise.all(answers)) expect(answer).toBe(pid === victim ? 'lost' : '200 held');

    const died = fleet.log.find(({ msg, pid }) => msg === 'worker died' && pid === victim);
    expect(died).toMatchObject({ level: 'warn', signal: 'SIGKILL', hung: false, nextInMs: 0 });
    expect(await readyWorkers(fleet, 2)).not.toContain(victim);
    await fleet.logged(({ msg, worker }) => msg === 'worker replaced' && worker === died!.worker);
    expect(await fleet.metric('weir_worker_restarts_total')).toBe(1);
    expect(await fleet.metric('weir_worker_restarts_total', `weir_worker="${String(died!.worker)}"`)).toBe(1);
    for (const { client } of connected) await client.destroy();
  });

  test('costs each client that had a connection to it one request at the most, under load, and the others none', async () => {
    for (let turn = 0; turn < 3; turn++) {
      await readyWorkers(fleet, 2);
      const before = fleet.log.length;
      const load = new Load(fleet.url, { clients: 24, path: '/things', methods: ['GET', 'POST'] });
      await load.more(240);
      // What a client was answered last tells who has its connection.
      await until(() => new Set(load.sent.map(({ client }) => client)).size === 24);
      const served = () => fleet.log.slice(before).filter(({ msg }) => msg === 'request');
      await until(() => served().length > 0);
      // One that has some of the clients: the other may have been too busy to take any.
      const victim = served().at(-1)!.pid as number;
      const seen = load.sent.length;
      process.kill(victim, 'SIGKILL');
      await fleet.logged(tellsDeathOf(victim));
      await readyWorkers(fleet, 2);
      await load.more(240);
      await load.stop();

      const lost = load.failures;
      expect(lost.length).toBeGreaterThan(0);
      expect(new Set(lost.map(({ client }) => client)).size).toBe(lost.length);
      // A client changes its connection only when it has lost it.
      const lines = served();
      for (const { client } of lost) {
        const mine = new Set(
          load.sent
            .slice(0, seen)
            .filter((sent) => sent.client === client)
            .map(({ id }) => id),
        );
        expect(lines.findLast(({ requestId }) => mine.has(requestId as string))!.pid).toBe(victim);
      }
    }
  });

  test('takes nothing with it that had been counted: sums never fall', async () => {
    const name = 'http_server_request_duration_seconds_count';
    const pids = await readyWorkers(fleet, 2);
    for (let turn = 0; turn < 5; turn++) await askEach(fleet, pids, '/things');
    let counted = 0;
    // Of a worker that is late with its answer an older one stands, and it does not serve in the next.
    await until(async () => {
      counted = await fleet.metric(name);
      return (await fleet.metric('weir_workers')) === 2;
    });
    expect(counted).toBeGreaterThanOrEqual(10);
    for (const pid of pids) {
      process.kill(pid, 'SIGKILL');
      await fleet.logged(tellsDeathOf(pid));
      expect(await fleet.metric(name)).toBe(counted);
    }
    await readyWorkers(fleet, 2);
    for (let turn = 0; turn < 5; turn++) await send(`${fleet.url}/things`);
    await until(async () => (await fleet.metric(name)) === counted + 5);
  });

  test('and all others with it, leave a gateway that comes back to the same port', async () => {
    const before = await readyWorkers(fleet, 2);
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await until(async () => (await fleet.admin('/readyz')).status === 503);
    await until(async () => (await fleet.admin('/readyz')).status === 200);
    const after = await readyWorkers(fleet, 2);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    expect((await send(`${fleet.url}/things`)).text).toBe('thing');
  });
});

describe('A worker that is told to go', { timeout: 60_000 }, () => {
  test('goes when another has taken its place, and loses no request', async () => {
    const pids = await readyWorkers(fleet, 2);
    const [leaver, other] = pids;
    const load = new Load(fleet.url, { clients: 8, path: '/things', methods: ['GET', 'POST'] });
    const connected = await connectAll(fleet, pids, 8, '/things');
    const slow = connected.find(({ pid }) => pid === leaver)!.client.request({ path: '/things/slow', method: 'GET' });
    await until(() => held.length === 1);

    const deaths = await fleet.metric('weir_worker_restarts_total');
    process.kill(leaver!, 'SIGTERM');
    await fleet.logged(({ msg, pid }) => msg === 'worker told to go, it is replaced' && pid === leaver);
    await until(async () => (await statusOf(fleet)).processes.some(({ pid }) => pid !== leaver && pid !== other));
    await load.more(200);
    held[0]!.end('held');
    expect(await (await slow).body.text()).toBe('held');
    await until(() => !isRunning(leaver!));
    await load.more(100);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(await readyWorkers(fleet, 2)).toContain(other);
    expect(fleet.log.some(tellsDeathOf(leaver!))).toBe(false);
    expect(await fleet.metric('weir_worker_restarts_total')).toBe(deaths);
  });
});

describe('A worker that hangs', { timeout: 60_000 }, () => {
  test('is left out of what operators are told, which says so, and keeps nobody waiting', async () => {
    const [hung, other] = await readyWorkers(fleet, 2);
    process.kill(hung!, 'SIGSTOP');
    for (let turn = 0; turn < 3; turn++) {
      expect((await fleet.admin('/readyz')).status).toBe(200);
      const [things] = (await fleet.admin('/admin/upstreams')).json() as unknown as readonly { problems: string[] }[];
      expect(things!.problems[0]).toMatch(new RegExp(`^worker \\d \\(process ${hung}\\) does not answer`));
      const { problems, processes } = await statusOf(fleet);
      expect(problems[0]).toContain(`process ${hung}`);
      expect(processes.map(({ pid }) => pid)).toEqual([other]);
      expect(await fleet.metric('weir_workers')).toBe(1);
    }
    // It keeps the one that it is being handed; the others are served.
    const answers = Array.from({ length: 6 }, () => send(`${fleet.url}/things`).then(({ text }) => text));
    let served = 0;
    for (const answer of answers)
      void answer.then(
        () => served++,
        () => {},
      );
    await until(() => served >= 5);

    process.kill(hung!, 'SIGCONT');
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 6 }, () => 'thing'));
    await until(async () => (await statusOf(fleet)).problems.length === 0);
    expect(await fleet.metric('weir_workers')).toBe(2);
  });

  test('loses nothing that it never took: the connection that it was being handed when it is killed goes to another', async () => {
    const [hung] = await readyWorkers(fleet, 2);
    process.kill(hung!, 'SIGSTOP');
    const answers = Array.from({ length: 6 }, () => send(`${fleet.url}/things`));
    let served = 0;
    for (const answer of answers) void answer.then(() => served++);
    await until(() => served === 5);
    process.kill(hung!, 'SIGKILL');
    expect((await Promise.all(answers)).map(({ text }) => text)).toEqual(answers.map(() => 'thing'));
  });
});

describe('The primary', { timeout: 60_000 }, () => {
  test('dies, and its workers finish what they have, free the port and end', async () => {
    const pids = await readyWorkers(fleet, 2);
    const slow = send(`${fleet.url}/things/slow`);
    await until(() => held.length === 1);
    const port = Number(new URL(fleet.url).port);
    fleet.program.signal('SIGKILL');
    await until(async () => !(await isListening(port)));
    held[0]!.end('held');
    expect((await slow).text).toBe('held');
    await until(() => pids.every((pid) => !isRunning(pid)));
  });
});

function isRunning(pid: number): boolean {
  try {
    // A process that nobody has waited for yet is over all the same.
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
