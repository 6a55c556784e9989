import { GraphQLScalarType } from 'graphql';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createExecution } from '#resolvers/execution.ts';
import { load } from '#resolvers/load.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import type { Module } from '#resolvers/module.ts';
import { batch } from '#upstreams/loaders/loader.ts';
import { byName, moduleOf, run, upstreamAt } from '../modules/harness.ts';
import { send } from '../support/raw-client.ts';
import { deadUrl, startUpstream, type TestUpstream } from '../support/upstream.ts';
import { exposition } from '../telemetry/exposition.ts';
import { startModules, type GraphqlServer } from './shop-gateway.ts';
import { readParts } from './streams.ts';

let service: TestUpstream;
let server: GraphqlServer;
/** What the service answers to each path; a number is a status. */
let answers: Record<string, unknown> = {};

beforeAll(async () => {
  service = await startUpstream((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, 'http://stock');
    const answer = answers[pathname];
    if (answer === 'hang') return;
    const status = typeof answer === 'number' ? answer : Number(searchParams.get('status') ?? 200);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? null));
  });
  server = await startModules('test/fixtures/fallback', {
    upstreams: { stock: { endpoints: [service.url], breaker: { failures: 1000 }, attemptTimeout: '200ms' } },
  });
});

afterEach(() => {
  answers = {};
});

afterAll(async () => {
  await server.stop();
  await service.close();
});

const fallbackOffer = {
  text: 'Ask us',
  price: { amount: 0, currency: 'EURO' },
  until: '2026-11-21T09:30:00Z',
  tags: [],
  note: null,
};
const offer = '{ offer { text price { amount currency } until tags note } }';

async function served(field: string): Promise<number> {
  const { text } = await send(`${server.adminUrl}/metrics`);
  const samples = exposition(text).get('weir_fallbacks_total')?.samples ?? [];
  return samples.find(({ labels }) => labels['weir_field'] === field)?.value ?? 0;
}

