import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { send } from '../../support/raw-client.ts';
import { acme, bearing, forHour, rival, startAnswerServer, type AnswerServer } from './server.ts';

let server: AnswerServer;
let strict: AnswerServer;
/** The same two, where no finished answers are kept. */
let unkept: AnswerServer;
let strictUnkept: AnswerServer;

/** Of a service by REST, for everybody too. */
const routes = [
  { path: '/v1/more/:name', upstream: 'more', rewrite: '/:name', cache: { ttl: '1m', scope: 'shared' } },
] as const;

beforeAll(async () => {
  const cache = { answers: false };
  const graphql = { development: true };
  [server, strict, unkept, strictUnkept] = await Promise.all([
    startAnswerServer({ routes }),
    startAnswerServer({ graphql }),
    startAnswerServer({ routes, cache }),
    startAnswerServer({ graphql, cache }),
  ]);
});

const all = () => [server, strict, unkept, strictUnkept];

beforeEach(() => {
  for (const { service } of all()) service.requests.length = 0;
});

afterAll(() => Promise.all(all().map((one) => one.stop())));

const told = (request: { headers: Record<string, unknown> }) => ({
  id: '1',
  name: 'n',
  who: request.headers['x-weir-consumer'],
});

const control = async (query: string, headers = bearing(acme)) =>
  String((await server.post(query, headers)).headers['cache-control']);

describe('@cacheControl', () => {
  test('says how long, where the upstream says nothing; for those that it was shown', async () => {
    server.gives('/said', told);
    expect(await control('{ said { who } }')).toBe('private, max-age=60');
    const { data } = (await server.post('{ said { who } }', bearing(rival))).json() as {
      data: { said: { who: string } };
    };
    expect(data.said.who).toBe('rival');
    await control('{ said { who name } }');
    expect(server.service.asked('/said')).toHaveLength(2);
  });

  test('says nothing where the upstream speaks', async () => {
    server.gives('/typed', told, { 'cache-control': 'no-store' });
    expect(await control('{ typed { id } }')).toBe('no-store');
    server.gives('/typed', told, { 'cache-control': 'public, max-age=600' });
    expect(await control('{ typed { name } }')).toBe('public, max-age=600');
  });

  test('on a type holds for all fields that give it', async () => {
    const other = await startAnswerServer();
    other.gives('/typed', told);
    expect((await other.post('{ typed { id } }')).headers['cache-control']).toBe('private, max-age=90');
    await other.stop();
  });

  test('PUBLIC is for everybody, whatever the upstream was shown', async () => {
    server.gives('/everybodys', told);
    const query = '{ everybodys { who } }';
    expect(await control(query)).toBe('public, max-age=60');
    expect((await server.post(query)).json()).toEqual({ data: { everybodys: { who: 'acme' } } });
    expect(server.service.requests).toHaveLength(1);
  });

  test('PRIVATE is for nobody else, whatever the upstream says', async () => {
    server.gives('/ones', told, forHour);
    const query = '{ ones { who } }';
    expect(await control(query)).toBe('private, max-age=3600');
    for (const [headers, who] of [
      [bearing(rival), 'rival'],
      [bearing(acme), 'acme'],
      [{}, 'anonymous'],
    ] as const)
      expect((await server.post(query, headers)).json()).toEqual({ data: { ones: { who } } });
    expect(server.service.requests).toHaveLength(3);
  });

  test('on a field that no upstream answers says the most', async () => {
    server.gives('/things', { items: [{ id: '1', name: 'n', short: 's', tags: [] }] }, forHour);
    expect(await control('{ things(first: 101) { name tags } }')).toBe('public, max-age=3600');
    expect(await control('{ things(first: 102) { name short } }')).toBe('public, max-age=50');
    expect(await control('{ constant }')).toBe('public, max-age=30');
    expect(await control('{ constant things(first: 103) { name } }')).toBe('public, max-age=30');
  });

  test('with inheritMaxAge a field is as fresh as what it is a part of', async () => {
    server.gives('/things', { items: [{ id: '1', name: 'n' }] }, { 'cache-control': 'public, max-age=100' });
    server.gives('/prices', { items: [{ id: '1', amount: 3 }] });
    const query = '{ things(first: 104) { price { amount } } }';
    // Of the price nobody says that all may have it.
    expect(await control(query)).toBe('private, max-age=100');
    await control(query);
    expect(server.service.requests).toHaveLength(2);
    server.gives('/prices', { items: [{ id: '1', amount: 3 }] }, { 'cache-control': 'no-store' });
    expect(await control('{ things(first: 105) { price { amount } } }')).toBe('no-store');
  });
});

