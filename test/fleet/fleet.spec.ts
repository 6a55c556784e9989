import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askEach, readyWorkers, startFleet, statusOf } from '../support/fleet.ts';
import type { GatewayProgram } from '../support/gateway-program.ts';
import { Load } from '../support/load.ts';
import { send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** `listen.workers` (DESIGN.md): the primary owns admin, health checks and the sums of metrics. */

let upstream: TestUpstream;
let fleet: GatewayProgram;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => void response.end('thing'));
  fleet = await startFleet(upstream.url);
}, 60_000);

afterAll(async () => {
  fleet.kill();
  await upstream.close();
});

describe('Two workers', { timeout: 60_000 }, () => {
  test('share the port, and each line of theirs says which one wrote it', async () => {
    const answers = await askEach(fleet, await readyWorkers(fleet, 2), '/things');
    expect([...answers.values()].map(({ text }) => text)).toEqual(['thing', 'thing']);
    const lines = fleet.log.filter(({ msg }) => msg === 'request');
    expect(new Set(lines.map(({ worker }) => worker))).toEqual(new Set([1, 2]));
    expect(new Set(lines.map(({ worker, pid }) => `${String(worker)} ${String(pid)}`)).size).toBe(2);
    const { worker, pid } = await fleet.logged(({ msg }) => msg === 'listening');
    expect(worker).toBeUndefined();
    expect([...answers.keys()]).not.toContain(pid);
  });

  test('are two processes that are ready, in one status', async () => {
    const { problems, processes } = await statusOf(fleet);
    expect(problems).toEqual([]);
    expect(processes.map(({ phase }) => phase)).toEqual(['ready', 'ready']);
    const answer = await fleet.admin('/readyz');
    expect([answer.status, answer.json()]).toEqual([
      200,
      { status: 'ready', upstreams: { things: { breaker: 'closed', endpoints: 1, healthy: 1 } } },
    ]);
  });

  test('are one gateway in /metrics: what they have counted is added up', async () => {
    const name = 'http_server_request_duration_seconds_count';
    const before = await fleet.metric(name);
    const load = new Load(fleet.url, { clients: 6, path: '/things', methods: ['GET', 'POST'] });
    await load.more(300);
    const sent = await load.stop();
    expect(load.failures).toEqual([]);
    const ids = new Set(sent.map(({ id }) => id));
    await until(() => fleet.log.filter(({ requestId }) => ids.has(requestId as string)).length === ids.size);
    const mine = fleet.log.filter(({ requestId }) => ids.has(requestId as string));
    expect(new Set(mine.map(({ worker }) => worker))).toEqual(new Set([1, 2]));

    expect(await fleet.metric(name)).toBe(before + sent.length);
    expect(await fleet.metric('http_server_active_requests')).toBe(0);
    await until(async () => (await fleet.metric('weir_server_connections')) === 0);
    const { text } = await fleet.admin('/metrics');
    for (const worker of ['1', '2', 'primary'])
      expect(text).toContain(`process_uptime_seconds{weir_worker="${worker}"}`);
    // One line for each series, or Prometheus refuses them all.
    const series = text.split('\n').flatMap((line) => (line.startsWith('#') ? [] : [line.replace(/ [^ ]+$/, '')]));
    expect(new Set(series).size).toBe(series.length);
  });

  test('are one gateway in /admin/upstreams, each with its share of what is bounded', async () => {
    const [things] = (await fleet.admin('/admin/upstreams')).json() as unknown as readonly Record<string, unknown>[];
    expect(things).toMatchObject({
      name: 'things',
      problems: [],
      maxInFlight: 256,
      connections: { max: 128 },
      breaker: { state: 'closed', processes: { closed: 2, open: 0, 'half-open': 0 } },
    });
    expect(things!['calls']).toBeGreaterThan(0);
    const { processes } = (await fleet.admin('/admin/status')).json() as { processes: { maxInFlight: number }[] };
    expect(processes.map(({ maxInFlight }) => maxInFlight)).toEqual([2048, 2048]);
  });

  test('do what an operator says, both of them, and one that starts later too', async () => {
    const held = { kind: 'upstream', target: 'things', action: 'open', for: '1m', by: 'test' };
    expect((await fleet.admin('/admin/overrides', 'POST', held)).status).toBeLessThan(300);
    const pids = await readyWorkers(fleet, 2);
    for (const { status } of (await askEach(fleet, pids, '/things')).values()) expect(status).toBe(503);

    process.kill(pids[0]!, 'SIGKILL');
    await fleet.logged(({ msg }) => msg === 'worker replaced');
    const replaced = await readyWorkers(fleet, 2);
    for (const { status } of (await askEach(fleet, replaced, '/things')).values()) expect(status).toBe(503);
    // What operators do is written down once, not once for each process.
    expect(fleet.log.filter(({ msg, happened }) => msg === 'operator' && happened === 'set')).toHaveLength(1);

    expect((await fleet.admin('/admin/overrides?by=test&target=things', 'DELETE')).status).toBeLessThan(300);
    for (const { status } of (await askEach(fleet, replaced, '/things')).values()) expect(status).toBe(200);
  });

  test('refuse together what an operator cannot mean', async () => {
    const unknown = { kind: 'upstream', target: 'nothing', action: 'open', for: '1m', by: 'test' };
    expect((await fleet.admin('/admin/overrides', 'POST', unknown)).status).toBe(404);
    expect((await send(`${fleet.url}/things`)).status).toBe(200);
  });
});
