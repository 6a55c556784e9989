import { execute, parse } from 'graphql';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WeirError } from '#core/errors.ts';
import { createExecution } from '#resolvers/execution.ts';
import { load } from '#resolvers/load.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import type { Module } from '#resolvers/module.ts';
import { batch, each, groupBy, indexBy } from '#upstreams/loaders/loader.ts';
import type { UpstreamClient } from '#upstreams/client/client.ts';
import { startUpstream } from '../support/upstream.ts';
import { byName, listen, moduleOf, newRequest, plain, run, upstreamAt } from './harness.ts';

interface Scope {
  readonly clients: { readonly shop: UpstreamClient };
}

interface Item {
  readonly id: string;
  readonly owner: string;
}

/** A service that has an item for every id but `0`, and says what it was asked. Its answer to `/broken` is none. */
async function startShop() {
  const service = await startUpstream((request, response) => {
    const url = new URL(request.url!, 'http://shop');
    const ids = (url.searchParams.get('ids') ?? '').split(',').filter((id) => id !== '0');
    response.writeHead(url.pathname === '/broken' ? 500 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(ids.map((id) => ({ id, owner: `o${id}` }))));
  });
  onTestFinished(() => service.close());
  return { service, upstreams: byName(upstreamAt('shop', service.url, { retry: { attempts: 0 } })) };
}

const itemsSdl = `
extend type Query {
  items(ids: [ID!]!): [Item!] @listSize(slicingArguments: [])
  item(id: ID): Item @upstream(name: "shop", batch: 100)
}
type Item {
  id: ID!
  owner: String!
  same: Item @upstream(name: "shop", batch: 100)
  parts(first: Int! = 2): [Item!] @upstream(name: "shop", batch: 10) @listSize(slicingArguments: ["first"])
}
`;

const itemId = (item: unknown): string => (item as Item).id;

const items = moduleOf('items', itemsSdl, {
  upstreams: { shop: {} },
  loaders: ({ clients }: Scope) => ({
    byId: batch({ maxBatchSize: 100 }, async (ids) => {
      const query = { ids: ids.join(',') };
      return indexBy((await clients.shop.get('/items', { query })) as Item[], ({ id }) => id);
    }),
    partsOf: batch({ maxBatchSize: 10 }, async (ids, { params }) => {
      const query = { ids: ids.join(','), ...params };
      return groupBy((await clients.shop.get('/parts', { query })) as Item[], ({ id }) => id);
    }),
  }),
  resolvers: {
    Query: {
      items: (_: unknown, { ids }: { readonly ids: readonly string[] }) => ids.map((id) => ({ id, owner: 'x' })),
      item: load('byId', { key: (_, args) => (args as { readonly id: string | null }).id }),
    },
    Item: {
      same: load('byId', { key: itemId }),
      parts: load('partsOf', { key: itemId, params: ({ first }: { readonly first: number }) => ({ first }) }),
    },
  },
});

describe('a declared load', () => {
  it('calls the upstream once for a level, and once for each set of arguments', async () => {
    const { service, upstreams } = await startShop();
    const { data } = await run(
      createExecution([items], upstreams),
      '{ items(ids: ["1", "2"]) { same { owner } two: parts { id } three: parts(first: 3) { id } } }',
    );
    expect(data).toEqual({
      items: ['1', '2'].map((id) => ({ same: { owner: `o${id}` }, two: [{ id }], three: [{ id }] })),
    });
    expect(service.requests.map(({ url }) => url).sort()).toEqual([
      '/items?ids=1%2C2',
      '/parts?ids=1%2C2&first=2',
      '/parts?ids=1%2C2&first=3',
    ]);
  });

  it('shares what fields load with the same loader, from whatever level', async () => {
    const { service, upstreams } = await startShop();
    await run(
      createExecution([items], upstreams),
      '{ item(id: "1") { same { same { owner } } } again: item(id: "1") { id } }',
    );
    expect(service.requests).toHaveLength(1);
  });

  it('is null for a null key, without a call, and for a key that the upstream does not know', async () => {
    const { service, upstreams } = await startShop();
    const { data } = await run(
      createExecution([items], upstreams),
      '{ none: item { id } unknown: item(id: "0") { id } }',
    );
    expect(data).toEqual({ none: null, unknown: null });
    expect(service.requests.map(({ url }) => url)).toEqual(['/items?ids=0']);
  });
});