describe('A resolver that reads who asks, of a field that is PUBLIC', () => {
  test('is an error that names it, for who writes modules', async () => {
    strict.gives('/wrong', told);
    const { data, errors } = (await strict.post('{ wrong { who } }', bearing(acme))).json() as {
      data: unknown;
      errors: { message: string }[];
    };
    expect(data).toEqual({ wrong: null });
    expect(errors[0]!.message).toMatch(
      /^Query\.wrong reads request\.identity\.subject, and @cacheControl\(scope: PUBLIC\) says that everybody gets the same\./,
    );
    expect(strict.service.requests).toEqual([]);
  });

  test('is for those of whom the same is read, anywhere else', async () => {
    server.gives('/wrong', told);
    const query = '{ wrong { who } }';
    for (const [headers, who] of [
      [bearing(acme), 'acme'],
      [bearing(rival), 'rival'],
      [bearing(acme), 'acme'],
    ] as const)
      expect((await server.post(query, headers)).json()).toEqual({ data: { wrong: { who } } });
    expect(server.service.requests).toHaveLength(2);
    expect(await control(query)).toMatch(/^private/);
  });

  const wrong = '{ wrong { who } }';
  const schemaToo = '__type(name: "Query") { name }';

  test.each([
    ['beside a question for the schema', wrong.replace('{', `{ ${schemaToo}`), 'Query.wrong', {}],
    ['for who wants nothing stored', wrong, 'Query.wrong', { 'cache-control': 'no-store' }],
    ['in a batch', [{ query: wrong }, { query: wrong }], 'Query.wrong', {}],
    ['where it is explained', wrong, 'Query.wrong', { 'x-weir-explain': 'run' }],
    ['below a mutation', 'mutation { rename(id: "1", name: "n") { wrong { who } } }', 'Thing.wrong', {}],
    ['in an event', 'subscription { renamed { wrong { who } } }', 'Thing.wrong', { accept: 'text/event-stream' }],
    ['in a loader', '{ wrongly(id: "1") { who } }', 'wrongly', {}],
  ] as const)('is that error also %s, whether or not finished answers are kept', async (_, query, name, headers) => {
    for (const one of [strict, strictUnkept]) {
      one.gives('/things/1', told);
      one.gives('/wrong', told);
      one.gives('/wrongly', (request: never) => ({ items: [told(request)] }));
      const { text } = await one.post(query, { ...bearing(acme), ...headers });
      expect(text).toMatch(new RegExp(`"${name} reads request\\.identity\\.\\w+, and @cacheControl`));
      expect(one.service.requests.filter(({ method }) => method === 'GET')).toEqual([]);
    }
  });

  test.each([
    ['beside a question for the schema', () => server, schemaToo],
    ['where no finished answers are kept', () => unkept, ''],
  ] as const)('is for nobody else %s, neither by GraphQL nor by REST', async (_, of, beside) => {
    const one = of();
    one.gives('/wrong', told);
    one.gives('/wrongly', (request: never) => ({ items: [told(request)] }));
    const whoIs = async (query: string, headers: Record<string, string>) => {
      const { data } = (await one.post(query, headers)).json() as { data: Record<string, { who: string }> };
      return [data.wrong!.who, data.wrongly!.who];
    };
    const fields = 'wrong { who } wrongly(id: "1") { who }';
    expect(await whoIs(`{ ${fields} ${beside} }`, bearing(acme))).toEqual(['acme', 'acme']);
    for (const query of [`{ ${fields} ${beside} }`, `{ ${fields} }`])
      expect(await whoIs(query, bearing(rival))).toEqual(['rival', 'rival']);
    const read = (path: string) => send(`${one.url}/v1/more/${path}`, { headers: bearing(rival) });
    expect((await read('wrong')).json()).toMatchObject({ who: 'rival' });
    expect((await read('wrongly?ids=1')).json()).toMatchObject({ items: [{ who: 'rival' }] });
  });
});
