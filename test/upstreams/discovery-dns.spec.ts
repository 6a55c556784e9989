import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startNameServer, type TestNameServer } from '../support/dns.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { RawClient, send, settle, until } from '../support/raw-client.ts';
import { startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';

const services: { close(): Promise<void> }[] = [];
let names: TestNameServer;
let gateway: TestGateway | undefined;
/** One for all instances, as behind A records. */
let port: number;

beforeEach(async () => {
  names = await startNameServer();
  port = await freePort();
});
afterEach(async () => {
  if (gateway) await untilIdle(gateway);
  await gateway?.stop();
  gateway = undefined;
  await Promise.all([names, ...services.splice(0)].map((service) => service.close()));
});

async function instance(host: string, handler?: Handler, at = port): Promise<TestUpstream> {
  const service = await startUpstream(handler ?? ((_request, response) => void response.end(host)), undefined, {
    host,
    port: at,
  });
  services.push(service);
  return service;
}

async function front(discovery: object, settings: object = {}): Promise<TestGateway> {
  gateway = await startGateway({
    upstreams: {
      orders: { discovery: { every: '100ms', servers: [names.address], ...discovery }, slowStart: '0ms', ...settings },
    },
    routes: [{ path: '/*path', upstream: 'orders' }],
  });
  return gateway;
}

const byName = (settings: object = {}) => front({ kind: 'dns', name: 'orders.test', port }, settings);
const upstream = () => gateway!.gateway.assembly.upstreams.get('orders')!;
const origins = () =>
  upstream()
    .endpoints.map(({ origin }) => origin)
    .sort((a, b) => (a < b ? -1 : 1));
const at = (...hosts: readonly string[]) => hosts.map((host) => `http://${host}:${port}`);
let asked = 0;
const ask = async (count: number): Promise<Set<string>> => {
  const answers = new Set<string>();
  for (let index = 0; index < count; index++) answers.add((await send(`${gateway!.url}/${asked++}`)).text);
  return answers;
};
const logged = (message: string) => gateway!.log.filter(({ msg }) => msg === message);

describe('Endpoints by A and AAAA records (discovery: dns)', () => {
  test('are all addresses of the name, of both families', async () => {
    names.records.set('orders.test', { a: ['127.0.0.2', '127.0.0.3'], aaaa: ['::1'] });
    for (const host of ['127.0.0.2', '127.0.0.3', '::1']) await instance(host);
    await byName();
    expect(await ask(6)).toEqual(new Set(['127.0.0.2', '127.0.0.3', '::1']));
    expect(origins()).toEqual(at('127.0.0.2', '127.0.0.3', '[::1]'));
  });

  test('go by the discovered name in Host, in both forms of the exchange', async () => {
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    const service = await instance('127.0.0.2');
    await byName();
    await ask(1);
    await send(`${gateway!.url}/large`, { method: 'POST', body: Buffer.alloc(100_000) });
    expect(service.requests.map(({ headers }) => headers.host)).toEqual([`orders.test:${port}`, `orders.test:${port}`]);
  });

  test('go by the configured host instead', async () => {
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    const service = await instance('127.0.0.2');
    await front({ kind: 'dns', name: 'orders.test', port, host: 'shop.example' });
    await ask(1);
    expect(service.requests[0]?.headers.host).toBe(`shop.example:${port}`);
  });

  test('join when the name gets more addresses, and leave when it has fewer', async () => {
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    await instance('127.0.0.2');
    await instance('127.0.0.3');
    await byName();
    expect(await ask(2)).toEqual(new Set(['127.0.0.2']));
    names.records.set('orders.test', { a: ['127.0.0.2', '127.0.0.3'] });
    await until(() => origins().length === 2);
    expect(await ask(4)).toEqual(new Set(['127.0.0.2', '127.0.0.3']));
    names.records.set('orders.test', { a: ['127.0.0.3'] });
    await until(() => origins().length === 1);
    expect(await ask(2)).toEqual(new Set(['127.0.0.3']));
    expect(logged('endpoints discovered').map(({ joined, left }) => [joined, left])).toEqual([
      [at('127.0.0.2'), []],
      [at('127.0.0.3'), []],
      [[], at('127.0.0.2')],
    ]);
  });

  test('that leave finish what they have: the call in flight is answered, then the connection closes', async () => {
    let answer = () => {};
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    const old = await instance('127.0.0.2', (_request, response) => void (answer = () => response.end('late')));
    await instance('127.0.0.3');
    await byName();
    const call = send(`${gateway!.url}/held`);
    await until(() => old.requests.length === 1);
    names.records.set('orders.test', { a: ['127.0.0.3'] });
    await until(() => origins()[0] === at('127.0.0.3')[0]);
    expect(await ask(2)).toEqual(new Set(['127.0.0.3']));
    answer();
    expect((await call).text).toBe('late');
    await until(() => old.connections.size === 0);
  });

  test.each([
    ['does not exist any more', () => names.records.delete('orders.test')],
    ['has no address any more', () => names.records.set('orders.test', {})],
    ['cannot be looked up', () => names.sick.set('*', 'SERVFAIL')],
  ])('stay what they were when the name %s, which is logged once and counted', async (_, happen) => {
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    await instance('127.0.0.2');
    await byName();
    await ask(1);
    happen();
    await until(() => upstream().discovery.errors >= 2);
    expect(await ask(2)).toEqual(new Set(['127.0.0.2']));
    expect(upstream().discovery.lastError).toMatchObject({ message: expect.any(String) as string });
    expect(logged('discovery failed, endpoints stay as they are')).toHaveLength(1);
    names.sick.clear();
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    await until(() => upstream().discovery.lastError === undefined);
    expect(logged('discovery works again')).toHaveLength(1);
    const { text } = await send(`${gateway!.adminUrl}/metrics`);
    expect(text).toMatch(/weir_upstream_discovery_errors_total\{weir_upstream="orders"[^}]*\} [1-9]/);
  });

  test('of the other family stay when one family cannot be looked up', async () => {
    names.records.set('orders.test', { a: ['127.0.0.2'], aaaa: ['::1'] });
    await byName();
    await until(() => origins().length === 2);
    names.sick.set('AAAA', 'SERVFAIL');
    names.records.set('orders.test', { a: ['127.0.0.3'], aaaa: ['::1'] });
    await until(() => origins().includes(at('127.0.0.3')[0]!));
    expect(origins()).toEqual(at('127.0.0.3', '[::1]'));
  });

  test('are used when the other family was never to be had', async () => {
    names.sick.set('AAAA', 'REFUSED');
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    await instance('127.0.0.2');
    await byName();
    expect(await ask(1)).toEqual(new Set(['127.0.0.2']));
  });
});

