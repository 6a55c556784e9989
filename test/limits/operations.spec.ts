import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { problemsOf } from '../config/problems.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** Limits "per operation name or field": `graphql.limits`. */

const key = { 'x-api-key': 'acme-key' };
const hourly = { algorithm: 'sliding-window', window: '1h', unit: 'requests' } as const;
const owners = { name: 'owners', quota: 4, ...hourly, fields: ['Thing.owner'] };

let service: TestUpstream;
let server: GraphqlServer;

beforeAll(async () => {
  service = await startUpstream((_request, response) => void response.end('{}'));
});

afterEach(() => server.stop());

afterAll(() => service.close());

async function start(...limits: readonly object[]): Promise<void> {
  server = await startModules('test/fixtures/awaits', {
    upstreams: { owners: { endpoints: [service.url], cache: false } },
    consumers: ['acme', 'rival'].map((id) => ({ id, keys: [hashOf(`${id}-key`)] })),
    graphql: { limits },
  });
}

const ask = async (query: string, headers: Record<string, string> = key): Promise<unknown> => {
  const { status, body } = await server.query(query, headers);
  return status === 200 ? 200 : [status, body.errors![0]!.extensions['violated-policies']];
};

describe('A limit of a field', () => {
  test('counts for operations that select it, and for no others', async () => {
    await start({ ...owners, quota: 1 });
    for (let turn = 0; turn < 3; turn++) expect(await ask('{ things { id } }')).toBe(200);
    expect(await ask('{ things(first: 1) { owner { id } } }')).toBe(200);
    expect(await ask('{ things(first: 2) { owner { id } } }')).toEqual([429, ['owners']]);
    expect(await ask('{ things { id } }')).toBe(200);
    expect(await ask('{ things(first: 1) { owner { id } } }', { 'x-api-key': 'rival-key' })).toBe(200);
  });

  test.each([
    ['each alias', '{ things(first: 1) { a: owner { id } b: owner { id } c: owner { id } } }'],
    [
      'each alias above it',
      '{ a: things(first: 1) { owner { id } } b: things(first: 2) { owner { id } } c: things(first: 3) { owner { id } } }',
    ],
    [
      'each spread of a fragment',
      'fragment O on Thing { owner { id } } { a: things(first: 1) { ...O } b: things(first: 2) { ...O } c: things(first: 3) { ...on Thing { ...O } } }',
    ],
    [
      'fragments in fragments',
      'fragment One on Thing { owner { id } } fragment Two on Thing { ...One b: owner { id } } { a: things(first: 1) { ...Two } c: things(first: 2) { ...One } }',
    ],
  ])('is counted for %s', async (_, query) => {
    await start(owners);
    expect(await ask(query)).toBe(200);
    expect(await ask('{ things(first: 1) { owner { id } } }')).toBe(200);
    expect(await ask('{ things(first: 1) { owner { id } } }')).toEqual([429, ['owners']]);
  });

  test('refuses at once what selects it more often than the limit ever holds', async () => {
    await start({ ...owners, quota: 2 });
    const { status, headers, body } = await server.query(
      '{ things(first: 1) { a: owner { id } b: owner { id } c: owner { id } } }',
      key,
    );
    expect([status, headers.get('retry-after')]).toEqual([400, null]);
    expect(body.errors![0]).toMatchObject({
      message: 'It counts as 3 requests, and the limit owners (2 requests in 3600s) never holds so many.',
      extensions: { code: 'COST_EXCEEDS_QUOTA' },
    });
  });

  test('may count what operations cost that select it, and gives back what was not called', async () => {
    await start({ ...owners, unit: 'cost', quota: 10 });
    const { body } = await server.query('{ things(first: 1) { owner { id } } }', key);
    expect(body.extensions!.cost).toMatchObject({ actual: 1, remaining: 9, limit: 10 });
    await server.query('{ things { id } }', key);
    const again = await server.query('{ things(first: 2) { owner { id } } }', key);
    expect(again.body.extensions!.cost).toMatchObject({ actual: 1, remaining: 8 });
  });
});

test('A limit of operations by name counts for those, one without either for all', async () => {
  await start({ name: 'nightly', quota: 1, ...hourly, operations: ['Nightly'] }, { name: 'all', quota: 3, ...hourly });
  expect(await ask('query Nightly { things { id } }')).toBe(200);
  expect(await ask('query Nightly { things { id } }')).toEqual([429, ['nightly']]);
  expect(await ask('query Other { things { id } }')).toBe(200);
  expect(await ask('{ things { id } }')).toBe(200);
  expect(await ask('{ things { id } }')).toEqual([429, ['all']]);
});

describe('As they are written', () => {
  test.each([
    ['fields: [search]', 'graphql.limits[0].fields[0]', 'write a field as Type.field'],
    ['operations: ["a b"]', 'graphql.limits[0].operations[0]', 'write the name of an operation'],
    ['fields: [Query.a], operations: [A]', 'graphql.limits[0].operations', 'write a limit for each'],
  ])('{ %s } is refused', (more, path, message) => {
    const text = `graphql: { limits: [{ name: some, unit: requests, algorithm: sliding-window, quota: 1, window: 1m, ${more} }] }`;
    const found = problemsOf(text).map((problem) => [problem.path, `${problem.message}; ${problem.fix}`]);
    expect(found).toEqual([[path, expect.stringContaining(message)]]);
  });

  test('a field that the schema does not have is named', async () => {
    await expect(start({ ...owners, fields: ['Thing.owner', 'Thing.price'] })).rejects.toThrow(
      /graphql\.limits\.0\.fields\.1 \(.*\): names the field Thing\.price, which the schema does not have/,
    );
    await start();
  });
});
