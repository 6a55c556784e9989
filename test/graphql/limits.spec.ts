import { createClient, type Client } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import {
  startLoneGateway,
  startModules,
  type GraphqlBody,
  type GraphqlErrorBody,
  type GraphqlServer,
} from './shop-gateway.ts';
import { readEvents, readParts } from './streams.ts';

type Transport = (
  server: GraphqlServer,
  query: string,
) => Promise<{ readonly status: number | undefined; readonly errors: readonly GraphqlErrorBody[] }>;

const post = async (server: GraphqlServer, headers: Record<string, string>, body: BodyInit) => {
  const response = await fetch(server.graphqlUrl, { method: 'POST', headers, body });
  return { status: response.status, response };
};

const json = { 'content-type': 'application/json' };

function form(query: string): FormData {
  const data = new FormData();
  data.set('operations', JSON.stringify({ query }));
  data.set('map', '{}');
  return data;
}

const transports: Record<string, Transport> = {
  'POST as application/json': async (server, query) => {
    const { status, body } = await server.query(query);
    return { status, errors: body.errors! };
  },
  'POST accepting application/graphql-response+json': async (server, query) => {
    const { status, body } = await server.query(query, { accept: 'application/graphql-response+json' });
    return { status, errors: body.errors! };
  },
  'POST as application/graphql': async (server, query) => {
    const { status, response } = await post(server, { 'content-type': 'application/graphql' }, query);
    return { status, errors: ((await response.json()) as GraphqlBody).errors! };
  },
  'POST as multipart/form-data': async (server, query) => {
    const { status, response } = await post(server, { 'graphql-require-preflight': '1' }, form(query));
    return { status, errors: ((await response.json()) as GraphqlBody).errors! };
  },
  GET: async (server, query) => {
    const response = await fetch(`${server.graphqlUrl}?${new URLSearchParams({ query }).toString()}`);
    return { status: response.status, errors: ((await response.json()) as GraphqlBody).errors! };
  },
  'an entry of a batch': async (server, query) => {
    const { response } = await post(server, json, JSON.stringify([{ query: '{ __typename }' }, { query }]));
    const [well, refused] = (await response.json()) as GraphqlBody[];
    expect(well).toEqual({ data: { __typename: 'Query' } });
    return { status: undefined, errors: refused!.errors! };
  },
  'server-sent events': async (server, query) => {
    const { status, response } = await post(
      server,
      { ...json, accept: 'text/event-stream' },
      JSON.stringify({ query }),
    );
    const events = await Array.fromAsync(readEvents(response));
    expect(events.map(({ event }) => event)).toEqual(['next', 'complete']);
    return { status, errors: (JSON.parse(events[0]!.data) as GraphqlBody).errors! };
  },
  'multipart/mixed': async (server, query) => {
    const { status, response } = await post(server, { ...json, accept: 'multipart/mixed' }, JSON.stringify({ query }));
    const [only] = await Array.fromAsync(readParts(response));
    return { status, errors: (only as GraphqlBody).errors! };
  },
  WebSocket: async (server, query) => {
    const client: Client = createClient({
      url: server.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    });
    try {
      return await new Promise((resolve, reject) => {
        client.subscribe(
          { query },
          {
            next: (value) => reject(new Error(`It was executed: ${JSON.stringify(value)}`)),
            complete: () => reject(new Error('It was completed.')),
            error: (errors) => {
              if (Array.isArray(errors))
                resolve({ status: undefined, errors: errors as unknown as GraphqlErrorBody[] });
              else reject(new Error('The socket failed.', { cause: errors }));
            },
          },
        );
      });
    } finally {
      await client.dispose();
    }
  },
};

describe.each(Object.entries(transports))('Over %s', (_, send) => {
  let server: GraphqlServer;

  beforeAll(async () => {
    const graphql = { maxDepth: 3, maxAliases: 2, maxTokens: 60, maxRootFields: 2, maxDirectives: 1 };
    server = await startLoneGateway({ graphql, listen: { maxHeaderBytes: '64KiB' } });
  });

  afterAll(() => server.stop());

  test.each([
    [
      'tokens',
      '{ users { id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id id } }',
      { limit: 'maxTokens', maximum: 60 },
    ],
    ['depth', '{ users { orders { items { quantity } } } }', { limit: 'maxDepth', maximum: 3, actual: 4 }],
    ['aliases', '{ a: users { id b: id c: id } }', { limit: 'maxAliases', maximum: 2, actual: 3 }],
    ['root fields', '{ users { id } products { id } __typename }', { limit: 'maxRootFields', maximum: 2, actual: 3 }],
    ['directives', '{ users @include(if: true) { id @include(if: true) } }', { limit: 'maxDirectives', maximum: 1 }],
  ])('too much %s is refused with what, where and how much', async (_what, query, extensions) => {
    const { status, errors } = await send(server, query);
    expect(status ?? 400).toBe(400);
    expect(errors).toHaveLength(1);
    expect(errors[0]!.extensions).toMatchObject({ code: 'DOCUMENT_LIMIT_EXCEEDED', ...extensions });
    expect(errors[0]!.extensions.requestId).toEqual(expect.any(String));
    expect(errors[0]!.message).toContain(String(extensions.maximum));
    expect(errors[0]!.locations).toEqual([{ line: 1, column: expect.any(Number) as number }]);
  });
});

