import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startConsul, type TestConsul } from '../support/consul.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send, settle, until } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const services: { close(): Promise<void> }[] = [];
let consul: TestConsul;
let gateway: TestGateway | undefined;

beforeEach(async () => {
  consul = await startConsul();
});
afterEach(async () => {
  if (gateway) await untilIdle(gateway);
  await gateway?.stop();
  gateway = undefined;
  await Promise.all([consul, ...services.splice(0)].map((service) => service.close()));
});

async function instance(name: string): Promise<TestUpstream> {
  const service = await startUpstream((_request, response) => void response.end(name));
  services.push(service);
  return service;
}

async function front(discovery: object = {}, settings: object = {}): Promise<void> {
  gateway = await startGateway({
    upstreams: {
      orders: {
        discovery: { kind: 'consul', url: consul.url, service: 'orders', ...discovery },
        slowStart: '0ms',
        ...settings,
      },
    },
    routes: [{ path: '/*path', upstream: 'orders' }],
  });
}

const upstream = () => gateway!.gateway.assembly.upstreams.get('orders')!;
const known = () => upstream().endpoints;
const ports = () => known().map(({ url }) => Number(url.port));
const last = () => consul.queries.at(-1)!.parameters;
let asked = 0;
const ask = async (count: number): Promise<string[]> => {
  const answers: string[] = [];
  for (let index = 0; index < count; index++) answers.push((await send(`${gateway!.url}/${asked++}`)).text);
  return answers;
};
/** Where nobody listens; for what is only to be known. */
const at = (port: number, more: object = {}) => ({ id: `orders-${port}`, port, ...more });

describe("Endpoints from Consul's HTTP API (discovery: consul)", () => {
  test('are the instances that pass their checks, by weight, at the address of the service or else of its node', async () => {
    const [a, b, sick] = [await instance('a'), await instance('b'), await instance('sick')];
    consul.register('orders', [
      { ...at(a.port), address: '127.0.0.1', nodeAddress: '192.0.2.1', weights: { Passing: 3, Warning: 1 } },
      at(b.port),
      at(sick.port, { status: 'critical' }),
      at(1, { status: 'warning' }),
      // Registered without a port: there is nothing to connect to.
      at(0),
    ]);
    await front();
    expect((await ask(8)).toSorted((x, y) => (x < y ? -1 : 1)).join('')).toBe('aaaaaabb');
    expect(known().map(({ origin, weight }) => [origin, weight])).toEqual([
      [a.url, 3],
      [b.url, 1],
    ]);
    expect(a.requests[0]?.headers.host).toBe(`orders:${a.port}`);
  });

  test('have their tags as labels: key=value as it says, any other as true', async () => {
    consul.register('orders', [
      at(1001, { tags: ['version=canary', 'zone=a=b', 'primary', '=odd'] }),
      at(1002, { tags: null }),
    ]);
    await front();
    await until(() => known().length === 2);
    expect(known().map(({ labels }) => labels)).toEqual([
      { version: 'canary', zone: 'a=b', primary: 'true', '=odd': 'true' },
      {},
    ]);
  });

  test('are asked for as configured: tag, datacenter, token', async () => {
    consul.token = 'secret';
    consul.register('web shop', [at(1001, { tags: ['v2'] }), at(1002)]);
    await front({ service: 'web shop', tag: 'v2', datacenter: 'dc2', token: 'secret', host: 'shop.example' });
    await until(() => known().length > 0);
    expect(ports()).toEqual([1001]);
    expect(known()[0]?.target).toBe('http://shop.example:1001');
    const [query] = consul.queries;
    expect(query?.path).toBe('/v1/health/service/web%20shop');
    expect(Object.fromEntries(query!.parameters)).toEqual({ passing: 'true', tag: 'v2', dc: 'dc2' });
  });

  test('stay when Consul refuses the token, breaks down, or talks nonsense; it is asked again', async () => {
    consul.register('orders', [at(1001)]);
    await front({ wait: '1s' });
    await until(() => known().length === 1 && consul.held === 1);
    consul.status = 403;
    consul.register('orders', [at(1002)]);
    await until(() => upstream().discovery.errors > 0);
    expect([ports(), upstream().discovery.lastError?.message]).toEqual([[1001], 'Consul answered with status 403']);
    consul.status = 200;
    consul.body = '[{"Node":{},"Service":7}]';
    const nonsense = () => upstream().discovery.lastError?.message !== 'Consul answered with status 403';
    await until(nonsense);
    expect(ports()).toEqual([1001]);
    consul.body = undefined;
    await until(() => ports()[0] === 1002);
    expect(upstream().discovery.lastError).toBeUndefined();
  });

  test('stay when none passes its checks any more', async () => {
    consul.register('orders', [at(1001)]);
    await front();
    await until(() => known().length === 1);
    consul.register('orders', [at(1001, { status: 'critical' })]);
    await until(() => upstream().discovery.errors > 0);
    expect(ports()).toEqual([1001]);
    // Still waiting for news, and not asking in a loop.
    await until(() => consul.held === 1);
    consul.register('orders', [at(1002)]);
    await until(() => ports()[0] === 1002);
  });

  test('an answer that is too large to be true is not read', async () => {
    consul.body = `[${' '.repeat(9 * 1024 * 1024)}]`;
    await front();
    await until(() => upstream().discovery.errors > 0);
    expect(upstream().discovery.lastError?.message).toContain('more than');
  });
});

