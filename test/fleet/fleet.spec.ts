import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProgram } from '../support/gateway-program.ts';
import { Load } from '../support/load.ts';
import { send, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** `listen.workers` (DESIGN.md): the primary owns admin, health checks and the sums of metrics. */

let upstream: TestUpstream;
let fleet: GatewayProgram;
const config = (more: object = {}) => ({
  listen: { workers: 2 },
  upstreams: { things: { endpoints: [upstream.url] } },
  routes: [{ path: '/things{/*rest}', upstream: 'things', methods: ['GET', 'POST'] }],
  ...more,
});

interface Status {
  readonly problems: readonly string[];
  readonly processes: readonly { readonly pid: number; readonly phase: string }[];
}

const status = async () => (await fleet.admin('/admin/status')).json() as unknown as Status;
const workerOf = async (id: string) => (await fleet.logged(({ requestId }) => requestId === id)).worker;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => response.end('thing'));
  fleet = await GatewayProgram.start(config());
}, 60_000);

afterAll(async () => {
  fleet.kill();
  await upstream.close();
});

describe('Two workers', { timeout: 60_000 }, () => {
  test('share the port, and each line of theirs says which one wrote it', async () => {
    const workers = new Set<unknown>();
    for (let turn = 0; workers.size < 2; turn++) {
      const id = `which-${turn}`;
      const answer = await send(`${fleet.url}/things`, { headers: { 'x-request-id': id } });
      expect(answer.text).toBe('thing');
      workers.add(await workerOf(id));
    }
    expect(workers).toEqual(new Set([1, 2]));
    const { worker, pid } = await fleet.logged(({ msg }) => msg === 'listening');
    expect(worker).toBeUndefined();
    expect((await status()).processes.map((process) => process.pid)).not.toContain(pid);
  });

  test('are two processes that are ready, in one status', async () => {
    const { problems, processes } = await status();
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
    const asked = upstream.requests.length;
    const load = new Load(fleet.url, { clients: 6, path: '/things', methods: ['GET', 'POST'] });
    await load.more(300);
    const sent = await load.stop();
    expect(load.failures).toEqual([]);
    const workers = new Set(await Promise.all(sent.slice(0, 50).map(({ id }) => workerOf(id))));
    expect(workers).toEqual(new Set([1, 2]));
    expect(await fleet.metric(name)).toBe(before + sent.length);
    expect(upstream.requests.length - asked).toBeGreaterThan(0);
    expect(await fleet.metric('http_server_active_requests')).toBe(0);
    await until(async () => (await fleet.metric('weir_server_connections')) === 0);
    const { text } = await fleet.admin('/metrics');
    for (const worker of ['1', '2', 'primary']) expect(text).toContain(`process_uptime_seconds{weir_worker="${worker}"}`);
  });

  test('are one gateway in /admin/upstreams', async () => {
    const [things] = (await fleet.admin('/admin/upstreams')).json() as unknown as readonly Record<string, unknown>[];
    expect(things).toMatchObject({
      name: 'things',
      problems: [],
      maxInFlight: 256,
      connections: { max: 128 },
      breaker: { state: 'closed', processes: { closed: 2, open: 0, 'half-open': 0 } },
    });
    expect(things!['calls']).toBeGreaterThan(0);
  });

  test('do what an operator says, both of them, and one that starts later too', async () => {
    const override = { kind: 'upstream', target: 'things', action: 'open', for: '1m', by: 'test' };
    expect((await fleet.admin('/admin/overrides', 'POST', override)).status).toBeLessThan(300);
    const states = new Map<unknown, Set<number>>();
    const look = async (id: string) => {
      const answer = await send(`${fleet.url}/things`, { headers: { 'x-request-id': id } });
      const worker = await workerOf(id);
      states.set(worker, (states.get(worker) ?? new Set()).add(answer.status));
    };
    for (let turn = 0; states.size < 2; turn++) await look(`held-${turn}`);
    expect([...states.values()]).toEqual([new Set([503]), new Set([503])]);

    const [victim] = (await status()).processes;
    process.kill(victim!.pid, 'SIGKILL');
    await until(async () => (await status()).processes.filter(({ phase }) => phase === 'ready').length === 2);
    for (let turn = 0; turn < 20; turn++) await look(`replaced-${turn}`);
    expect([...states.values()]).toEqual([new Set([503]), new Set([503])]);

    expect((await fleet.admin('/admin/overrides?by=test&target=things', 'DELETE')).status).toBeLessThan(300);
    expect((await send(`${fleet.url}/things`)).status).toBe(200);
  });
});
