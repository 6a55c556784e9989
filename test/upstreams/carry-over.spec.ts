import { execFileSync } from 'node:child_process';
import type { Socket } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConnectionSlots } from '#upstreams/connections.ts';
import { RetryBudget } from '#upstreams/retry-budget.ts';
import { upstreamSchema } from '#upstreams/settings.ts';
import { startNameServer } from '../support/dns.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, settle, until } from '../support/raw-client.ts';
import {
  deadUrl,
  startServer,
  startUpstream,
  type Handler,
  type TestServer,
  type TestUpstream,
} from '../support/upstream.ts';

/** What an upstream knows when its settings change, as a reload changes them. */

let service: TestUpstream;
let gateway: TestGateway;
/** What the service does with `/held`. */
let hold: Handler;
let written: Record<string, unknown>;

beforeEach(async () => {
  hold = () => {};
  service = await startUpstream((...call) => (call[0].url === '/held' ? hold(...call) : void call[1].end('ok')));
});
afterEach(async () => {
  await untilIdle(gateway);
  await gateway.stop();
  await service.close();
});

async function front(settings: object = {}): Promise<void> {
  written = { endpoints: [service.url], retry: { attempts: 0 }, ...settings };
  gateway = await startGateway({ upstreams: { things: written }, routes: [{ path: '/*path', upstream: 'things' }] });
}
const things = () => gateway.gateway.assembly.upstreams.get('things')!;
const endpoint = () => things().endpoints[0]!;
function reload(settings: object): void {
  written = { ...written, ...settings };
  things().prepare(upstreamSchema.parse(written))();
}
let asked = 0;
const ask = async () => (await send(`${gateway.url}/${asked++}`)).text;
const large = () => send(`${gateway.url}/${asked++}`, { method: 'POST', body: Buffer.alloc(100_000) });