const failing = (optional: boolean): Module =>
  moduleOf(
    'failing',
    `extend type Query { list: [Thing!] }\ntype Thing { id: ID! extra: String @upstream(name: "shop", optional: ${optional}) }`,
    {
      upstreams: { shop: {} },
      resolvers: {
        Query: { list: () => [{ id: 'upstream' }, { id: 'fine' }, { id: 'defect' }, { id: 'sync' }] },
        Thing: {
          extra: ({ id }: Item, _: unknown, { clients }: Scope) => {
            if (id === 'sync') throw new WeirError('UPSTREAM_UNAVAILABLE', { upstream: 'shop' });
            if (id === 'defect') return Promise.reject(new TypeError('a defect'));
            return id === 'fine' ? 'fine' : clients.shop.get('/broken');
          },
        },
      },
    },
  );

describe('a field that fails', () => {
  it('is null and an error at its path, and costs nothing else', async () => {
    const { upstreams } = await startShop();
    const { data, errors, request } = await run(createExecution([failing(false)], upstreams), '{ list { extra } }');
    expect(data).toEqual({ list: [{ extra: null }, { extra: 'fine' }, { extra: null }, { extra: null }] });
    expect(errors).toHaveLength(3);
    expect(errors).toContainEqual({
      path: ['list', 0, 'extra'],
      error: expect.objectContaining({ code: 'UPSTREAM_ERROR', upstream: 'shop' }) as unknown,
    });
    expect(request.degraded).toBeUndefined();
  });

  it('is null with a note instead where it is optional and an upstream is at fault; a defect stays an error', async () => {
    const { upstreams } = await startShop();
    const { data, errors, request } = await run(createExecution([failing(true)], upstreams), '{ list { extra } }');
    expect(data).toEqual({ list: [{ extra: null }, { extra: 'fine' }, { extra: null }, { extra: null }] });
    expect(errors).toEqual([{ path: ['list', 2, 'extra'], error: expect.any(TypeError) as unknown }]);
    expect(request.degraded).toHaveLength(2);
    expect(request.degraded).toEqual(
      expect.arrayContaining([
        { path: ['list', 0, 'extra'], code: 'UPSTREAM_ERROR', upstream: 'shop' },
        { path: ['list', 3, 'extra'], code: 'UPSTREAM_UNAVAILABLE', upstream: 'shop' },
      ]),
    );
  });
});

describe('the end of a request', () => {
  const hanging = moduleOf(
    'hanging',
    'extend type Query { quick: Int stuck: Int @upstream(name: "shop") maybe: Int @upstream(name: "shop", optional: true) }',
    {
      upstreams: { shop: {} },
      resolvers: {
        Query: {
          quick: () => 1,
          stuck: () => new Promise(() => undefined),
          maybe: () => new Promise(() => undefined),
        },
      },
    },
  );

  it('ends a function that hangs on something else, and what is resolved returns', async () => {
    const { upstreams } = await startShop();
    const request = newRequest();
    const running = run(createExecution([hanging], upstreams), '{ quick stuck maybe }', request);
    await new Promise((resolve) => setImmediate(resolve));
    request.cancellation.cancel(new WeirError('DEADLINE_EXCEEDED'));
    const { data, errors } = await running;
    expect(data).toEqual({ quick: 1, stuck: null, maybe: null });
    expect(errors).toEqual([
      { path: ['stuck'], error: expect.objectContaining({ code: 'DEADLINE_EXCEEDED', upstream: 'shop' }) as unknown },
    ]);
    const [stuck] = errors.map(({ error }) => error as WeirError);
    expect(stuck?.extensions?.['elapsedMs']).toBeGreaterThanOrEqual(0);
    expect(request.degraded).toEqual([{ path: ['maybe'], code: 'DEADLINE_EXCEEDED', upstream: 'shop' }]);
  });

  it('is nothing to a function that has its answer at once: no promise is made for it', async () => {
    const { upstreams } = await startShop();
    const { schema, contextFor } = createExecution([hanging], upstreams);
    const result = execute({ schema, document: parse('{ quick }'), contextValue: contextFor(newRequest()) });
    expect(result).not.toBeInstanceOf(Promise);
    expect(result).toMatchObject({ data: { quick: 1 } });
  });
});

