import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { UseSums, maxUses } from '#gateway/uses/sums.ts';
import type { UseReport } from '#gateway/uses/uses.ts';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { weirAt } from './running.ts';

const keys = { acme: newApiKey(), globex: newApiKey() };
type Consumer = keyof typeof keys;

let upstream: TestUpstream;
let gateway: TestGateway;

const configuration = (more: object = {}) => ({
  upstreams: { people: { endpoints: [upstream.url] } },
  consumers: Object.entries(keys).map(([id, { hash }]) => ({ id, keys: [hash] })),
  versions: {
    people: { by: { header: 'x-v' }, known: ['v1', 'v2'], default: 'v1' },
    orders: { by: 'path', known: ['v1', 'v2'] },
  },
  routes: [
    {
      path: '/v1/orders{/*rest}',
      upstream: 'people',
      deprecated: { since: '2026-01-01' },
      version: { of: 'orders', is: 'v1' },
    },
    { path: '/v2/orders{/*rest}', upstream: 'people', version: { of: 'orders', is: 'v2' } },
    ...['v1', 'v2'].map((is) => ({ path: '/people', upstream: 'people', version: { of: 'people', is } })),
    { path: '/gone', upstream: 'people', deprecated: { since: '2026-01-01', sunset: '2026-01-02' } },
    { path: '/other', upstream: 'people' },
  ],
  ...more,
});

const start = (more: object = {}) => startGateway(configuration(more), { modules: 'test/fixtures/retiring' });

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => response.end('ok'));
});
afterAll(() => upstream.close());

beforeEach(async () => {
  gateway = await start();
});
afterEach(() => gateway.stop());

const keyOf = (consumer?: Consumer): Record<string, string> => (consumer ? { 'x-api-key': keys[consumer].key } : {});

async function get(
  path: string,
  consumer?: Consumer,
  headers: Record<string, string> = {},
  at = gateway,
): Promise<number> {
  const response = await fetch(at.url + path, { headers: { ...keyOf(consumer), ...headers } });
  await response.text();
  return response.status;
}

async function query(text: string, consumer: Consumer): Promise<void> {
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...keyOf(consumer) },
    body: JSON.stringify({ query: text }),
  });
  expect(await response.json()).not.toHaveProperty('errors');
}

async function uses(of = '', at = gateway): Promise<[string, string, number][]> {
  const report = (await (await fetch(`${at.adminUrl}/admin/uses?of=${encodeURIComponent(of)}`)).json()) as UseReport;
  return report.uses
    .map(({ what, consumer, count }): [string, string, number] => [what, consumer, count])
    .toSorted((a, b) => `${a[0]} ${a[1]}`.localeCompare(`${b[0]} ${b[1]}`));
}

describe('weir who-uses', () => {
  test('needs to know of what, and says when nobody has', async () => {
    const weir = weirAt(gateway.adminUrl);
    expect((await weir('who-uses')).status).toBe(2);
    const { status, stdout } = await weir('who-uses', 'User.fax');
    expect([status, stdout]).toEqual([0, 'Of this instance, since it started: nobody has used User.fax.\n']);
  });

  test('says who called a version of a route, how often and when last', async () => {
    await get('/v1/orders/1', 'acme');
    await get('/v1/orders', 'acme');
    await get('/v1/orders/2');
    await get('/v2/orders', 'globex');
    const { stdout } = await weirAt(gateway.adminUrl)('who-uses', '/v1/orders');
    expect(stdout).toMatch(/^Of this instance, since it started:\n\n {2}CONSUMER +TIMES +LAST +WHAT\n/);
    expect(stdout).toMatch(/ {2}acme +2 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC +\/v1\/orders\{\/\*rest\}\n/);
    expect(stdout).toMatch(/ {2}anonymous +1 /);
    expect(stdout).not.toContain('globex');
    expect(await uses('/v1/orders/77')).toEqual(await uses('/v1/orders'));
    expect(await uses('/v2')).toEqual([['/v2/orders{/*rest}', 'globex', 1]]);
    const { stdout: json } = await weirAt(gateway.adminUrl)('who-uses', '/v2/orders', '--json');
    expect(JSON.parse(json)).toMatchObject({ instances: 'this', uses: [{ consumer: 'globex', count: 1 }] });
  });

  test('tells versions by header apart, counts who calls what is gone, and nothing that is neither', async () => {
    await get('/people', 'acme', { 'x-v': 'v2' });
    await get('/people', 'acme');
    expect(await get('/gone', 'globex')).toBe(410);
    await get('/other', 'acme');
    expect(await uses()).toEqual([
      ['/gone', 'globex', 1],
      ['/people (v1)', 'acme', 1],
      ['/people (v2)', 'acme', 1],
    ]);
    expect(await uses('/people')).toHaveLength(2);
  });

  test('says who selected a deprecated field: in fragments, by an interface, under another name', async () => {
    await query('{ person { name } }', 'globex');
    await query('{ person { number: fax ...more } } fragment more on Reachable { mail }', 'acme');
    await query('{ person { number: fax ...more } } fragment more on Reachable { mail }', 'acme');
    expect(await uses()).toEqual([
      ['Person.fax', 'acme', 2],
      ['Reachable.mail', 'acme', 2],
    ]);
    expect(await uses('Person.fax')).toEqual([['Person.fax', 'acme', 2]]);
  });
});

describe('The registry of use', () => {
  test('is bounded: what is more is counted without its name', () => {
    const sums = new UseSums();
    for (let index = 0; index < maxUses + 50; index++) sums.add('a', `consumer-${index}`, 1, index, index);
    sums.add('a', 'consumer-1', 1, 0, 7);
    const list = sums.list();
    expect(list).toHaveLength(maxUses + 1);
    expect(list.find(({ consumer }) => consumer === '(others)')).toMatchObject({ count: 50, firstMs: maxUses });
    expect(list.find(({ consumer }) => consumer === 'consumer-1')).toMatchObject({ count: 2, firstMs: 0, lastMs: 7 });
  });
});

describe('Of several instances on one Redis', () => {
  let redis: TestRedis;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.close());

  test('any of them tells what all have seen, also after they have gone', async () => {
    const settings = { redis: { url: redis.url, timeout: '1s' } };
    const [one, other] = [await start(settings), await start(settings)];
    onTestFinished(() => Promise.all([one.stop(), other.stop()]).then(() => {}));
    for (const instance of [one, other])
      await expect.poll(() => instance.log.some(({ msg }) => msg === 'redis connected')).toBe(true);
    await get('/v1/orders', 'acme', {}, one);
    await one.stop();
    await get('/v1/orders', 'acme', {}, other);
    await get('/v1/orders', 'globex', {}, other);
    expect(await uses('/v1/orders', other)).toEqual([
      ['/v1/orders{/*rest}', 'acme', 2],
      ['/v1/orders{/*rest}', 'globex', 1],
    ]);
    const { stdout } = await weirAt(other.adminUrl)('who-uses', '/v1/orders');
    expect(stdout).toContain('Of all instances:');
  });
});
