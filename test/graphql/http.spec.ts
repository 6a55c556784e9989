import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startModules, type GraphqlBody, type GraphqlServer } from './shop-gateway.ts';

let server: GraphqlServer;

beforeAll(async () => {
  server = await startModules('test/fixtures/graphql', { graphql: { maxBatch: 3 } });
});

afterAll(() => server.stop());

async function send(init: RequestInit, query = ''): Promise<{ status: number; headers: Headers; body: GraphqlBody }> {
  const response = await fetch(`${server.graphqlUrl}${query}`, init);
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : (JSON.parse(text) as GraphqlBody),
  };
}

const json = { 'content-type': 'application/json' };
const response = { ...json, accept: 'application/graphql-response+json' };
const post = (body: unknown, headers: Record<string, string> = json) =>
  send({ method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) });

describe('Status codes (GraphQL over HTTP §5.4)', () => {
  test.each([
    ['a document that does not parse', { query: '{' }, 'GRAPHQL_PARSE_FAILED'],
    ['a document that does not fit the schema', { query: '{ nothing }' }, 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a variable of the wrong type',
      { query: 'query($v: Int!) { double(value: $v) }', variables: { v: 'x' } },
      'BAD_USER_INPUT',
    ],
    ['no way to tell which operation is meant', { query: 'query A { prompt } query B { prompt }' }, 'BAD_USER_INPUT'],
    ['an operation that is not in the document', { query: 'query A { prompt }', operationName: 'B' }, 'BAD_USER_INPUT'],
    ['a document without an operation', { query: 'fragment F on Query { prompt }' }, 'GRAPHQL_VALIDATION_FAILED'],
  ])('%s: 400 for those who accept application/graphql-response+json, else 200, and no data', async (_, body, code) => {
    for (const [headers, status] of [
      [response, 400],
      [json, 200],
    ] as const) {
      const answer = await post(body, headers);
      expect(answer.status).toBe(status);
      expect(answer.body).not.toHaveProperty('data');
      expect(answer.body.errors![0]!.extensions).toMatchObject({ code, requestId: answer.headers.get('x-request-id') });
    }
  });

  test.each([
    ['JSON that is none', '{"query":', 'BAD_REQUEST'],
    ['no object', '"query"', 'BAD_REQUEST'],
    ['null', 'null', 'BAD_REQUEST'],
    ['no body', '', 'BAD_REQUEST'],
    ['no query', {}, 'BAD_REQUEST'],
    ['a query that is no text', { query: 7 }, 'BAD_REQUEST'],
    ['variables that are a list', { query: '{ prompt }', variables: [7] }, 'BAD_REQUEST'],
    ['variables that are a text', { query: '{ prompt }', variables: '{}' }, 'BAD_REQUEST'],
    ['an operation name that is no text', { query: '{ prompt }', operationName: 1 }, 'BAD_REQUEST'],
    ['extensions that are a text', { query: '{ prompt }', extensions: '{}' }, 'BAD_REQUEST'],
    ['a parameter that does not exist', { qeury: '{ prompt }' }, 'BAD_REQUEST'],
  ])('%s: 400 for everybody', async (_, body, code) => {
    for (const headers of [response, json]) {
      const answer = await post(body, headers);
      expect(answer.status).toBe(400);
      expect(answer.body.errors).toHaveLength(1);
      expect(answer.body.errors![0]!.extensions.code).toBe(code);
    }
  });

  test('data with errors, and data that errors have nulled: 200', async () => {
    const partial = await post({ query: '{ prompt leaky }' }, response);
    expect([partial.status, partial.body.data]).toEqual([200, { prompt: 'at once', leaky: null }]);
    const nulled = await post({ query: '{ missing { required } }' }, response);
    expect([nulled.status, nulled.body.data]).toEqual([200, { missing: null }]);
  });

  test('an error never quotes the body back', async () => {
    const { body } = await post('{"query": "hunter2",');
    expect(JSON.stringify(body)).not.toContain('hunter2');
  });

  test('variables that are nested beyond any stack are the fault of the client', async () => {
    const deep = `${'{"and":['.repeat(50_000)}{}${']}'.repeat(50_000)}`;
    const answer = await post(
      `{"query":"query($by: Filter) { filter(by: $by) }","variables":{"by":${deep}}}`,
      response,
    );
    expect(answer.status).toBe(400);
    expect(answer.body.errors![0]!.extensions.code).toBe('BAD_USER_INPUT');
  });
});