describe('a function', () => {
  it('has the clients and loaders of its module, the request, and a signal that ends with it', async () => {
    const { upstreams } = await startShop();
    const module = moduleOf('own', 'extend type Query { owners(ids: [ID!]!): [String!] aborted: Boolean }', {
      upstreams: { shop: {} },
      loaders: ({ clients }: Scope) => ({
        ownerOf: each(
          { concurrency: 2 },
          async (id) => ((await clients.shop.get('/items', { query: { ids: id } })) as Item[])[0]?.owner,
        ),
      }),
      resolvers: {
        Query: {
          owners: (
            _: unknown,
            { ids }: { ids: string[] },
            { loaders }: { loaders: { ownerOf: { load(key: string): Promise<string> } } },
          ) => Promise.all(ids.map((id) => loaders.ownerOf.load(id))),
          aborted: (_: unknown, __: unknown, { request, signal }: { request: { id: string }; signal: AbortSignal }) => {
            expect(request.id).toBe(current.id);
            return signal.aborted;
          },
        },
      },
    });
    const current = newRequest();
    const { data } = await run(
      createExecution([module], upstreams),
      '{ owners(ids: ["1", "2", "1"]) aborted }',
      current,
    );
    expect(data).toEqual({ owners: ['o1', 'o2', 'o1'], aborted: false });
    expect(current.calls.sent.get('shop')).toBe(2);
  });
});

describe('a mutation', () => {
  it('makes loaders forget, so that what follows sees what it has done', async () => {
    let value = 0;
    const counter = moduleOf(
      'counter',
      'extend type Query { x: Int }\nextend type Mutation { add: Counter }\ntype Counter { value: Int @upstream(name: "shop", batch: 10) }',
      {
        upstreams: { shop: {} },
        loaders: () => ({
          value: batch({ maxBatchSize: 10 }, async (keys: readonly number[]) => keys.map(() => value)),
        }),
        resolvers: {
          Query: { x: () => 1 },
          Mutation: { add: () => Promise.resolve({ now: ++value }) },
          Counter: { value: load('value', { key: () => 1 }) },
        },
      },
    );
    const { upstreams } = await startShop();
    const { data } = await run(createExecution([counter], upstreams), 'mutation { a: add { value } b: add { value } }');
    expect(data).toEqual({ a: { value: 1 }, b: { value: 2 } });
  });
});

describe('a subscription', () => {
  const events = (source: () => AsyncIterable<unknown>, calls: number[] = []): Module =>
    moduleOf(
      'events',
      'extend type Query { x: Int }\nextend type Subscription { event: Event }\ntype Event { id: ID! loaded: Int @upstream(name: "shop", batch: 10, optional: true) }',
      {
        upstreams: { shop: {} },
        loaders: () => ({
          one: batch({ maxBatchSize: 10 }, async (keys: readonly string[]) => {
            calls.push(keys.length);
            if (calls.length === 2) throw new WeirError('UPSTREAM_TIMEOUT', { upstream: 'shop' });
            return keys.map(() => calls.length);
          }),
        }),
        resolvers: {
          Query: { x: () => 1 },
          Subscription: { event: source },
          Event: { loaded: load('one', { key: () => 'same' }) },
        },
      },
    );

  it('loads anew for each event, and notes what each could not get', async () => {
    async function* source() {
      for (const id of ['1', '2', '3']) yield { id };
    }
    const { upstreams } = await startShop();
    const request = newRequest();
    const seen: unknown[] = [];
    for await (const result of await listen(
      createExecution([events(source)], upstreams),
      'subscription { event { loaded } }',
      request,
    )) {
      seen.push([plain(result).data, request.degraded?.length ?? 0]);
    }
    expect(seen).toEqual([
      [{ event: { loaded: 1 } }, 0],
      [{ event: { loaded: null } }, 1],
      [{ event: { loaded: 3 } }, 0],
    ]);
  });

  it.each(['before its first event', 'later'])(
    'that fails %s says so in a last response, and is over',
    async (when) => {
      async function* source() {
        if (when === 'later') yield { id: '1' };
        throw new WeirError('UPSTREAM_UNREACHABLE', { upstream: 'shop' });
      }
      const { upstreams } = await startShop();
      const stream = await listen(createExecution([events(source)], upstreams), 'subscription { event { id } }');
      const results = [];
      for await (const result of stream) results.push(plain(result));
      expect(results).toHaveLength(when === 'later' ? 2 : 1);
      expect(results.at(-1)).toEqual({
        data: { event: null },
        errors: [{ path: ['event'], error: expect.objectContaining({ code: 'UPSTREAM_UNREACHABLE' }) as unknown }],
      });
    },
  );

  it('that is left ends its request, and with it what its source waits for', async () => {
    const ended = Promise.withResolvers<void>();
    const request = newRequest();
    async function* source() {
      yield { id: '1' };
      try {
        await new Promise((_resolve, reject) => void request.cancellation.on(reject));
      } finally {
        ended.resolve();
      }
    }
    const { upstreams } = await startShop();
    const stream = await listen(createExecution([events(source)], upstreams), 'subscription { event { id } }', request);
    await stream.next();
    const waiting = stream.next();
    await stream.return();
    await ended.promise;
    expect(await waiting).toMatchObject({ done: true });
    expect(request.cancellation.reason?.code).toBe('CLIENT_CLOSED_REQUEST');
  });
});