describe('Before the first answer', () => {
  test('the gateway listens, and calls wait for it', async () => {
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    await instance('127.0.0.2');
    names.sick.set('*', 'silent');
    await byName({ connectTimeout: '60s', timeout: '60s' });
    const call = ask(1);
    await until(() => upstream().inFlight === 1);
    names.sick.clear();
    // The resolver asks again by itself.
    expect(await call).toEqual(new Set(['127.0.0.2']));
  });

  test('calls wait no longer than connectTimeout, and then say that no address is known', async () => {
    names.sick.set('*', 'silent');
    await byName({ connectTimeout: '50ms' });
    const answer = await send(`${gateway!.url}/a`);
    expect([answer.status, answer.json()]).toEqual([
      502,
      expect.objectContaining({ code: 'UPSTREAM_UNREACHABLE', detail: "No address of 'orders' is known." }),
    ]);
    expect(upstream().retries).toBe(0);
  });

  test('a client that leaves, or whose deadline passes, waits no more', async () => {
    names.sick.set('*', 'silent');
    await byName({ connectTimeout: '60s' });
    const answer = await send(`${gateway!.url}/a`, { headers: { 'x-weir-deadline-ms': '50' } });
    expect(answer.json()).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const client = await RawClient.connect(gateway!.url);
    client.head('GET /b HTTP/1.1', 'Host: x');
    await until(() => upstream().inFlight === 1);
    client.reset();
    await until(() => upstream().inFlight === 0);
  });

  test('a name without an answer fails calls at once, without opening the breaker: nobody was asked', async () => {
    await byName({ breaker: { failures: 2 } });
    await until(() => upstream().discovery.errors > 0);
    for (let count = 0; count < 4; count++)
      expect(await send(`${gateway!.url}/${count}`)).toMatchObject({ status: 502 });
    expect(upstream().breaker.state).toBe('closed');
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    await instance('127.0.0.2');
    await until(() => origins().length === 1);
    expect(await ask(1)).toEqual(new Set(['127.0.0.2']));
  });
});