describe('Blocking queries', () => {
  test('wait for the next change: first without an index, then with the one that the answer had', async () => {
    consul.register('orders', [at(1001)]);
    await front({ wait: '10m' });
    await until(() => consul.held === 1);
    expect(consul.queries.map(({ parameters }) => [parameters.get('index'), parameters.get('wait')])).toEqual([
      [null, null],
      ['17', '600000ms'],
    ]);
    consul.register('orders', [at(1001), at(1002)]);
    await until(() => ports().length === 2 && consul.held === 1);
    expect(consul.queries).toHaveLength(3);
    expect(last().get('index')).toBe('24');
  });

  test('that end without a change are asked again, and change nothing', async () => {
    consul.register('orders', [at(1001)]);
    await front({ wait: '1s' });
    await until(() => consul.queries.length >= 3);
    expect([consul.queries[1], consul.queries[2]].map((query) => query?.parameters.get('index'))).toEqual(['17', '17']);
    expect(gateway!.log.filter(({ msg }) => msg === 'endpoints discovered')).toHaveLength(1);
    expect(upstream().discovery.errors).toBe(0);
  });

  test('start anew without an index when it goes backwards, as after a restored snapshot', async () => {
    consul.register('orders', [at(1001)]);
    await front();
    await until(() => consul.held === 1);
    consul.restore();
    await until(() => consul.queries.length === 4 && consul.held === 1);
    expect(consul.queries.map(({ parameters }) => parameters.get('index'))).toEqual([null, '17', null, '3']);
    consul.register('orders', [at(1002)]);
    await until(() => ports()[0] === 1002);
  });

  test.each(['0', '', 'x', '-4'])('wait on 1 when the index is %j, which never blocks', async (index) => {
    consul.register('orders', [at(1001)]);
    consul.index = index;
    await front();
    await until(() => consul.queries.length >= 2);
    expect(consul.queries[1]?.parameters.get('index')).toBe('1');
  });

  test('keep an index that is larger than a number can be exactly', async () => {
    consul.register('orders', [at(1001)]);
    consul.index = '18446744073709551615';
    await front();
    await until(() => consul.queries.length >= 2);
    expect(consul.queries[1]?.parameters.get('index')).toBe('18446744073709551615');
  });

  test('are not asked in a loop by an agent that does not block', async () => {
    consul.register('orders', [at(1001)]);
    let index = 100;
    Object.defineProperty(consul, 'index', { get: () => index++ });
    await front();
    await until(() => consul.queries.length >= 10);
    const before = consul.queries.length;
    await settle(300);
    expect(consul.queries.length - before).toBeLessThanOrEqual(2);
  });

  test('end with the gateway', async () => {
    consul.register('orders', [at(1001)]);
    await front();
    await until(() => consul.held === 1);
    await gateway!.stop();
    await until(() => consul.held === 0);
    const before = consul.queries.length;
    await settle();
    expect(consul.queries.length).toBe(before);
    gateway = undefined;
  });

  test("delay no call: Consul that hangs is nobody's wait once addresses are known", async () => {
    const a = await instance('a');
    consul.register('orders', [at(a.port)]);
    await front();
    await until(() => consul.held === 1);
    expect(await ask(3)).toEqual(['a', 'a', 'a']);
    expect(consul.held).toBe(1);
  });
});