describe('GET', () => {
  const get = (parameters: Record<string, string>, method = 'GET') =>
    send({ method }, `?${new URLSearchParams(parameters).toString()}`);

  test('runs queries, with variables as JSON text', async () => {
    const { status, body } = await get({ query: 'query($v: Int!) { double(value: $v) }', variables: '{"v": 21}' });
    expect([status, body]).toEqual([200, { data: { double: 42 } }]);
  });

  test.each([
    { query: 'mutation { touch }' },
    { query: 'query Q { prompt } mutation M { touch }', operationName: 'M' },
  ])('refuses mutations with 405 and Allow: %j', async (parameters) => {
    const { status, headers, body } = await get(parameters);
    expect([status, headers.get('allow')]).toEqual([405, 'POST']);
    expect(body.errors![0]!.extensions.code).toBe('METHOD_NOT_ALLOWED');
  });

  test('with parameters that are not JSON is 400', async () => {
    const { status, body } = await get({ query: '{ prompt }', variables: '{' });
    expect([status, body.errors![0]!.extensions.code]).toEqual([400, 'BAD_REQUEST']);
  });

  test('without a query is 400', async () => {
    expect((await get({})).status).toBe(400);
  });

  test('is not mistaken for a health check by the end of its URL', async () => {
    expect((await get({ query: '{ prompt }', x: '' })).body).toEqual({ data: { prompt: 'at once' } });
    expect((await send({ method: 'GET' }, '?query={prompt}&x=/health')).body).toEqual({ data: { prompt: 'at once' } });
  });

  test('answers HEAD with the same head and no body (RFC 9110 §9.3.2)', async () => {
    const target = `${server.graphqlUrl}?query={prompt}`;
    const head = await fetch(target, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(head.headers.get('content-length')).toBe(String((await (await fetch(target)).arrayBuffer()).byteLength));
  });
});

describe('Other methods', () => {
  test('OPTIONS says which there are', async () => {
    const { status, headers } = await send({ method: 'OPTIONS' });
    expect([status, headers.get('allow')]).toEqual([204, 'GET, HEAD, POST, OPTIONS']);
  });

  test.each(['PUT', 'DELETE', 'PATCH'])('%s is 405 with Allow', async (method) => {
    const { status, headers } = await send({ method });
    expect(status).toBe(405);
    expect(headers.get('allow')).toContain('POST');
  });
});

describe('What any page can make a browser send (CSRF)', () => {
  const query = JSON.stringify({ query: 'mutation { touch }' });

  test.each([
    ['text/plain', query],
    ['text/plain; charset=utf-8', query],
    ['application/x-www-form-urlencoded', `query=${encodeURIComponent('mutation { touch }')}`],
    ['text/plain; application/json', query],
  ])('as %s is 415', async (type, body) => {
    const answer = await post(body, { 'content-type': type });
    expect([answer.status, answer.body.errors![0]!.extensions.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });

  test('without a content type is 415', async () => {
    const answer = await send({ method: 'POST', body: new Blob([query]) });
    expect(answer.status).toBe(415);
  });

  const form = () => {
    const data = new FormData();
    data.set('operations', query);
    data.set('map', '{}');
    return data;
  };

  test('as multipart/form-data needs a header that makes browsers ask first (GraphQL over HTTP §6.2)', async () => {
    const bare = await send({ method: 'POST', body: form() });
    expect([bare.status, bare.body.errors![0]!.extensions.code]).toEqual([400, 'BAD_REQUEST']);
    expect(bare.body.errors![0]!.message).toContain('graphql-require-preflight');
    for (const name of ['GraphQL-Require-Preflight', 'Apollo-Require-Preflight', 'X-GraphQL-Yoga-CSRF']) {
      const answer = await send({ method: 'POST', headers: { [name]: '1' }, body: form() });
      expect(answer.body).toEqual({ data: { touch: 'touched' } });
    }
  });

  test.each([
    ['no operations', { map: '{}' }],
    ['operations that are not JSON', { operations: '{' }],
    ['operations that are null, and a map into them', { operations: 'null', map: '{"0":["variables.file"]}', 0: 'x' }],
    ['a map that is no map', { operations: query, map: '{"0":7}', 0: 'x' }],
  ])('multipart/form-data with %s is 400', async (_, fields) => {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.set(name, value);
    const answer = await send({ method: 'POST', headers: { 'graphql-require-preflight': '1' }, body });
    expect([answer.status, answer.body.errors![0]!.extensions.code]).toEqual([400, 'BAD_REQUEST']);
  });

  test.each([
    ['application/json'],
    ['APPLICATION/JSON'],
    ['application/json ; Charset="UTF-8"'],
    ['application/graphql+json'],
  ])('as %s is served, since browsers ask first', async (type) => {
    expect((await post(query, { 'content-type': type })).body).toEqual({ data: { touch: 'touched' } });
  });

  test('as application/graphql is served', async () => {
    expect((await post('{ prompt }', { 'content-type': 'application/graphql' })).body).toEqual({
      data: { prompt: 'at once' },
    });
  });

  test('with a content coding is 415, and the answer says that none is taken (RFC 9110 §15.5.16)', async () => {
    const answer = await post(query, { ...json, 'content-encoding': 'gzip' });
    expect([answer.status, answer.headers.get('accept-encoding')]).toEqual([415, 'identity']);
  });

  test('in a charset other than UTF-8 is 415 (RFC 8259 §8.1)', async () => {
    expect((await post(query, { 'content-type': 'application/json; charset=iso-8859-1' })).status).toBe(415);
  });
});

describe('Accept', () => {
  test('that takes nothing we have is 406 before anything is executed', async () => {
    const answer = await post({ query: 'mutation { touch }' }, { ...json, accept: 'text/csv' });
    expect([answer.status, answer.body.errors![0]!.extensions.code]).toEqual([406, 'NOT_ACCEPTABLE']);
  });

  test('with weights is followed', async () => {
    const answer = await post(
      { query: '{ prompt }' },
      { ...json, accept: 'application/json;q=0.5, application/graphql-response+json' },
    );
    expect(answer.headers.get('content-type')).toBe('application/graphql-response+json; charset=utf-8');
  });

  test('decides, so caches are told', async () => {
    const { headers } = await post({ query: '{ prompt }' });
    expect([headers.get('vary'), headers.get('cache-control')]).toEqual(['Accept', 'no-store']);
  });
});

describe('Batches', () => {
  test('answer each operation in its place, whatever becomes of the others', async () => {
    const { status, body } = await post([
      { query: '{ prompt }' },
      { query: '{ nothing }' },
      { query: '{ double(value: 4) }' },
    ]);
    expect(status).toBe(200);
    expect(body).toMatchObject([
      { data: { prompt: 'at once' } },
      { errors: [{ extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } }] },
      { data: { double: 8 } },
    ]);
  });

  test('of more than maxBatch operations are refused, and none is executed', async () => {
    const { status, body } = await post(Array.from({ length: 4 }, () => ({ query: '{ prompt }' })));
    expect(status).toBe(400);
    expect(body.errors).toMatchObject([
      {
        message: 'A batch may have at most 3 operations; this one has 4.',
        extensions: { code: 'BAD_REQUEST', limit: 'maxBatch', maximum: 3, actual: 4 },
      },
    ]);
  });

  test('of none are refused', async () => {
    expect((await post([])).status).toBe(400);
  });

  test('with entries that are no operations say so in their place', async () => {
    const { body } = await post([7, { query: '{ prompt }' }, [{ query: '{ prompt }' }]]);
    expect(body).toMatchObject([
      { errors: [{ extensions: { code: 'BAD_REQUEST' } }] },
      { data: { prompt: 'at once' } },
      { errors: [{ extensions: { code: 'BAD_REQUEST' } }] },
    ]);
  });

  test('hold no subscriptions, even for those who accept an event stream', async () => {
    const { body } = await post([{ query: 'subscription { count }' }], {
      ...json,
      accept: 'text/event-stream, application/json',
    });
    expect(body).toMatchObject([{ errors: [{ extensions: { code: 'NOT_ACCEPTABLE' } }] }]);
  });

  test('log a line for each operation', async () => {
    const { headers } = await post([{ query: 'query First { prompt }' }, { query: 'query Second { nothing }' }]);
    const requestId = headers.get('x-request-id')!;
    await server.accessOf(requestId);
    const lines = server.log.filter((line) => line.msg === 'operation' && line.requestId === requestId);
    expect(lines).toMatchObject([
      { operation: { name: 'First', type: 'query' } },
      { error: 'GRAPHQL_VALIDATION_FAILED' },
    ]);
  });
});