describe('Documents made to bring a server down', () => {
  let server: GraphqlServer;

  beforeAll(async () => {
    server = await startModules('test/fixtures/graphql', {
      graphql: { maxTokens: 100_000, maxDepth: 100, maxAliases: 10_000, maxRootFields: 10_000 },
    });
  });

  afterAll(() => server.stop());

  test.each([
    ['20,000 selection sets within one another', '{a'.repeat(20_000) + '}'.repeat(20_000)],
    ['20,000 lists within one another', `{ a(b: ${'['.repeat(20_000)}${']'.repeat(20_000)}) }`],
    ['20,000 inline fragments within one another', `{ ${'... {'.repeat(20_000)} a ${'}'.repeat(20_000)} }`],
    [
      'a chain of 10,000 fragments',
      `{ ...F0 } ${Array.from({ length: 10_000 }, (_, index) => `fragment F${index} on Query { ...F${index + 1} }`).join(' ')} fragment F10000 on Query { prompt }`,
    ],
  ])('%s: 400, and the next request is served', async (_, query) => {
    const { status, body } = await server.query(query);
    expect(status).toBe(400);
    expect(body.errors![0]!.extensions.code).toBe('DOCUMENT_LIMIT_EXCEEDED');
    expect((await server.query('{ prompt }')).body).toEqual({ data: { prompt: 'at once' } });
  });

  test('a circle of fragments, which most rules of validation do not come back from', async () => {
    const circle = Array.from(
      { length: 150 },
      (_, index) => `fragment F${index} on Query { prompt ...F${(index + 1) % 150} }`,
    );
    const { status, body } = await server.query(`{ ...F0 } ${circle.join(' ')}`, {
      accept: 'application/graphql-response+json',
    });
    expect(status).toBe(400);
    expect(body.errors![0]!).toMatchObject({ extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } });
    expect(body.errors![0]!.message).toContain('within itself');
  });

  test("an answer tells at most twenty of a document's errors", async () => {
    const { body } = await server.query(`{ ${Array.from({ length: 1000 }, (_, index) => `no${index}`).join(' ')} }`);
    expect(body.errors!.length).toBeLessThanOrEqual(21);
  });

  test('and no more of its variables', async () => {
    const names = Array.from({ length: 500 }, (_, index) => `v${index}`);
    const query = `query(${names.map((name) => `$${name}: Int!`).join(' ')}) { ${names.map((name) => `${name}: double(value: $${name})`).join(' ')} }`;
    const { body } = await server.query({ query, variables: Object.fromEntries(names.map((name) => [name, 'x'])) });
    expect(body.errors!.length).toBeLessThanOrEqual(11);
  });
});

describe('The size of what comes in', () => {
  let server: GraphqlServer;

  beforeAll(async () => {
    server = await startModules('test/fixtures/graphql', { listen: { maxBodyBytes: '2KiB' } });
  });

  afterAll(() => server.stop());

  test('is bounded by maxBodyBytes for every body', async () => {
    const large = `{ prompt } # ${'x'.repeat(3000)}`;
    for (const [headers, body] of [
      [json, JSON.stringify({ query: large })],
      [{ 'content-type': 'application/graphql' }, large],
      [{ 'graphql-require-preflight': '1' }, form(large)],
    ] as const) {
      const { status, response } = await post(server, headers, body);
      expect(status).toBe(413);
      expect(((await response.json()) as GraphqlBody).errors![0]!.extensions.code).toBe('BODY_TOO_LARGE');
    }
  });

  test('and for every message on a WebSocket, which is closed with 1009 (RFC 6455 §7.4.1)', async () => {
    const socket = new WebSocket(server.graphqlUrl.replace('http', 'ws'), 'graphql-transport-ws');
    const closed = new Promise((resolve) => {
      socket.once('close', resolve);
    });
    socket.once('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { x: 'x'.repeat(3000) } })),
    );
    expect(await closed).toBe(1009);
  });
});

describe('Without introspection', () => {
  let server: GraphqlServer;

  beforeAll(async () => {
    server = await startModules('test/fixtures/graphql', { graphql: { introspection: false } });
  });

  afterAll(() => server.stop());

  test.each(['{ __schema { queryType { name } } }', '{ __type(name: "Query") { name } }'])(
    '%s is refused',
    async (query) => {
      const { body } = await server.query(query);
      expect(body).not.toHaveProperty('data');
      expect(body.errors![0]!.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
    },
  );

  test('__typename still answers, since clients live on it', async () => {
    expect((await server.query('{ __typename }')).body).toEqual({ data: { __typename: 'Query' } });
  });

  test.each([
    ['a field', { query: '{ promt }' }],
    ['an argument', { query: '{ double(valu: 1) }' }],
    ['a type', { query: '{ ... on Qery { prompt } }' }],
    ['a directive', { query: '{ prompt @skp(if: true) }' }],
    ['a field of an input object, as a literal', { query: '{ filter(by: { nam: "x" }) }' }],
    [
      'a field of an input object, in variables',
      { query: 'query($by: Filter) { filter(by: $by) }', variables: { by: { nam: 'x' } } },
    ],
  ])('nobody is told what they may have meant by %s', async (_, request) => {
    const { body } = await server.query(request);
    expect(body.errors).not.toHaveLength(0);
    expect(JSON.stringify(body)).not.toMatch(/did you mean|prompt"|value"|name"/i);
  });
});

describe('With introspection', () => {
  test("GraphiQL's own query is within the default limits", async () => {
    const server = await startLoneGateway();
    try {
      const { getIntrospectionQuery } = await import('graphql');
      const { status, body } = await server.query(
        getIntrospectionQuery({
          inputValueDeprecation: true,
          specifiedByUrl: true,
          directiveIsRepeatable: true,
          schemaDescription: true,
        }),
      );
      expect([status, body.errors]).toEqual([200, undefined]);
    } finally {
      await server.stop();
    }
  });
});
