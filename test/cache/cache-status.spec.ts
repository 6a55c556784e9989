import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { startGateway } from '../support/gateway.ts';
import { send, type Answer } from '../support/raw-client.ts';
import { startCacheService } from './service.ts';
import { acme, bearing, forHour, startAnswerServer, type AnswerServer } from './answers/server.ts';

/** `Cache-Status` (RFC 9211) of answers that could have come from the store, and did not. */

let folder: string;
let server: AnswerServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weir-status-'));
  writeFileSync(join(folder, 'silent.graphql'), 'query Silent { silent { id name } }');
  writeFileSync(join(folder, 'kept.graphql'), 'query Kept { things { name } }');
  writeFileSync(join(folder, 'rename.graphql'), 'mutation Rename($id: ID!) { rename(id: $id, name: "a") { name } }');
  server = await startAnswerServer({
    graphql: { documents: { path: folder } },
    routes: [
      { path: '/silent', methods: ['GET', 'POST'], operation: { document: 'silent', result: 'silent' } },
      { path: '/silent/name', operation: { document: 'silent', result: 'silent.name' } },
      { path: '/kept', methods: ['GET', 'POST'], operation: 'kept' },
      { path: '/rename/:id', operation: 'rename' },
    ],
  });
});

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  server.gives('/things', { items: [{ id: '1', name: 'one' }] }, forHour);
  server.gives('/silent', { id: '1', name: 'silent' });
});

const statusOf = ({ headers }: Answer) => headers['cache-status'];

type Way = (query: string, headers?: Record<string, string>) => Promise<Answer>;

/** All ways in that have a field to say it: by the lane for plain requests and by Yoga's. */
const ways: readonly (readonly [string, Way])[] = [
  ['POST', (query, headers) => server.post({ query }, headers)],
  ['GET', (query, headers) => server.get({ query }, headers)],
  [
    'HEAD',
    (query, headers = {}) =>
      send(`${server.graphqlUrl}?${new URLSearchParams({ query }).toString()}`, { method: 'HEAD', headers }),
  ],
  [
    "Yoga's lane",
    (query, headers) => server.post({ query }, { 'content-type': 'application/json;charset=UTF-8', ...headers }),
  ],
  [
    'application/graphql',
    (query, headers) =>
      send(server.graphqlUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/graphql', ...headers },
        body: query,
      }),
  ],
];

describe.each(ways)('A query by %s says that it did not come from the store', (_, ask) => {
  test('since nobody says how long it is good', async () => {
    for (let times = 0; times < 2; times++) {
      const answer = await ask('{ silent { id } }');
      expect([answer.status, statusOf(answer)]).toEqual([200, 'weir; fwd=miss; detail="not storable"']);
      expect(answer.headers['cache-control']).toBe('no-store');
    }
  });

  test('since a resolver reads what nobody can tell apart', async () => {
    expect(statusOf(await ask('{ address }'))).toBe('weir; fwd=miss; detail="not storable"');
  });

  test('since it is not whole', async () => {
    server.service.answer('/silent', { status: 503 });
    expect(statusOf(await ask('{ silent { id } }'))).toBe('weir; fwd=miss; detail="incomplete"');
  });

  test('since the client wants that, even where it is there', async () => {
    const query = '{ things { name } }';
    await ask(query);
    expect(statusOf(await ask(query))).toMatch(/^weir; hit/);
    expect(statusOf(await ask(query, { 'cache-control': 'no-store' }))).toBe('weir; fwd=bypass');
  });
});

test('What never comes from the store says nothing of it', async () => {
  server.service.answer('/things/1', { headers: { 'content-type': 'application/json' }, text: '{"id":"1"}' });
  const bypass = { 'cache-control': 'no-store' };
  for (const headers of [{}, bypass]) {
    expect(statusOf(await server.post('mutation { rename(id: 1, name: "a") { id } }', headers))).toBeUndefined();
    // A function makes it anew each time; it asks for the schema; it says so.
    for (const query of ['{ random }', '{ __typename __schema { description } }', '{ never }'])
      expect(statusOf(await server.post(query, headers))).toBeUndefined();
    // Refused, so that nothing was looked for.
    expect(statusOf(await server.post('{ nothing }', headers))).toBeUndefined();
    expect(statusOf(await server.post([{ query: '{ silent { id } }' }], headers))).toBeUndefined();
  }
});

test('With `cache.answers: false` there is no store to say anything of', async () => {
  const without = await startAnswerServer({ cache: { answers: false } });
  onTestFinished(() => without.stop());
  without.gives('/things', { items: [] }, forHour);
  for (const headers of [{}, { 'cache-control': 'no-store' }])
    expect(statusOf(await without.post('{ things { name } }', headers))).toBeUndefined();
});

describe('A route that an operation answers says the same', () => {
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    send(server.url + path, { method, headers });

  test('of what is not kept, whatever becomes of it', async () => {
    expect(statusOf(await ask('/silent'))).toBe('weir; fwd=miss; detail="not storable"');
    expect(statusOf(await ask('/silent', {}, 'POST'))).toBe('weir; fwd=miss; detail="not storable"');
    expect(statusOf(await ask('/silent', { 'cache-control': 'no-store' }))).toBe('weir; fwd=bypass');
    server.gives('/silent', { id: '1', name: null });
    const failed = await ask('/silent/name');
    expect([failed.status, statusOf(failed)]).toEqual([500, 'weir; fwd=miss; detail="incomplete"']);
    server.gives('/silent', null);
    const nothing = await ask('/silent');
    expect([nothing.status, statusOf(nothing)]).toEqual([404, 'weir; fwd=miss; detail="not storable"']);
    expect(statusOf(await ask('/rename/1', {}, 'POST'))).toBeUndefined();
  });

  test('of what is, by POST too, which says no more of it', async () => {
    await ask('/kept');
    expect(statusOf(await ask('/kept'))).toMatch(/^weir; hit/);
    const { headers } = await ask('/kept', {}, 'POST');
    expect(headers['cache-status']).toMatch(/^weir; hit/);
    expect([headers['cache-control'], headers.etag, headers.age]).toEqual(['no-store', undefined, undefined]);
  });
});

test('A static fallback says where the read that it stands in for was answered', async () => {
  const service = await startCacheService();
  const gateway = await startGateway({
    consumers: [{ id: 'acme', keys: [acme.hash] }],
    upstreams: {
      sick: { endpoints: [service.url], retry: { attempts: 0 } },
      dead: { endpoints: ['http://127.0.0.1:9'], retry: { attempts: 0 } },
    },
    routes: ['sick', 'dead'].map((upstream) => ({ path: `/${upstream}`, upstream, fallback: { body: {} } })),
  });
  onTestFinished(async () => {
    await gateway.stop();
    await service.close();
  });
  service.answer('/sick', { status: 503 });
  for (const [path, status] of [
    ['/sick', 'weir; fwd=uri-miss; fwd-status=503'],
    ['/dead', 'weir; fwd=uri-miss'],
  ] as const) {
    const answer = await send(gateway.url + path, { headers: bearing(acme) });
    expect([answer.status, statusOf(answer), answer.headers['cache-control']]).toEqual([200, status, 'no-store']);
  }
});