describe('A field with a fallback, whose upstream fails', () => {
  test('has that value instead of an error, and extensions.degraded says where, why and who', async () => {
    answers['/left'] = 500;
    const { status, body, headers } = await server.query('{ items(ids: ["a", "b"]) { id left } }');
    expect(status).toBe(200);
    expect(body).toEqual({
      data: {
        items: [
          { id: 'a', left: 0 },
          { id: 'b', left: 0 },
        ],
      },
      extensions: {
        degraded: [
          { path: ['items', 0, 'left'], code: 'UPSTREAM_ERROR', upstream: 'stock', fallback: true },
          { path: ['items', 1, 'left'], code: 'UPSTREAM_ERROR', upstream: 'stock', fallback: true },
        ],
      },
    });
    const access = await server.accessOf(headers.get('x-request-id')!);
    expect(access).toMatchObject({ status: 200, degraded: 2, fallback: true });
    expect(access).not.toHaveProperty('error');
  });

  test('is of any type: objects, enum values as they are inside, scalars, lists', async () => {
    answers['/offer'] = 503;
    const { body } = await server.query(offer);
    expect(body.data).toEqual({ offer: fallbackOffer });
    expect(body.errors).toBeUndefined();
  });

  test('has what the upstream says as soon as it says something again', async () => {
    answers['/offer'] = { text: 'Half price', price: { amount: 5, currency: 'USD' }, tags: ['new'] };
    const { body } = await server.query(offer);
    expect(body).toEqual({
      data: {
        offer: { text: 'Half price', price: { amount: 5, currency: 'DOLLAR' }, until: null, tags: ['new'], note: null },
      },
    });
  });

  test('of the keys of a batch takes it for those alone that failed', async () => {
    answers['/left'] = { a: 3, b: null, c: 0 };
    const { body } = await server.query('{ items(ids: ["a", "b", "c"]) { left } }');
    expect(body).toEqual({
      data: { items: [{ left: 3 }, { left: 0 }, { left: 0 }] },
      extensions: {
        degraded: [{ path: ['items', 1, 'left'], code: 'UPSTREAM_ERROR', upstream: 'stock', fallback: true }],
      },
    });
  });

  test.each([
    ['does not answer in time', 'hang', 'UPSTREAM_TIMEOUT'],
    ['fails for every key', {}, 'UPSTREAM_ERROR'],
    ['refuses', 403, 'UPSTREAM_ERROR'],
  ])('takes it where the upstream %s', async (_, answer, code) => {
    answers['/left'] = answer;
    answers['/slow'] = answer;
    const { body } = await server.query(code === 'UPSTREAM_TIMEOUT' ? '{ slow }' : '{ items(ids: ["a"]) { left } }');
    expect(body.errors).toBeUndefined();
    expect(body.extensions).toMatchObject({ degraded: [{ code, fallback: true }] });
  });

  test("takes it at the client's own deadline too: an answer in parts is what a deadline is for", async () => {
    answers['/slow'] = 'hang';
    const { body } = await server.query('{ slow }', { 'x-weir-deadline-ms': '100' });
    expect(body.data).toEqual({ slow: -1 });
    expect(body.extensions).toMatchObject({ degraded: [{ path: ['slow'], code: 'DEADLINE_EXCEEDED' }] });
  });

  test('is an error where the fault is not the upstream’s', async () => {
    const { body } = await server.query('{ defect }');
    expect(body.data).toEqual({ defect: null });
    expect(body.errors).toMatchObject([{ path: ['defect'], extensions: { code: 'INTERNAL' } }]);
    expect(body.extensions).toBeUndefined();
  });

  test('stands beside fields that go null with a note, and fields that fail', async () => {
    answers['/maybe'] = answers['/strict'] = answers['/offer'] = 500;
    const { body } = await server.query('{ maybe strict offer { text } }');
    expect(body.data).toEqual({ maybe: null, strict: null, offer: { text: 'Ask us' } });
    expect(body.errors).toMatchObject([{ path: ['strict'] }]);
    const degraded = body.extensions!.degraded as readonly { readonly path: readonly string[] }[];
    expect(degraded.toSorted((a, b) => a.path[0]!.localeCompare(b.path[0]!))).toEqual([
      { path: ['maybe'], code: 'UPSTREAM_ERROR', upstream: 'stock' },
      { path: ['offer'], code: 'UPSTREAM_ERROR', upstream: 'stock', fallback: true },
    ]);
  });

  test('is counted by field', async () => {
    answers['/similar'] = 500;
    const before = await served('Item.similar');
    await server.query('{ items(ids: ["a", "b", "c"]) { similar { id } } }');
    expect(await served('Item.similar')).toBe(before + 3);
  });

  test('in a part that comes later has it there', async () => {
    answers['/offer'] = 500;
    const response = await fetch(server.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'multipart/mixed; deferSpec=20220824' },
      body: JSON.stringify({ query: '{ items(ids: ["a"]) { id } ... @defer { offer { text } } }' }),
    });
    expect(await Array.fromAsync(readParts(response))).toMatchObject([
      { data: { items: [{ id: 'a' }] } },
      {
        incremental: [{ data: { offer: { text: 'Ask us' } } }],
        extensions: { degraded: [{ path: ['offer'], fallback: true }] },
      },
    ]);
  });

  test('in an entry of a batch is on its account, and in the log of the request', async () => {
    answers['/offer'] = 500;
    const response = await fetch(server.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ query: '{ items(ids: []) { id } }' }, { query: '{ offer { text } }' }]),
    });
    const [plain, degraded] = (await response.json()) as object[];
    expect(plain).toEqual({ data: { items: [] } });
    expect(degraded).toMatchObject({ extensions: { degraded: [{ path: ['offer'], fallback: true }] } });
    expect(await server.accessOf(response.headers.get('x-request-id')!)).toMatchObject({ fallback: true });
  });

  test('is the same value for everybody, which nobody can change', async () => {
    const seen: unknown[] = [];
    const module = moduleOf(
      'frozen',
      'extend type Query { list: [Money!] @upstream(name: "shop", fallback: "[{\\"amount\\": 1}]") }\ntype Money { amount: Int! }',
      {
        upstreams: { shop: {} },
        resolvers: { Query: { list: (_: unknown, __: unknown, { clients }: Clients) => clients.shop.get('/x') } },
      },
    );
    const execution = createExecution(
      [module],
      byName(upstreamAt('shop', await deadUrl(), { retry: { attempts: 0 } })),
    );
    const field = execution.schema.getQueryType()!.getFields()['list']!;
    const { resolve } = field;
    field.resolve = async (...args) => {
      const value: unknown = await resolve!(...args);
      seen.push(value);
      return value;
    };
    for (let time = 0; time < 2; time++)
      expect((await run(execution, '{ list { amount } }')).data).toEqual({ list: [{ amount: 1 }] });
    expect(seen[0]).toBe(seen[1]);
    expect(Object.isFrozen(seen[0]) && Object.isFrozen((seen[0] as object[])[0])).toBe(true);
  });
});

