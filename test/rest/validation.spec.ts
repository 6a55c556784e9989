import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { inspect } from '#gateway/assembly.ts';
import { openProject } from '#gateway/project.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send, type Sending } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const document = `openapi: 3.1.0
info: { title: Orders, version: '1' }
paths:
  /orders:
    get:
      parameters:
        - { name: first, in: query, schema: { type: integer, minimum: 1, maximum: 100 } }
        - { name: ids, in: query, explode: false, schema: { type: array, maxItems: 3, items: { type: integer } } }
        - { name: tag, in: query, schema: { type: array, items: { enum: [new, old] } } }
        - { name: filter, in: query, content: { application/json: { schema: { type: object, required: [state] } } } }
        - { name: exact, in: query, schema: { type: boolean } }
      responses: { '200': { description: All. } }
    post:
      parameters: [{ $ref: '#/components/parameters/Key' }]
      requestBody:
        required: true
        content:
          application/json: { schema: { $ref: '#/components/schemas/Order' } }
          text/csv: {}
      responses: { '201': { description: Placed. } }
  /orders/latest:
    get: { responses: { '200': { description: The latest. } } }
  /orders/{id}:
    parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
    get: { responses: { '200': { description: One. } } }
    patch:
      requestBody: { content: { application/merge-patch+json: { schema: { type: object, minProperties: 1 } } } }
      responses: { '200': { description: One. } }
components:
  parameters:
    Key: { name: Idempotency-Key, in: header, required: true, schema: { type: string, format: uuid } }
  schemas:
    Order:
      type: object
      additionalProperties: false
      required: [customer, lines]
      properties:
        customer: { type: string, minLength: 1 }
        state: { enum: [open, paid] }
        lines: { type: array, minItems: 1, items: { $ref: '#/components/schemas/Line' } }
    Line:
      type: object
      required: [sku]
      properties: { sku: { type: string }, qty: { type: integer, minimum: 1 }, parts: { type: array, items: { $ref: '#/components/schemas/Line' } } }