describe('Other settings', () => {
  test('leave endpoints with all that is known of them, and their open connections', async () => {
    await front({ health: { path: '/health', every: '1h' } });
    await ask();
    await large();
    const known = endpoint();
    const connections = [...service.connections];
    known.healthy = false;
    known.drained = true;
    known.lastError = { code: 'UPSTREAM_TIMEOUT', atMs: 1 };
    reload({ maxInFlight: 7, timeout: '3s', balance: 'least-connections', health: { path: '/healthz', every: '1h' } });
    expect(endpoint()).toBe(known);
    expect(known).toMatchObject({ healthy: false, drained: true, lastError: { code: 'UPSTREAM_TIMEOUT', atMs: 1 } });
    expect([await ask(), (await large()).text]).toEqual(['ok', 'ok']);
    expect([...service.connections]).toEqual(connections);
  });

  test('give endpoints their weights and labels', async () => {
    await front();
    const known = endpoint();
    reload({ endpoints: [{ url: service.url, weight: 5, labels: { version: 'canary' } }, 'http://127.0.0.1:1'] });
    expect(endpoint()).toBe(known);
    expect(known).toMatchObject({ weight: 5, labels: { version: 'canary' }, effectiveWeight: 5 });
  });

  test.each([
    ['timeouts', { connectTimeout: '3s' }],
    ['a bound of connections', { maxConnections: 5 }],
    ['other name servers', { dns: { servers: ['127.0.0.1:5353'] } }],
  ])('of connections (%s) connect anew: what is under way finishes, then the old ones close', async (_, settings) => {
    let answer = () => {};
    hold = (_request, response) => void (answer = () => response.end('late'));
    await front();
    const calls = [send(`${gateway.url}/held`)];
    await until(() => service.requests.length === 1);
    await ask();
    const known = endpoint();
    known.drained = true;
    const [held] = service.connections;
    reload(settings);
    expect(endpoint()).toBe(known);
    expect(known.drained).toBe(true);
    expect(await ask()).toBe('ok');
    // The idle one is closed, the busy one is not.
    await until(() => service.connections.size === 2);
    expect(service.connections).toContain(held);
    answer();
    expect((await calls[0]!).text).toBe('late');
    await until(() => !service.connections.has(held!));
  });

  test('of connections do not cut off a large body on its way', async () => {
    let answer = () => {};
    hold = (_request, response, body) => void (answer = () => response.end(`got ${body.length}`));
    await front();
    const call = send(`${gateway.url}/held`, { method: 'POST', body: Buffer.alloc(300_000) });
    await until(() => service.requests.length === 1);
    reload({ connectTimeout: '3s' });
    answer();
    expect((await call).text).toBe('got 300000');
    await until(() => service.connections.size === 0);
  });

  test('cut off nothing that is under way at an endpoint that leaves', async () => {
    let answer = () => {};
    hold = (_request, response) => void (answer = () => response.end('late'));
    await front();
    const call = send(`${gateway.url}/held`);
    await until(() => service.requests.length === 1);
    const other = await startUpstream((_request, response) => void response.end('other'));
    reload({ endpoints: [other.url] });
    expect(await ask()).toBe('other');
    answer();
    expect((await call).text).toBe('late');
    await until(() => service.connections.size === 0);
    await other.close();
  });

  test('with discovery instead of endpoints keep those that are known until there is an answer', async () => {
    const names = await startNameServer({});
    await front();
    const discovery = { kind: 'dns', name: 'a.test', port: service.port, every: '100ms', servers: [names.address] };
    reload({ endpoints: undefined, discovery });
    await until(() => things().discovery.errors > 0);
    expect(await ask()).toBe('ok');
    expect(endpoint().target).toBe(service.url);
    names.records.set('a.test', { a: ['127.0.0.1'] });
    await until(() => endpoint().target === `http://a.test:${service.port}`);
    expect(await ask()).toBe('ok');
    // And back: what is written down is in force at once, and nobody is asked any more.
    reload({ endpoints: [service.url], discovery: undefined });
    expect(endpoint().target).toBe(service.url);
    const before = names.queries.length;
    await settle(250);
    expect(names.queries.length).toBe(before);
    await names.close();
  });

  test('that cannot be read change nothing', async () => {
    await front();
    const known = endpoint();
    expect(() => reload({ endpoints: ['http://127.0.0.1:1'], tls: { ca: '/does/not/exist' } })).toThrow('ENOENT');
    expect([endpoint(), things().settings.tls]).toEqual([known, undefined]);
  });
});

describe('Connections of the streaming form that are not needed any more', () => {
  let held: (() => void) | undefined;
  let keeping: TestServer;

  /** Neither side gives up an idle connection by itself. */
  async function kept(): Promise<void> {
    keeping = await startServer((request, response) => {
      request.resume().on('end', () => {
        if (request.url === '/held') held = () => response.end('late');
        else response.end('ok');
      });
    });
    keeping.server.keepAliveTimeout = 0;
    await front({ endpoints: [keeping.url] });
    endpoint().connections.agent.on('free', (socket: Socket) => socket.setTimeout(0));
  }

  test('close at once where they are idle', async () => {
    await kept();
    await large();
    expect(keeping.connections.size).toBe(1);
    reload({ connectTimeout: '3s' });
    await until(() => keeping.connections.size === 0);
    await keeping.close();
  });

  test('close after the answer that was under way', async () => {
    await kept();
    const call = send(`${gateway.url}/held`, { method: 'POST', body: Buffer.alloc(100_000) });
    await until(() => held !== undefined);
    reload({ connectTimeout: '3s' });
    held!();
    expect((await call).text).toBe('late');
    await until(() => keeping.connections.size === 0);
    await keeping.close();
  });
});