interface Clients {
  readonly clients: { readonly shop: { get(path: string): Promise<unknown> } };
}

const sdl = `
extend type Query {
  int: Int FALLBACK
  float: Float FALLBACK
  text: String FALLBACK
  yes: Boolean FALLBACK
  id: ID FALLBACK
  moment: DateTime FALLBACK
  even: Even FALLBACK
  free: Free FALLBACK
  size: Size FALLBACK
  list: [Int!] FALLBACK
  matrix: [[Int]!] FALLBACK
  money: Money FALLBACK
  box: Box FALLBACK
  loaded: Loaded FALLBACK
  loadeds: [Loaded] FALLBACK
  named: Named FALLBACK
  sure: Int! FALLBACK
}
extend type Mutation { act: Int FALLBACK }
extend type Subscription { event: Int FALLBACK }
scalar Even
scalar Free
enum Size { SMALL LARGE }
type Money { amount: Int! currency: String }
type Box { content: Money! sizes: [Size!]! }
type Loaded { id: ID! more: Int @upstream(name: "shop") }
interface Named { name: String }
type Person implements Named { name: String }
`;

/** An even number; inside, its half. */
const even = new GraphQLScalarType<number, number>({
  name: 'Even',
  coerceInputValue: (value) => {
    if (typeof value !== 'number' || value % 2 !== 0) throw new TypeError('odd');
    return value / 2;
  },
  coerceOutputValue: (value) => Number(value) * 2,
});

/** The schema above, where one field has this fallback and no other has any. */
function withFallback(field: string, fallback: unknown): Module {
  const json = JSON.stringify(typeof fallback === 'string' ? fallback : JSON.stringify(fallback));
  const typeDefs = sdl
    .split('\n')
    .map((line) => {
      const own = new RegExp(`\\b${field}:`).test(line) ? `, fallback: ${json}` : '';
      return line.replace('FALLBACK', `@upstream(name: "shop"${own})`);
    })
    .join('\n');
  const fields = [...sdl.matchAll(/^ {2}(\w+):/gm)].map(([, name]) => name!);
  const get = (_: unknown, __: unknown, { clients }: Clients) => clients.shop.get('/x');
  return moduleOf('types', typeDefs, {
    upstreams: { shop: {} },
    resolvers: {
      Query: Object.fromEntries(fields.map((name) => [name, get])),
      Mutation: { act: get },
      Subscription: { event: get },
      Loaded: { more: get },
      Even: even,
      Size: { SMALL: 1, LARGE: 2 },
    },
  });
}

async function executionWith(field: string, fallback: unknown) {
  const upstreams = byName(upstreamAt('shop', await deadUrl(), { retry: { attempts: 0 } }));
  return createExecution([withFallback(field, fallback)], upstreams);
}

