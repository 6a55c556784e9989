import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { DirectLane } from '#gateway/graphql/direct-lane.ts';
import { startModules, type GraphqlServer } from './shop-gateway.ts';

let server: GraphqlServer;
const give = vi.spyOn(DirectLane.prototype, 'give');

beforeAll(async () => {
  server = await startModules('test/fixtures/graphql', {
    graphql: { timeout: '300ms', explain: { consumers: ['anonymous'] } },
  });
});

afterEach(() => give.mockClear());

afterAll(() => server.stop());

/** Good JSON as well, but spelled as nobody does, so that Yoga reads it. */
const unusual = 'application/json; charset="utf-8"';

interface Asked {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly direct: boolean;
}

/** Differ between any two answers, or with the id in them. */
const ownOfEach: ReadonlySet<string> = new Set([
  'x-request-id',
  'traceparent',
  'date',
  'keep-alive',
  'content-length',
  'ratelimit',
  'x-ratelimit-remaining',
]);

async function ask(init: RequestInit, query = ''): Promise<Asked> {
  const response = await fetch(`${server.graphqlUrl}${query}`, init);
  const id = response.headers.get('x-request-id')!;
  const headers = Object.fromEntries([...response.headers].filter(([name]) => !ownOfEach.has(name)));
  const text = (await response.text()).replaceAll(id, 'ID');
  const body =
    text === '' || !headers['content-type']?.includes('json')
      ? text
      : JSON.stringify(sorted(withoutTimes(JSON.parse(text))));
  return { status: response.status, headers, body, direct: give.mock.results.at(-1)!.value !== false };
}

/** Members of an object have no order. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
}

/** How long something took is said of a deadline. */
function withoutTimes(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (name, member: unknown) => (name.endsWith('Ms') ? 0 : member)).replaceAll(
      /after \d+ ms/g,
      'after N ms',
    ),
  );
}

const post = (type: string, body: object, headers: Readonly<Record<string, string>> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': type, ...headers },
  body: JSON.stringify(body),
});

const accepts = [
  undefined,
  'application/json',
  'application/graphql-response+json',
  'application/graphql-response+json, application/json;q=0.9',
] as const;

describe('The direct lane and that of Yoga say the same (DESIGN: one specification over both lanes)', () => {
  test.each([
    ['of a field', { query: '{ prompt }' }],
    ['of aliases and arguments', { query: '{ a: double b: double(value: 21) }' }],
    ['of variables', { query: 'query($v: Int!) { double(value: $v) }', variables: { v: 4 } }],
    ['of a variable that is missing', { query: 'query($v: Int!) { double(value: $v) }' }],
    ['of a variable of the wrong type', { query: 'query($v: Int!) { double(value: $v) }', variables: { v: 'x' } }],
    ['of input objects', { query: 'query($f: Filter) { filter(by: $f) }', variables: { f: { and: [{ name: 'x' }] } } }],
    ['of the operation that is named', { query: 'query A { prompt } query B { double }', operationName: 'B' }],
    ['where no operation is named', { query: 'query C { prompt } query D { double }' }],
    ['where one is named that is not there', { query: 'query E { prompt } query F { double }', operationName: 'X' }],
    ['of the schema', { query: '{ __schema { queryType { name } } }' }],
    ['of an error that nobody meant for clients', { query: '{ leaky prompt }' }],
    ['of an error that its author meant for them', { query: '{ forClients }' }],
    ['of an error without a code', { query: '{ bare double }' }],
    ['of a value that does not fit', { query: '{ misfit }' }],
    ['of null where none may be', { query: '{ missing { required } }' }],
    ['of a field that never settles', { query: '{ hanging prompt }' }],
    ['of a mutation', { query: 'mutation { touch }' }],
    ['of a document that does not parse', { query: '{' }],
    ['of one that does not fit the schema', { query: '{ nothing }' }],
    ['of what is deferred, for who takes no parts', { query: '{ prompt ... @defer { double } }' }],
    ['of a subscription, for who takes no events', { query: 'subscription { count }' }],
    ['of a member that means nothing', { query: '{ prompt }', other: 1 }],
    ['of a plan', { query: '{ prompt double }' }, { 'x-weir-explain': 'plan' }],
  ] as const)('%s', async (_, body, headers: Readonly<Record<string, string>> = {}) => {
    for (const accept of accepts) {
      const sent = accept === undefined ? headers : { ...headers, accept };
      const byYoga = await ask(post(unusual, body, sent));
      const direct = await ask(post('application/json', body, sent));
      expect(byYoga.direct).toBe(false);
      expect({ ...direct, direct: undefined }).toEqual({ ...byYoga, direct: undefined });
    }
  });

  test.each([
    ['of a query', '?query={prompt}'],
    ['of variables', '?query=query($v:Int!){double(value:$v)}&variables={"v":3}'],
    ['of a parameter that means nothing', '?query={a:prompt}&other=1'],
    ['of a mutation, which a GET may not ask for', '?query=mutation{touch}'],
  ])('by GET, %s', async (_, query) => {
    const first = await ask({ headers: { accept: 'application/json' } }, query);
    const second = await ask({ headers: { accept: 'application/json' } }, query);
    expect([first.direct, second.direct]).toEqual([false, true]);
    expect({ ...second, direct: undefined }).toEqual({ ...first, direct: undefined });
  });
});

describe('The direct lane', () => {
  test('takes what is plain, once its document is known', async () => {
    const query = '{ double(value: 1234) }';
    expect((await ask(post('application/json', { query }))).direct).toBe(false);
    expect((await ask(post('application/json', { query }))).direct).toBe(true);
    expect((await ask({ method: 'HEAD' }, `?query=${query}`)).direct).toBe(true);
  });

  test.each([
    ['a subscription', 'subscription { count }', 'text/event-stream, application/json'],
    ['parts, for who takes them', '{ prompt ... @defer { double } }', 'multipart/mixed, application/json'],
  ])('leaves %s to Yoga', async (_, query, accept) => {
    for (let round = 0; round < 2; round++) {
      const response = await fetch(server.graphqlUrl, post('application/json', { query }, { accept }));
      await response.text();
      expect(response.headers.get('content-type')).not.toContain('json');
      expect(give.mock.results.at(-1)!.value).toBe(false);
    }
  });

  test('takes what nobody defers, for who would take parts too', async () => {
    const sent = post(
      'application/json',
      { query: '{ double(value: 77) }' },
      { accept: 'multipart/mixed, application/json' },
    );
    const first = await ask(sent);
    const second = await ask(sent);
    expect([first.direct, second.direct]).toEqual([false, true]);
    expect(second.body).toBe(first.body);
  });
});
