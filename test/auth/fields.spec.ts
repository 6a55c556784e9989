import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createExecution } from '#resolvers/execution.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlAnswer, type GraphqlServer } from '../graphql/shop-gateway.ts';
import { readParts } from '../graphql/streams.ts';
import { byName, moduleOf } from '../modules/harness.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const plain = newApiKey();
const rich = newApiKey();

let service: TestUpstream;
let server: GraphqlServer;
let strict: GraphqlServer;

beforeAll(async () => {
  service = await startUpstream((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url));
  });
  server = await startModules('test/fixtures/guarded', configuration());
  strict = await startModules('test/fixtures/guarded', configuration({ onDenied: 'operation' }));
});

beforeEach(() => {
  service.requests.length = 0;
});

afterAll(async () => {
  await server.stop();
  await strict.stop();
  await service.close();
});

function configuration(graphql: object = {}) {
  return {
    upstreams: { vault: { endpoints: [service.url] } },
    graphql,
    consumers: [
      { id: 'plain', keys: [plain.hash] },
      { id: 'rich', tier: 'pro', scopes: ['reports:read', 'reports:all', 'admin', 'money:read'], keys: [rich.hash] },
    ],
  };
}

const as = ({ key }: { key: string }) => ({ 'x-api-key': key });

function codes({ body }: GraphqlAnswer): unknown[] {
  return (body.errors ?? []).map(({ path, extensions }) => [path?.join('.'), extensions.code]);
}

describe('A field that asks for something of its reader', () => {
  it('is null with an error at its path for who does not have it, and no upstream is called for it', async () => {
    const answer = await server.query('{ public private report pro }');
    expect(answer.status).toBe(200);
    expect(answer.body.data).toEqual({ public: '/public', private: null, report: null, pro: null });
    expect(codes(answer)).toEqual([
      ['private', 'UNAUTHENTICATED'],
      ['report', 'UNAUTHENTICATED'],
      ['pro', 'UNAUTHENTICATED'],
    ]);
    expect(service.requests.map(({ url }) => url)).toEqual(['/public']);
  });

  it('is served to who has it: a credential, all scopes of one list, a rule that is met', async () => {
    const some = await server.query('{ private report pro }', as(plain));
    expect(some.body.data).toEqual({ private: '/private', report: null, pro: null });
    expect(codes(some)).toEqual([
      ['report', 'FORBIDDEN'],
      ['pro', 'FORBIDDEN'],
    ]);
    const all = await server.query('{ private report pro }', as(rich));
    expect(all.body).toEqual({ data: { private: '/private', report: '/report', pro: '/pro' } });
  });

  it('may take some kinds of credential and not others', async () => {
    const answer = await server.query('{ byKey byToken }', as(plain));
    expect(answer.body.data).toEqual({ byKey: '/by-key', byToken: null });
    expect(codes(answer)).toEqual([['byToken', 'FORBIDDEN']]);
    expect(answer.body.errors?.[0]?.message).toContain('jwt, introspection');
    expect(codes(await server.query('{ byToken }'))).toEqual([['byToken', 'UNAUTHENTICATED']]);
    expect(service.requests.map(({ url }) => url)).toEqual(['/by-key']);
  });

  it('asks the same under another name, in a fragment, in a batch, and deferred', async () => {
    const answer = await server.query(
      'query { a: private ...F ... on Query { b: private } } fragment F on Query { c: private }',
    );
    expect(new Set(codes(answer))).toEqual(
      new Set([
        ['a', 'UNAUTHENTICATED'],
        ['b', 'UNAUTHENTICATED'],
        ['c', 'UNAUTHENTICATED'],
      ]),
    );
    const response = await fetch(server.graphqlUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'multipart/mixed; deferSpec=20220824' },
      body: JSON.stringify({ query: '{ public ... @defer { private } }' }),
    });
    expect(JSON.stringify(await Array.fromAsync(readParts(response)))).toContain('UNAUTHENTICATED');
    expect(service.requests.filter(({ url }) => url === '/private')).toEqual([]);
  });

  it('may ask by its type: an object, an interface, the root', async () => {
    expect(codes(await server.query('{ me { name } }'))).toEqual([['me', 'UNAUTHENTICATED']]);
    // What an interface may turn out to be is known only when it is there.
    expect(codes(await server.query('{ node { id } }'))).toEqual([['node.id', 'UNAUTHENTICATED']]);
    expect(codes(await server.query('{ node { id secret } }', as(plain)))).toEqual([['node.secret', 'FORBIDDEN']]);
    expect((await server.query('{ node { id secret } me { name secret } }', as(rich))).body.errors).toBeUndefined();
    expect(codes(await server.query('{ nested { name balance { amount } } }', as(plain)))).toEqual([
      ['nested.balance', 'FORBIDDEN'],
    ]);
    expect(codes(await server.query('mutation { open }'))).toEqual([['open', 'UNAUTHENTICATED']]);
    expect(service.requests).toEqual([]);
    expect((await server.query('mutation { open }', as(plain))).body.data).toEqual({ open: '/open' });
  });

  it('that cannot be null takes its parent with it, as GraphQL says (§6.4.4)', async () => {
    expect((await server.query('{ strict }')).body.data).toBeNull();
  });

  it('may be the event of a subscription, which then never starts', async () => {
    const subscribe = (query: string, headers: Record<string, string> = {}) =>
      fetch(server.graphqlUrl, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
        body: JSON.stringify({ query }),
      });
    expect(await (await subscribe('subscription { ticks }')).text()).toContain('UNAUTHENTICATED');
    expect(await (await subscribe('subscription { free }')).text()).toContain('"free":"tick"');
    const allowed = await subscribe('subscription { ticks }', as(plain));
    const reader = allowed.body!.getReader();
    let text = '';
    while (!text.includes('"ticks":"tick"')) text += new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
  });
});

describe('With graphql.onDenied: operation', () => {
  it('the whole operation is refused before anything runs', async () => {
    const answer = await strict.query('{ public private }');
    expect(answer.status).toBe(401);
    expect(codes(answer)).toEqual([[undefined, 'UNAUTHENTICATED']]);
    expect((await strict.query('{ public report }', as(plain))).status).toBe(403);
    expect((await strict.query('{ node { secret } }', as(plain))).status).toBe(403);
    expect(
      (await strict.query('query { ...F } fragment F on Query { nested { balance { amount } } }', as(plain))).status,
    ).toBe(403);
    expect(service.requests).toEqual([]);
    expect((await strict.query('{ public private report }', as(rich))).body.errors).toBeUndefined();
  });
});

describe('A rule on a field', () => {
  it('that cannot be used is an error at boot, with its place', async () => {
    const upstreams = byName();
    const module = moduleOf('m', 'extend type Query { a: Int @policy(rule: "consumer.teir == 1") }', {
      resolvers: { Query: { a: () => 1 } },
    });
    expect(() => createExecution([module], upstreams)).toThrow(ModuleError);
    expect(() => createExecution([module], upstreams)).toThrow(/No such key: teir/);
  });
});