describe('Another TLS file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-carry-'));
  const certificate = (name: string) => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    const paths = ['-keyout', `${folder}/${name}.key`, '-out', `${folder}/${name}.crt`];
    execFileSync('openssl', ['req', '-x509', ...key, '-subj', `/CN=${name}`, ...paths], { stdio: 'ignore' });
    return execFileSync('cat', [`${folder}/${name}.crt`]);
  };

  test('of the same name connects anew, and the same one does not', async () => {
    const first = certificate('first');
    const second = certificate('second');
    const ca = join(folder, 'ca.crt');
    writeFileSync(ca, first);
    await front({ tls: { ca } });
    await ask();
    const [old] = service.connections;
    reload({});
    await ask();
    expect([...service.connections]).toEqual([old]);
    writeFileSync(ca, second);
    reload({});
    await ask();
    await until(() => !service.connections.has(old!));
    expect(service.connections.size).toBe(1);
    rmSync(folder, { recursive: true });
  });
});

describe('Connection slots', () => {
  test('that become more are given to those who wait, in their order', () => {
    const slots = new ConnectionSlots(1);
    const granted: string[] = [];
    expect(slots.take()).toBe(true);
    for (const name of ['a', 'b', 'c']) slots.wait(() => granted.push(name));
    slots.resize(3);
    expect([granted, slots.used, slots.waiting]).toEqual([['a', 'b'], 3, 1]);
  });

  test('that become fewer stay with who has them, and are not given again until there are few enough', () => {
    const slots = new ConnectionSlots(3);
    const granted: string[] = [];
    for (let count = 0; count < 3; count++) slots.take();
    slots.wait(() => granted.push('a'));
    slots.resize(1);
    expect([slots.used, slots.take()]).toEqual([3, false]);
    slots.release();
    slots.release();
    expect([granted, slots.used]).toEqual([[], 1]);
    slots.release();
    expect([granted, slots.used]).toEqual([['a'], 1]);
    slots.release();
    expect(slots.used).toBe(0);
  });
});

describe('The retry budget', () => {
  /** How many retries it allows at once. */
  function savings(budget: RetryBudget): number {
    let count = 0;
    while (budget.spend()) count++;
    return count;
  }

  test('keeps what it has saved under another share', () => {
    const budget = new RetryBudget(0.2);
    for (let count = 0; count < 6; count++) budget.spend();
    budget.configure(0.5);
    budget.earn();
    budget.earn();
    expect(savings(budget)).toBe(5);
  });

  test('has none left once it is 0, and saves again from nothing after that', () => {
    const budget = new RetryBudget(0.2);
    budget.configure(0);
    budget.earn();
    expect(savings(budget)).toBe(0);
    budget.configure(1);
    budget.earn();
    expect(savings(budget)).toBe(1);
  });
});

describe('Discovery', () => {
  test('goes on without asking anew while its own settings are the same', async () => {
    const names = await startNameServer({ 'a.test': { a: ['127.0.0.1'] } });
    const discovery = { kind: 'dns', name: 'a.test', port: service.port, every: '1h', servers: [names.address] };
    await front({ endpoints: undefined, discovery });
    await until(() => things().endpoints.length === 1);
    const [known] = things().endpoints;
    reload({ timeout: '3s', connectTimeout: '3s' });
    expect(await ask()).toBe('ok');
    await settle();
    expect([things().endpoints, names.queries.length]).toEqual([[known], 2]);
    reload({ discovery: { ...discovery, every: '30m' } });
    await until(() => names.queries.length === 4);
    expect(things().endpoints).toEqual([known]);
    await names.close();
  });
});

describe('A dead endpoint', () => {
  test('that has been ejected stays so', async () => {
    const dead = await deadUrl();
    await front({ endpoints: [dead, service.url], ejection: { failures: 1, for: '10m' }, breaker: { failures: 100 } });
    while (endpoint().ejections === 0) await ask();
    reload({ timeout: '3s', connectTimeout: '3s', ejection: { failures: 2, for: '1s' } });
    expect(endpoint().ejectedUntilMs).toBeGreaterThan(Date.now() + 60_000);
    expect([await ask(), await ask(), await ask()]).toEqual(['ok', 'ok', 'ok']);
  });
});