describe('A fallback is JSON of its field’s type', () => {
  test.each([
    ['int', 7, ''],
    ['int', null, ''],
    ['float', 1, ''],
    ['float', 1.5, ''],
    ['text', '""', ''],
    ['yes', false, ''],
    ['id', '"x1"', ''],
    ['moment', '"2026-11-21T09:30:00Z"', ''],
    ['even', 6, ''],
    ['free', { any: [1, 'thing'] }, ''],
    ['size', '"LARGE"', ''],
    ['list', [], ''],
    ['list', [1, 2], ''],
    ['matrix', [[1, null], []], ''],
    ['money', { amount: 1 }, '{ amount currency }'],
    ['box', { content: { amount: 1, currency: 'EUR' }, sizes: ['SMALL'] }, '{ content { amount currency } sizes }'],
    ['loadeds', [null], '{ id }'],
    ['named', null, '{ name }'],
    ['sure', 1, ''],
  ])('%s: %j', async (field, fallback, selection) => {
    const execution = await executionWith(field, fallback);
    const { data, errors, request } = await run(execution, `{ ${field} ${selection} }`);
    expect(errors).toEqual([]);
    const json: unknown = typeof fallback === 'string' ? JSON.parse(fallback) : fallback;
    expect(data).toEqual({ [field]: field === 'money' ? { amount: 1, currency: null } : json });
    expect(request.degraded).toEqual([
      { path: [field], code: 'UPSTREAM_UNREACHABLE', upstream: 'shop', fallback: true },
    ]);
  });

  test.each([
    ['int', '{', 'it is no JSON ('],
    ['int', '', 'it is no JSON ('],
    ['int', '"7"', 'it is no Int'],
    ['int', 2 ** 31, 'it is no Int'],
    ['int', 1.5, 'it is no Int'],
    ['float', '"1"', 'it is no Float'],
    ['text', 7, 'it is no String'],
    ['yes', '"true"', 'it is no Boolean'],
    ['id', {}, 'it is no ID'],
    ['moment', '"yesterday"', 'it is no DateTime'],
    ['even', 3, 'it is no Even'],
    ['size', '"MEDIUM"', 'it is no Size, which is one of SMALL, LARGE'],
    ['size', 1, 'it is no Size'],
    ['list', 1, 'it is no list, as [Int!] wants'],
    ['list', [1, null], '[1] is null, which Int! cannot be'],
    ['matrix', [null], '[0] is null, which [Int]! cannot be'],
    ['money', [], 'it is no object, as Money wants'],
    ['money', {}, '.amount is null, which Int! cannot be'],
    ['money', { amount: 1, cents: 2 }, '.cents is no field of Money'],
    ['money', '{ "amount": 1, "__proto__": {} }', '.__proto__ is no field of Money'],
    [
      'box',
      { content: { amount: '1' }, sizes: ['SMALL', 'x'] },
      '.content.amount is no Int; .sizes[1] is no Size, which is one of SMALL, LARGE',
    ],
    ['loaded', { id: 'x' }, 'Loaded.more has a resolver, and a fallback can only be plain data'],
    ['loadeds', [{ id: 'x' }], '[0] cannot be a Loaded'],
    ['named', { name: 'x' }, 'it stands for Named, which is no object type'],
    ['sure', null, 'it is null, which Int! cannot be'],
    ['text', `"${'x'.repeat(65_536)}"`, 'it has more than 65536 characters'],
  ])('%s: %j is refused when the gateway boots', async (field, fallback, says) => {
    const message = await executionWith(field, fallback).then(
      () => 'accepted',
      (error: unknown) => (error as ModuleError).message,
    );
    expect(message).toContain(`types.graphql:`);
    expect(message).toContain(`Query.${field} has a fallback that does not fit: `);
    expect(message).toContain(says);
    expect(message).toContain('Fix: write JSON of the type ');
  });

  test.each([
    ['act', 'Mutation.act has a fallback, which would claim that something was done'],
    ['event', 'Subscription.event has a fallback, but no value stands in for a stream of events'],
  ])('and what is no reading has none: %s', async (field, says) => {
    await expect(executionWith(field, 1)).rejects.toThrow(ModuleError);
    await expect(executionWith(field, 1)).rejects.toThrow(says);
  });

  test('what does not fit is told beside all else that does not', async () => {
    const module = moduleOf(
      'many',
      'extend type Query { a: Int @upstream(name: "shop", fallback: "x") b: Int @upstream(name: "shop", batch: 5, fallback: "1") }',
      {
        upstreams: { shop: {} },
        loaders: () => ({ b: batch({ maxBatchSize: 9 }, async (keys: readonly string[]) => keys.map(() => 1)) }),
        resolvers: { Query: { a: () => 1, b: load('b', { key: () => 'k' }) } },
      },
    );
    const upstreams = byName(upstreamAt('shop', await deadUrl()));
    expect(() => createExecution([module], upstreams)).toThrow(
      /2 problems:[^]*Query\.a has a fallback[^]*Query\.b has batch: 5/,
    );
  });
});