describe('Endpoints by SRV records (discovery: dns-srv)', () => {
  const service = '_http._tcp.orders.test';
  const bySrv = (settings: object = {}) => front({ kind: 'dns-srv', name: service }, settings);

  test('have host, port and weight of their records, and go by the name of the service', async () => {
    const [one, two] = [await instance('127.0.0.2', undefined, 0), await instance('127.0.0.3', undefined, 0)];
    names.records.set('one.test', { a: ['127.0.0.2'] });
    names.records.set('two.test', { a: ['127.0.0.3'] });
    names.records.set(service, {
      srv: [
        { priority: 0, weight: 30, port: one.port, target: 'one.test' },
        { priority: 0, weight: 10, port: two.port, target: 'two.test' },
      ],
    });
    await bySrv();
    for (let count = 0; count < 8; count++) await ask(1);
    expect([one.requests.length, two.requests.length]).toEqual([6, 2]);
    expect(one.requests[0]?.headers.host).toBe(`orders.test:${one.port}`);
  });

  test('of a higher number of priority are used only while none of a lower one is up (RFC 2782)', async () => {
    const failing = { now: false };
    const primary = await instance('127.0.0.2', (_request, response) => {
      if (failing.now) response.writeHead(500);
      response.end('primary');
    });
    const backup = await instance('127.0.0.3', (_request, response) => void response.end('backup'));
    names.records.set('primary.test', { a: ['127.0.0.2'] });
    names.records.set('backup.test', { a: ['127.0.0.3'] });
    names.records.set(service, {
      srv: [
        { priority: 2, weight: 100, port: backup.port, target: 'backup.test' },
        { priority: 1, weight: 0, port: primary.port, target: 'primary.test' },
      ],
    });
    await bySrv({ health: { path: '/health', every: '100ms', healthyAfter: 1, unhealthyAfter: 1 } });
    expect(await ask(4)).toEqual(new Set(['primary']));
    failing.now = true;
    await until(() => upstream().endpoints.some(({ healthy }) => !healthy));
    expect(await ask(4)).toEqual(new Set(['backup']));
    failing.now = false;
    await until(() => upstream().endpoints.every(({ healthy }) => healthy));
    expect(await ask(4)).toEqual(new Set(['primary']));
  });

  test('of weight 0 beside others have a very small chance, and an equal one among their like (RFC 2782)', async () => {
    names.records.set('one.test', { a: ['127.0.0.2'] });
    names.records.set('two.test', { a: ['127.0.0.3'] });
    const srv = (first: number, second: number) => ({
      srv: [
        { priority: 0, weight: first, port, target: 'one.test' },
        { priority: 0, weight: second, port, target: 'two.test' },
      ],
    });
    names.records.set(service, srv(50, 0));
    await bySrv();
    const weights = () => upstream().endpoints.map(({ weight }) => weight);
    await until(() => weights().length === 2);
    expect(weights()).toEqual([50, 0.5]);
    names.records.set(service, srv(0, 0));
    await until(() => weights()[0] === 1);
    expect(weights()).toEqual([1, 1]);
  });

  test('share the weight of a target that has several addresses', async () => {
    names.records.set('both.test', { a: ['127.0.0.2', '127.0.0.3'] });
    names.records.set(service, { srv: [{ priority: 0, weight: 10, port, target: 'both.test' }] });
    await bySrv();
    await until(() => origins().length === 2);
    expect(upstream().endpoints.map(({ weight }) => weight)).toEqual([5, 5]);
  });

  test('whose target does not exist are left out, and a target of "." is none at all (RFC 2782)', async () => {
    names.records.set('one.test', { a: ['127.0.0.2'] });
    names.records.set(service, {
      srv: [
        { priority: 0, weight: 1, port, target: 'one.test' },
        { priority: 0, weight: 1, port, target: 'gone.test' },
      ],
    });
    await bySrv();
    await until(() => origins().length > 0);
    expect(origins()).toEqual(at('127.0.0.2'));
    names.records.set(service, { srv: [{ priority: 0, weight: 0, port: 0, target: '.' }] });
    await until(() => upstream().discovery.errors > 0);
    expect(origins()).toEqual(at('127.0.0.2'));
  });
});

describe('Asking', () => {
  test('ends with the gateway', async () => {
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    await byName();
    await until(() => origins().length === 1);
    await gateway!.stop();
    const before = names.queries.length;
    await settle(300);
    expect(names.queries.length).toBe(before);
    gateway = undefined;
  });

  test('goes on after failures, less and less often', async () => {
    names.sick.set('*', 'REFUSED');
    await byName();
    await until(() => upstream().discovery.errors >= 3);
    expect(origins()).toEqual([]);
    names.sick.clear();
    names.records.set('orders.test', { a: ['127.0.0.2'] });
    await until(() => origins().length === 1);
  });
});
