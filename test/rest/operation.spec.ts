import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { inspect } from '#gateway/assembly.ts';
import { openProject } from '#gateway/project.ts';
import { FileGateway } from '../support/file-gateway.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { send, type Sending } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const scripted = new Map<string, { readonly status?: number; readonly body?: unknown }>();
let upstream: TestUpstream;
let gateway: TestGateway;

const documents = resolve(import.meta.dirname, '../fixtures/composed/operations');

const usual: Readonly<Record<string, unknown>> = {
  '/people': [{ id: 'ada', name: 'Ada', mood: 'GLAD' }],
  '/pets': [{ id: 'p1', ownerId: 'ada', weight: 2.5 }],
};

const service = () => ({ endpoints: [upstream.url], retry: { attempts: 0 }, breaker: { failures: 1000 } });

beforeAll(async () => {
  upstream = await startUpstream((request, response, sent) => {
    const path = request.url!.split('?', 1)[0]!;
    const { status = 200, body = request.method === 'POST' ? (JSON.parse(sent) as unknown) : usual[path] } =
      scripted.get(path) ?? {};
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  gateway = await startGateway(
    {
      upstreams: { people: service(), pets: service() },
      graphql: { documents: { mode: 'only', path: documents }, reportCost: true },
      routes: [
        { path: '/people/:id', operation: { document: 'person', result: 'person' } },
        { path: '/whole/:id', operation: 'person' },
        { path: '/name', operation: { document: 'name', result: 'name', errors: { NAME_TAKEN: 409 } } },
        { path: '/names', operation: { document: 'several', name: 'One', result: 'people' } },
        {
          path: '/pets-of/:owner',
          operation: { document: 'several', name: 'Other', variables: { id: '{params.owner}' }, result: 'person.pets' },
        },
        {
          path: '/dear',
          operation: { document: 'person', result: 'person', variables: { id: 'ada' } },
          auth: 'required',
        },
      ],
    },
    { modules: 'test/fixtures/composed' },
  );
});

beforeEach(() => {
  scripted.clear();
  upstream.requests.length = 0;
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const ask = (path: string, sending: Sending = {}) => send(`${gateway.url}${path}`, sending);
const post = (path: string, body: unknown, type = 'application/json') =>
  ask(path, {
    method: 'POST',
    headers: { 'content-type': type },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

describe('Errors of an operation', () => {
  test.each([
    ['/people/ada?first=many', 'Variable "$first"'],
    ['/people/ada?older=perhaps', 'Variable "$older"'],
    ['/names', 'Variable "$ids"'],
  ])('are the client’s where a variable does not fit: %s', async (path, what) => {
    const problem = (await ask(path)).json();
    expect(problem).toMatchObject({ status: 400, code: 'BAD_USER_INPUT' });
    expect(String(problem.detail)).toContain(what);
    expect(upstream.requests).toHaveLength(0);
  });

  test('are 404 where the result is null', async () => {
    const answer = await ask('/people/nobody');
    expect([answer.status, answer.headers['content-type']]).toEqual([404, 'application/problem+json']);
    expect(answer.json()).toMatchObject({ code: 'PART_NOT_FOUND' });
  });

  test('are those of the service where nothing of the result is there', async () => {
    scripted.set('/people', { status: 503 });
    expect((await ask('/people/ada')).json()).toMatchObject({
      status: 502,
      code: 'UPSTREAM_ERROR',
      upstream: 'people',
    });
    scripted.set('/people', { status: 404 });
    expect((await ask('/people/ada')).json()).toMatchObject({ status: 404, code: 'PART_NOT_FOUND' });
    expect((await ask('/whole/ada')).status).toBe(404);
  });

  test('leave null where the rest is there, and the answer says so', async () => {
    scripted.set('/pets', { status: 500 });
    const answer = await ask('/people/ada');
    expect([answer.status, answer.headers['x-weir-completed'], answer.headers['x-weir-missing']]).toEqual([
      200,
      'false',
      'person.pets',
    ]);
    expect(answer.json()).toMatchObject({ name: 'Ada', pets: null });
  });

  test('of a module have the status that the route gives them, and 400 without', async () => {
    const taken = await post('/name', { input: { id: 'ada', name: 'taken' } });
    expect([taken.status, taken.headers['content-type']]).toEqual([409, 'application/problem+json']);
    expect(taken.json()).toEqual({
      type: 'about:blank',
      title: 'That name is taken.',
      status: 409,
      code: 'NAME_TAKEN',
      requestId: taken.headers['x-request-id'],
    });
    expect((await post('/name', { input: { id: 'ada', name: 'odd' } })).json()).toMatchObject({
      status: 400,
      code: 'ODD',
    });
  });

  test.each([
    ['{"input":', 'application/json', 400, 'BAD_REQUEST'],
    ['[]', 'application/json', 400, 'BAD_REQUEST'],
    ['input=1', 'text/plain', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['{}', 'application/json', 400, 'BAD_USER_INPUT'],
    ['{"input":{"id":"a","name":"b","mood":1}}', 'application/json', 400, 'BAD_USER_INPUT'],
  ])('are the client’s where the body is none: %s', async (body, type, status, code) => {
    expect((await post('/name', body, type)).json()).toMatchObject({ status, code });
  });

  test('are those of any route', async () => {
    expect((await ask('/dear')).json()).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    expect((await ask('/people/ada', { method: 'DELETE' })).status).toBe(405);
    expect((await ask('/name')).status).toBe(405);
  });
});

describe('routes[].operation', () => {
  test('answers with what the operation gives, by parameters of path and query', async () => {
    const answer = await ask('/people/ada?first=1&older=true');
    expect([answer.status, answer.headers['x-weir-completed'], answer.headers['cache-control']]).toEqual([
      200,
      'true',
      'no-store',
    ]);
    expect(answer.json()).toEqual({
      id: 'ada',
      name: 'Ada',
      mood: 'GLAD',
      pets: [{ id: 'p1', weight: 2.5 }],
      best: null,
    });
    expect(upstream.requests.map(({ url }) => url)).toEqual(['/people?ids=ada', '/pets?owners=ada&first=1']);
  });

  test('answers with all of data, with a list of one name, and by names of its own', async () => {
    expect((await ask('/whole/ada')).json()).toMatchObject({ person: { id: 'ada' } });
    expect((await ask('/names?ids=ada&ids=bob')).json()).toEqual([{ name: 'Ada' }, null]);
    expect((await ask('/pets-of/ada')).json()).toEqual([{ id: 'p1' }]);
  });

  test('takes variables from the body', async () => {
    const answer = await post('/name', { input: { id: 'ada', name: 'Ada L.', nick: {} } });
    expect([answer.status, answer.json()]).toEqual([200, { id: 'ada', name: 'Ada L.' }]);
    expect(JSON.parse(upstream.requests[0]!.body)).toEqual({ id: 'ada', name: 'Ada L.', nick: { text: 'none' } });
  });

  test('answers HEAD with the head of GET', async () => {
    const answer = await ask('/people/ada', { method: 'HEAD' });
    expect([answer.status, answer.text]).toEqual([200, '']);
  });

  test('is charged what the operation costs, and logged as it', async () => {
    const answer = await ask('/people/ada');
    expect(answer.headers['x-weir-cost']).toBe('2');
    expect(await gateway.accessOf(String(answer.headers['x-request-id']))).toMatchObject({
      route: '/people/:id',
      calls: 2,
      operation: { name: 'PersonWithPets', type: 'query' },
    });
  });

  test('says what it would cost, where that may be asked, and calls nobody for it', async () => {
    const answer = await ask('/people/ada', { headers: { 'x-weir-explain': 'plan' } });
    expect([answer.status, answer.json()]).toMatchObject([
      200,
      { explain: { mode: 'plan', cost: { estimated: expect.any(Number) as unknown } } },
    ]);
    expect(upstream.requests).toHaveLength(0);
  });

  test('stands in /openapi.json, with a schema of what it selects and of what it takes', async () => {
    const { paths, components } = (await ask('/openapi.json')).json() as {
      paths: Record<string, Record<string, object>>;
      components: Record<string, Record<string, object>>;
    };
    expect(paths['/people/{id}']!.get).toMatchObject({
      operationId: 'PersonWithPets',
      tags: ['operations'],
      parameters: [
        { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
        { name: 'first', in: 'query', required: false, schema: { type: 'integer' } },
        { name: 'older', in: 'query', required: false, schema: { type: 'boolean' } },
      ],
      responses: { 404: { $ref: '#/components/responses/Gateway404' } },
    });
    const { responses } = paths['/people/{id}']!.get as {
      responses: Record<string, { content: Record<string, unknown> }>;
    };
    expect(responses['200']!.content['application/json']).toEqual({
      schema: {
        type: 'object',
        required: ['id', 'name', 'mood', 'pets', 'best'],
        properties: {
          id: { type: 'string' },
          name: { type: 'string' },
          mood: { type: ['string', 'null'], enum: ['GLAD', 'SAD', null] },
          pets: {
            description: 'The newest first.',
            type: ['array', 'null'],
            items: {
              type: 'object',
              required: ['id'],
              properties: { id: { type: 'string' }, weight: { type: ['number', 'null'] } },
            },
          },
          best: {
            anyOf: [
              {
                anyOf: [
                  {
                    type: 'object',
                    required: ['__typename', 'called'],
                    properties: { __typename: { const: 'Person' }, called: { type: 'string' } },
                  },
                  {
                    type: 'object',
                    required: ['__typename', 'id'],
                    properties: { __typename: { const: 'Pet' }, id: { type: 'string' } },
                  },
                ],
              },
              { type: 'null' },
            ],
          },
        },
      },
    });
    expect(paths['/name']).toMatchObject({
      post: {
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: {
                required: ['input'],
                properties: { input: { $ref: '#/components/schemas/operations.Naming' } },
              },
            },
          },
        },
      },
    });
    expect(components.schemas!['operations.Naming']).toMatchObject({
      required: ['id', 'name'],
      additionalProperties: false,
      properties: { name: { type: 'string', description: 'What they are called from now on.' }, nick: {} },
    });
    expect(paths['/names']!.get).toMatchObject({
      parameters: [{ name: 'ids', in: 'query', required: true, schema: { type: 'array', items: { type: 'string' } } }],
    });
  });

  test('can be held to that schema', async () => {
    const one = await startGateway(
      {
        upstreams: { people: service(), pets: service() },
        graphql: { documents: { path: documents } },
        routes: [{ path: '/name', operation: 'name', validate: { request: 'enforce' } }],
      },
      { modules: 'test/fixtures/composed' },
    );
    onTestFinished(() => one.stop());
    const answer = await send(`${one.url}/name`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"input":{"id":"a","nick":{"text":1}}}',
    });
    expect(answer.json()).toMatchObject({
      code: 'REQUEST_INVALID',
      errors: expect.arrayContaining([
        { pointer: '#/input/name', detail: 'is missing' },
        { pointer: '#/input/nick/text', detail: 'must be string' },
      ]) as unknown,
    });
  });
});

describe('A reload', () => {
  test('reads operations again, and refuses those that do not fit their route any more', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-operations-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const document = join(folder, 'person.graphql');
    writeFileSync(document, 'query ($id: ID!) { person(id: $id) { name } }');
    const config = {
      upstreams: { people: service(), pets: service() },
      graphql: { documents: { path: folder } },
      routes: [{ path: '/p/:id', operation: { document: 'person', result: 'person' } }],
    };
    const one = await FileGateway.start(config, { modules: 'test/fixtures/composed' });
    onTestFinished(() => one.stop());
    expect((await one.get('/p/ada')).json()).toEqual({ name: 'Ada' });
    writeFileSync(document, 'query ($id: ID!) { person(id: $id) { id mood } }');
    expect(await one.reload()).toMatchObject({ ok: true });
    expect((await one.get('/p/ada')).json()).toEqual({ id: 'ada', mood: 'GLAD' });
    writeFileSync(document, 'query ($who: ID!) { person(id: $who) { id } }');
    expect(JSON.stringify(await one.reload())).toContain('has the parameter id, which no variable takes');
    expect((await one.get('/p/ada')).json()).toEqual({ id: 'ada', mood: 'GLAD' });
  });
});

describe('An operation that does not fit its route is told by `weir check`', () => {
  const inspected = async (route: object, settings: object = { documents: { path: documents } }) => {
    const endpoints = ['http://127.0.0.1:9'];
    const upstreams = { people: { endpoints }, pets: { endpoints } };
    const text = JSON.stringify({ upstreams, graphql: settings, routes: [route] });
    inspect(await openProject({ config: 'test.yaml', text, modules: 'test/fixtures/composed' }));
  };

  test.each<[string, object, string]>([
    ['no such document', { path: '/x', operation: 'gone' }, "names the operation 'gone', which is no trusted document"],
    [
      'one of several',
      { path: '/x', operation: 'several' },
      "which operation of 'several' it is (there is One, Other)",
    ],
    [
      'a parameter that nobody takes',
      { path: '/x/:who', operation: 'person' },
      'has the parameter who, which no variable takes',
    ],
    [
      'a variable that is not there',
      { path: '/x/:id', operation: { document: 'person', variables: { name: '{params.id}' } } },
      'gives the variable $name, which the operation does not have (it has id, first, older)',
    ],
    [
      'a result that is not selected',
      { path: '/x/:id', operation: { document: 'person', result: 'person.age' } },
      'has the result person.age, which the operation does not select',
    ],
    ['a mutation for GET', { path: '/x', methods: ['GET'], operation: 'name' }, 'answers GET by a mutation'],
  ])('%s', async (_, route, message) => {
    await expect(inspected(route)).rejects.toThrow(message);
    await expect(inspected(route)).rejects.toThrow('Fix: ');
  });

  test('a document that is not valid against the schema', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weir-operations-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'old.graphql'), '{ person(id: 1) { shoeSize } }');
    await expect(inspected({ path: '/x', operation: 'old' }, { documents: { path: folder } })).rejects.toThrow(
      /old\.graphql.*shoeSize/,
    );
  });

  test.each([
    [{ path: '/x', operation: { document: 'person', variables: { id: '{bodi.id}' } } }, 'neither of a part'],
    [{ path: '/x', operation: { document: 'person', variables: { id: '{params.id}' } } }, 'the path does not have'],
    [{ path: '/x', operation: 'person', cost: 2 }, 'has no meaning beside operation'],
    [{ path: '/x', operation: 'person', upstream: 'people' }, 'has no meaning beside operation'],
  ])('%j', async (route, message) => {
    await expect(inspected(route)).rejects.toThrow(message);
  });
});

describe('docs/operations-as-routes.md', () => {
  test('shows what the shop has', () => {
    const read = (file: string) => readFileSync(resolve(import.meta.dirname, '../..', file), 'utf8');
    const blocks = fencedBlocks(read('docs/operations-as-routes.md'));
    const { routes } = parse(read('examples/shop/gateway.yaml')) as { routes: object[] };
    const shown = parse(blocks.find(({ info }) => info === 'yaml')!.text) as { routes: object[] };
    expect(routes).toContainEqual(shown.routes[0]);
    const document = blocks.find(({ info }) => info === 'graphql')!.text;
    expect(read('examples/shop/operations/user-orders.graphql')).toBe(document);
  });
});