`;

const folder = mkdtempSync(join(tmpdir(), 'weir-validation-'));
const file = join(folder, 'orders.yaml');

let upstream: TestUpstream;
let gateway: TestGateway;

const config = (validate: object, route: object = {}) => ({
  upstreams: { orders: { endpoints: [upstream.url], openapi: file } },
  routes: [
    { name: 'orders', path: '/v1/orders{/*rest}', upstream: 'orders', rewrite: '/orders{/*rest}', validate, ...route },
  ],
});

beforeAll(async () => {
  writeFileSync(file, document);
  upstream = await startUpstream((_request, response) => void response.end('{}'));
  gateway = await startGateway(config({ request: 'enforce' }));
});

beforeEach(() => void (upstream.requests.length = 0));

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  rmSync(folder, { recursive: true });
});

const key = { 'idempotency-key': '8e03978e-40d5-43e8-bc93-6894a57f9324' };
const json = { ...key, 'content-type': 'application/json' };
const order = { customer: 'acme', lines: [{ sku: 'a', qty: 1 }] };

const ask = (path: string, sending: Sending = {}) => send(`${gateway.url}/v1/orders${path}`, sending);
const post = (body: unknown, headers: Record<string, string> = json) =>
  ask('', { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) });

describe('Requests to a route that says `validate: { request: enforce }`', () => {
  test.each([
    '',
    '/',
    '?first=10',
    '?ids=1,2,3',
    '?tag=new&tag=old',
    '?filter={"state":"x"}',
    '?exact=true',
    '?unknown=1',
    '/7',
    '/latest',
  ])('pass where the document allows them: GET %s', async (path) => {
    expect((await ask(path.replaceAll('"', '%22'))).status).toBe(200);
    expect(upstream.requests).toHaveLength(1);
  });

  test.each([
    ['?first=0', { in: 'query', parameter: 'first', detail: 'must be >= 1' }],
    ['?first=ten', { in: 'query', parameter: 'first', detail: 'must be integer' }],
    ['?first=1&first=2', { in: 'query', parameter: 'first' }],
    ['?first=', { in: 'query', parameter: 'first' }],
    ['?ids=1,x', { in: 'query', parameter: 'ids', pointer: '#/1', detail: 'must be integer' }],
    ['?ids=1,2,3,4', { in: 'query', parameter: 'ids' }],
    ['?tag=new&tag=odd', { in: 'query', parameter: 'tag', pointer: '#/1', detail: 'must be one of new, old' }],
    ['?filter=x', { in: 'query', parameter: 'filter' }],
    ['?filter=%7B%7D', { in: 'query', parameter: 'filter' }],
    ['?exact=maybe', { in: 'query', parameter: 'exact', detail: 'must be boolean' }],
    ['/seven', { in: 'path', parameter: 'id', detail: 'must be integer' }],
  ])('are refused for a parameter, by its name: GET %s', async (path, fault) => {
    const answer = await ask(path);
    expect([answer.status, answer.headers['content-type']]).toEqual([400, 'application/problem+json']);
    expect(answer.json()).toMatchObject({ code: 'REQUEST_INVALID', errors: [fault] });
    expect(upstream.requests).toEqual([]);
  });

  test('are told of all parameters that are wrong at once', async () => {
    const { errors } = (await ask('?first=0&ids=x')).json();
    expect(errors).toMatchObject([{ parameter: 'first' }, { parameter: 'ids' }]);
  });

  test('are refused for a header that is missing or wrong', async () => {
    const { 'idempotency-key': _, ...without } = json;
    expect((await post(order, without)).json()).toMatchObject({
      errors: [{ in: 'header', parameter: 'Idempotency-Key', detail: 'is missing' }],
    });
    expect((await post(order, { ...json, 'idempotency-key': 'x' })).json()).toMatchObject({
      errors: [{ in: 'header', parameter: 'Idempotency-Key', detail: 'must match format "uuid"' }],
    });
  });

  test('pass with a body as the document has it, byte for byte', async () => {
    const text = JSON.stringify(order, undefined, 2);
    expect((await post(text)).status).toBe(200);
    expect(upstream.requests[0]!.body).toBe(text);
  });

  test.each<[string, unknown, string, string]>([
    ['a member that is missing', { customer: 'a' }, '#/lines', 'is missing'],
    ['a member of another type', { ...order, customer: 7 }, '#/customer', 'must be string'],
    ['a member that nobody knows', { ...order, 'a/b~c': 1 }, '#/a~1b~0c', 'is not known here'],
    ['a value that is not one of those listed', { ...order, state: 'lost' }, '#/state', 'must be one of open, paid'],
    ['an item of a list', { ...order, lines: [{ sku: 'a' }, { sku: 'b', qty: 0 }] }, '#/lines/1/qty', 'must be >= 1'],
    [
      'what a schema that refers to itself holds',
      { ...order, lines: [{ sku: 'a', parts: [{}] }] },
      '#/lines/0/parts/0/sku',
      'is missing',
    ],
    ['a lone surrogate', '{"customer":"a","lines":[{"sku":"a"}],"\\ud800":1}', '#/%EF%BF%BD', 'is not known here'],
    ['what is no JSON', '{', '#', 'The body is not JSON.'],
    ['nothing', '', '#', 'The body is missing.'],
  ])('are refused for %s, by its JSON Pointer (RFC 6901 §6)', async (_, body, pointer, detail) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'REQUEST_INVALID', errors: [{ pointer, detail }] });
    expect(upstream.requests).toEqual([]);
  });

  test('are told of everything that is wrong with a body, and of no value in it', async () => {
    const answer = await post({ customer: 'hunter2', state: 'hunter2', lines: [] });
    expect(answer.json().errors).toHaveLength(2);
    expect(answer.text).not.toContain('hunter2');
  });

  test('get a short answer for a long list of errors', async () => {
    const lines = Array.from({ length: 400 }, () => ({}));
    expect((await post({ ...order, lines })).json().errors).toHaveLength(20);
    const longer = Array.from({ length: 20_000 }, () => ({}));
    expect((await post({ ...order, lines: longer })).json().errors).toHaveLength(1);
  });

  test('are checked in a long body that would pass as a stream otherwise', async () => {
    const lines = Array.from({ length: 10_000 }, () => ({ sku: 'a' }));
    expect((await post({ ...order, lines })).status).toBe(200);
    expect(upstream.requests[0]!.body.length).toBeGreaterThan(64 * 1024);
    expect((await post({ ...order, lines: [...lines, {}] })).json()).toMatchObject({
      errors: [{ pointer: '#/lines/10000/sku' }],
    });
  });

  test('are not brought down by a body that is nested deep', async () => {
    const deep = `${'{"sku":"a","parts":['.repeat(20_000)}${']}'.repeat(20_000)}`;
    const answer = await post(`{"customer":"a","lines":[${deep}]}`);
    expect([answer.status, answer.json().code]).toEqual([400, 'REQUEST_INVALID']);
  });

  test('are refused for a content type that the document does not have, with those that it has (RFC 9110 §15.5.16)', async () => {
    for (const type of ['text/plain', 'application/xml']) {
      const answer = await post('x', { ...key, 'content-type': type });
      expect([answer.status, answer.json().code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
      expect(answer.headers.accept).toBe('application/json, text/csv');
    }
    expect((await post(order, key)).status).toBe(415);
    expect((await post('a,b', { ...key, 'content-type': 'text/csv; charset=utf-8' })).status).toBe(200);
    const merge = { 'content-type': 'application/merge-patch+json' };
    expect((await ask('/1', { method: 'PATCH', headers: merge, body: '{"a":1}' })).status).toBe(200);
    expect((await ask('/1', { method: 'PATCH', headers: merge, body: '{}' })).status).toBe(400);
  });

  test('are refused for a path or a method that the document does not have; HEAD is GET', async () => {
    expect((await ask('/1/lines')).json()).toMatchObject({ status: 404, code: 'ROUTE_NOT_FOUND' });
    const answer = await ask('/1', { method: 'DELETE' });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, PATCH']);
    expect((await ask('/1', { method: 'HEAD' })).status).toBe(200);
    expect((await ask('/x', { method: 'HEAD' })).status).toBe(400);
  });
});

describe('Requests to a route that says less', () => {
  test('pass unchecked where it says nothing, or off', async () => {
    for (const validate of [undefined, { request: 'off' }]) {
      const off = await startGateway(config(validate as object));
      onTestFinished(() => off.stop());
      expect((await send(`${off.url}/v1/orders?first=0`)).status).toBe(200);
    }
  });

  test('pass and are counted where it says log', async () => {
    const log = await startGateway(config({ request: 'log' }));
    onTestFinished(() => log.stop());
    for (const path of ['?first=0', '?first=5', '/1/lines'])
      expect((await send(`${log.url}/v1/orders${path}`)).status).toBe(200);
    const metrics = await (await fetch(`${log.adminUrl}/metrics`)).text();
    expect(metrics).toContain(
      'weir_contract_drift_total{http_route="orders",weir_message="request",weir_contract_place="query first"} 1',
    );
    await log.gateway.stop();
    expect(log.log.filter(({ msg }) => msg === 'contract drift')).toMatchObject([
      {
        route: 'orders',
        operation: 'GET /orders',
        checked: 2,
        findings: [{ finding: '`query first` must be >= 1, 50 %', count: 1 }],
      },
      { operation: 'GET', findings: [{ finding: '`path` is not documented, 100 %' }] },
    ]);
  });
});

describe('A route that cannot be validated', () => {
  const inspected = async (text: string | undefined) => {
    if (text !== undefined) writeFileSync(join(folder, 'bad.yaml'), text);
    const upstreams = {
      orders: { endpoints: ['http://127.0.0.1:9'], ...(text !== undefined && { openapi: join(folder, 'bad.yaml') }) },
    };
    const routes = [{ path: '/orders', upstream: 'orders', validate: { request: 'enforce' } }];
    return inspect(await openProject({ config: 'test.yaml', text: JSON.stringify({ upstreams, routes }) }));
  };

  test('is a problem at boot: its upstream has no document', async () => {
    await expect(inspected(undefined)).rejects.toThrow('its upstream orders has no OpenAPI document');
  });

  test('is a problem at boot: a schema of the document cannot be used', async () => {
    const bad = document.replace('minLength: 1', 'minLength: one');
    await expect(inspected(bad)).rejects.toThrow(/bad\.yaml: a schema of POST \/orders cannot be used/);
  });
});