describe('at boot', () => {
  const one = batch({ maxBatchSize: 10 }, async (ids) => ids);

  async function problemsOf(...modules: readonly Module[]): Promise<readonly string[]> {
    const { upstreams } = await startShop();
    try {
      createExecution(modules, upstreams);
    } catch (error) {
      if (error instanceof ModuleError)
        return error.problems.map(
          ({ where, message, fix }) => `${where.replace(/.*modules\//, '')}: ${message}. Fix: ${fix}.`,
        );
      throw error;
    }
    return [];
  }

  it.each<[string, string, Partial<Module>, string]>([
    [
      'a field that does not exist',
      'extend type Query { a: Int }',
      { resolvers: { Query: { a: () => 1, b: () => 1 } } },
      "module 'm' resolves Query.b, which does not exist. Fix: correct the name (Query has a)",
    ],
    [
      'a type that does not exist',
      'extend type Query { a: Int }',
      { resolvers: { Query: { a: () => 1 }, Usr: { b: () => 1 } } },
      "module 'm' resolves Usr.b, which does not exist",
    ],
    [
      'a root field that nobody resolves',
      'extend type Query {\n  a: Int\n}',
      {},
      'm/m.graphql:2: nothing resolves Query.a',
    ],
    [
      'an @upstream field that nobody resolves',
      'extend type Query { a: A }\ntype A {\n  b: Int @upstream(name: "shop")\n}',
      { resolvers: { Query: { a: () => 1 } } },
      "m/m.graphql:3: nothing resolves A.b, which 'shop' should answer",
    ],
    [
      'an upstream that does not exist',
      'extend type Query {\n  a: Int @upstream(name: "shp")\n}',
      { resolvers: { Query: { a: () => 1 } } },
      "m/m.graphql:2: Query.a names the upstream 'shp', which does not exist. Fix: correct the name (there is shop)",
    ],
    [
      'an upstream without endpoints',
      'extend type Query { a: Int }',
      { upstreams: { other: {} }, resolvers: { Query: { a: () => 1 } } },
      "the upstream 'other' has no endpoints. Fix: add upstreams.other.endpoints to gateway.yaml",
    ],
    [
      'a loader that does not exist',
      'extend type Query { a: Int @upstream(name: "shop", batch: 10) }',
      { loaders: () => ({ one }), resolvers: { Query: { a: load('two', { key: () => 'x' }) } } },
      "module 'm' loads Query.a with 'two', which is none of its loaders. Fix: name one that it has (one)",
    ],
    [
      'a loader that is none',
      'extend type Query { a: Int }',
      { loaders: () => ({ one: () => 1 }), resolvers: { Query: { a: () => 1 } } },
      "loader 'one' is made by neither batch() nor each()",
    ],
    [
      'a loader of no size',
      'extend type Query { a: Int }',
      { loaders: () => ({ one: { ...one, maxBatchSize: 0 } }), resolvers: { Query: { a: () => 1 } } },
      "loader 'one' has maxBatchSize 0",
    ],
    [
      'a client called while loaders are defined',
      'extend type Query { a: Int }',
      {
        upstreams: { shop: {} },
        loaders: ({ clients }: Scope) => ({ one: clients.shop.get('/') }),
        resolvers: { Query: { a: () => 1 } },
      },
      "clients are called inside of a loader's function",
    ],
    [
      'a load that the SDL does not tell of',
      'extend type Query {\n  a: Int\n}',
      { loaders: () => ({ one }), resolvers: { Query: { a: load('one', { key: () => 'x' }) } } },
      "m/m.graphql:2: Query.a is loaded with 'one' of module 'm', but does not say from which upstream. Fix: add @upstream(name: \"…\", batch: 10)",
    ],
    [
      'two numbers for one batch',
      'extend type Query {\n  a: Int @upstream(name: "shop", batch: 20)\n}',
      { loaders: () => ({ one }), resolvers: { Query: { a: load('one', { key: () => 'x' }) } } },
      "m/m.graphql:2: Query.a has batch: 20 in @upstream, but its loader 'one' in test/modules/m/module.ts has maxBatchSize: 10",
    ],
    [
      'a batch in the loader only',
      'extend type Query { a: Int @upstream(name: "shop") }',
      { loaders: () => ({ one }), resolvers: { Query: { a: load('one', { key: () => 'x' }) } } },
      "Query.a has no batch in @upstream, but its loader 'one'",
    ],
    [
      'a batch of each()',
      'extend type Query { a: Int @upstream(name: "shop", batch: 5) }',
      {
        loaders: () => ({ one: each({ concurrency: 2 }, async (id) => id) }),
        resolvers: { Query: { a: load('one', { key: () => 'x' }) } },
      },
      'is made by each(), so every key is a call. Fix: leave batch out',
    ],
    [
      'a batch of nothing',
      'extend type Query { a: Int @upstream(name: "shop", batch: 0) }',
      { resolvers: { Query: { a: () => 1 } } },
      'Query.a has batch: 0. Fix: write 1 or more',
    ],
    [
      'a time for old answers that is none',
      'extend type Query { a: Int @upstream(name: "shop", staleIfError: "soon") }',
      { resolvers: { Query: { a: () => 1 } } },
      'Query.a has staleIfError: "soon". Fix: write a duration up to 365d, such as "10m"',
    ],
    [
      'an old answer instead of a mutation',
      'extend type Query { b: Int } extend type Mutation { a: Int @upstream(name: "shop", staleIfError: "1m") }',
      { resolvers: { Query: { b: () => 1 }, Mutation: { a: () => 1 } } },
      'Mutation.a has staleIfError, but what is not read has no last good answer. Fix: remove staleIfError',
    ],
    [
      'an answer that is kept for less than no time',
      'extend type Query { a: Int @cacheControl(maxAge: -1) }',
      { resolvers: { Query: { a: () => 1 } } },
      'Query.a has maxAge: -1 in @cacheControl. Fix: write seconds, 0 or more',
    ],
    [
      'items at a path without a key',
      'extend type Query { a: Int @upstream(name: "shop", batch: 5) }',
      {
        upstreams: { shop: {} },
        loaders: ({ clients }: Scope) => ({
          byId: batch({ maxBatchSize: 5, item: clients.shop.item('/things' as '/{}') }, async (ids) =>
            ids.map(() => 1),
          ),
        }),
        resolvers: { Query: { a: load('byId', { key: () => 'x' }) } },
      },
      "the items of a loader cannot be at '/things': it must have one parameter, for the key",
    ],
    [
      'a value that is no resolver',
      'extend type Query { a: Int }',
      { resolvers: { Query: { a: 1 } } },
      "module 'm' resolves Query.a by neither a function nor load(…)",
    ],
    [
      'an OpenAPI document that is not there',
      'extend type Query { a: Int }',
      {
        upstreams: { shop: {} },
        openapi: { shop: new URL('./nowhere.yaml', import.meta.url) },
        resolvers: { Query: { a: () => 1 } },
      },
      'no such file',
    ],
  ])('%s is a problem', async (_what, sdl, parts, expected) => {
    const problems = await problemsOf(moduleOf('m', sdl, parts));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(expected);
  });

  it('two modules that resolve one field are named, both of them', async () => {
    const a = moduleOf('a', 'extend type Query { x: Int }', { resolvers: { Query: { x: () => 1 } } });
    const b = moduleOf('b', 'extend type Query { y: Int }', { resolvers: { Query: { x: () => 2, y: () => 1 } } });
    const [problem] = await problemsOf(a, b);
    expect(problem).toMatch(/module 'b' resolves Query\.x, which module 'a' \(.*\) resolves too/);
  });

  it('everything is told at once', async () => {
    const a = moduleOf('a', 'extend type Query { x: Int @upstream(name: "nobody") }', { upstreams: { other: {} } });
    const b = moduleOf('b', 'extend type Query { y: Int }', { resolvers: { Query: { z: () => 1 } } });
    expect(await problemsOf(a, b)).toHaveLength(5);
  });
});
