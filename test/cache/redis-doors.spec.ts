import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { untilIdle, type TestGateway } from '../support/gateway.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { forgetMemory, startSharing, untilShared } from './levels.ts';
import { asking, oneName, startCacheService, type CacheService } from './service.ts';

/** Two doors and one store, whichever instance is behind the door. */

let service: CacheService;
let redis: TestRedis;
let one: TestGateway;
let other: TestGateway;
const askOne = asking(() => one.url, oneName);
const askOther = asking(() => other.url, oneName);
let version = 0;

beforeAll(async () => {
  service = await startCacheService();
  redis = await startRedis();
  const config = {
    modules: 'test/fixtures/modules/library',
    // What operations come to is to be seen in the calls.
    cache: { answers: false },
    upstreams: { books: { endpoints: [service.url] } },
    routes: [{ path: '/v1/books{/*rest}', upstream: 'books', rewrite: '/books{/*rest}' }],
  };
  [one, other] = await Promise.all([startSharing(redis, config), startSharing(redis, config)]);
});

beforeEach(() => {
  version++;
  service.requests.length = 0;
  service.answer('/books', (request, response) => {
    if (request.method !== 'GET') version++;
    const book = { id: 'b1', title: `version ${version}` };
    const json = { 'content-type': 'application/json', 'cache-control': 'max-age=3600' };
    if (request.method === 'GET') response.writeHead(200, json).end(JSON.stringify({ items: [book] }));
    else response.writeHead(201, json).end(JSON.stringify(book));
  });
});

afterAll(async () => {
  await Promise.all([untilIdle(one), untilIdle(other)]);
  await Promise.all([one.stop(), other.stop()]);
  await redis.close();
  await service.close();
});

async function query(ask: typeof askOne, text: string): Promise<unknown> {
  const body = JSON.stringify({ query: text });
  const answer = await ask('/graphql', { 'content-type': 'application/json' }, { method: 'POST', body });
  const { data, errors } = answer.json();
  expect(errors).toBeUndefined();
  return data;
}

const titleOf = async (ask: typeof askOne, first: number) => {
  const data = (await query(ask, `{ books(first: ${first}) { title } }`)) as { books: { title: string }[] };
  return data.books[0]!.title;
};

async function shared(): Promise<void> {
  await Promise.all([untilShared(one), untilShared(other)]);
  for (const gateway of [one, other]) forgetMemory(gateway);
}

describe('Over Redis', () => {
  test('what GraphQL fetched at one instance is a hit for REST at the other, and the other way', async () => {
    const title = await titleOf(askOne, 31);
    await shared();
    const answer = await askOther('/v1/books?first=31');
    expect(answer.headers['cache-status']).toMatch(/^weir; hit/);
    expect(answer.json()).toMatchObject({ items: [{ title }] });
    await askOther('/v1/books?first=32');
    await shared();
    expect(await titleOf(askOne, 32)).toBe(title);
    expect(service.requests).toHaveLength(2);
  });

  test('what is written through either door of one is seen through both of the other', async () => {
    const before = await titleOf(askOne, 33);
    await askOther('/v1/books?first=33');
    await shared();
    await query(askOther, 'mutation { addBook(title: "new") { id } }');
    await shared();
    const after = await titleOf(askOne, 33);
    expect(after).not.toBe(before);
    expect((await askOne('/v1/books?first=33')).json()).toMatchObject({ items: [{ title: after }] });
    await shared();
    await askOne('/v1/books', { 'content-type': 'application/json' }, { method: 'POST', body: '{}' });
    await shared();
    expect(await titleOf(askOther, 33)).not.toBe(after);
  });
});
