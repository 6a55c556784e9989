import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send, type Sending } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

// Which document holds where two sides speak differently: that of the clients, on both ways.

const service = `openapi: 3.1.0
info: { title: Orders, version: '1' }
paths:
  /orders:
    get:
      parameters: [{ name: limit, in: query, required: true, schema: { type: integer, maximum: 100 } }]
      responses:
        '200':
          description: All.
          content:
            application/json:
              schema: { type: object, required: [total_cents], additionalProperties: false, properties: { total_cents: { type: integer } } }
    post:
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              additionalProperties: false
              required: [customer_id, source]
              properties: { customer_id: { type: string, minLength: 2 }, source: { type: string } }
      responses: { '201': { description: Placed. } }
`;

const folder = mkdtempSync(join(tmpdir(), 'weir-sides-'));
const file = join(folder, 'orders.yaml');

let upstream: TestUpstream;
let gateway: TestGateway;
let answer: object = {};

beforeAll(async () => {
  writeFileSync(file, service);
  upstream = await startUpstream((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  const checked = { request: 'enforce', response: 'log', sample: 1 };
  gateway = await startGateway(
    {
      upstreams: {
        orders: { endpoints: [upstream.url], openapi: file },
        things: { endpoints: [upstream.url] },
      },
      versions: { orders: { by: { mediaType: 'application/vnd.shop.{version}+json' }, known: ['v2'], default: 'v2' } },
      routes: [
        {
          name: 'yaml',
          path: '/yaml/orders',
          upstream: 'orders',
          rewrite: '/orders',
          validate: checked,
          query: { rename: { pageSize: 'limit' } },
          body: {
            request: { rename: { '/customerId': 'customer_id' }, set: { '/source': 'gateway' }, remove: ['/debug'] },
            response: { rename: { '/total_cents': 'cents' } },
          },
        },
        {
          name: 'media',
          path: '/media/orders',
          upstream: 'orders',
          rewrite: '/orders',
          validate: checked,
          version: { of: 'orders', is: 'v2' },
        },
        {
          name: 'module',
          path: '/module/things{/*rest}',
          upstream: 'things',
          rewrite: '/things{/*rest}',
          transform: 'things-v2-to-v1',
          validate: checked,
        },
      ],
    },
    { modules: 'test/fixtures/versioned' },
  );
});

beforeEach(() => void (upstream.requests.length = 0));

afterAll(async () => {
  await upstream.close();
  rmSync(folder, { recursive: true });
});

const ask = (path: string, sending: Sending = {}) => send(`${gateway.url}${path}`, sending);
const post = (path: string, body: object, type = 'application/json') =>
  ask(path, { method: 'POST', headers: { 'content-type': type }, body: JSON.stringify(body) });

describe('With changes in YAML, a request is held to what clients write', () => {
  test('parameters by their names, before they are renamed', async () => {
    answer = { total_cents: 5 };
    expect((await ask('/yaml/orders?pageSize=10')).json()).toEqual({ cents: 5 });
    expect(upstream.requests[0]!.url).toBe('/orders?limit=10');
    expect((await ask('/yaml/orders?pageSize=1000')).json()).toMatchObject({
      code: 'REQUEST_INVALID',
      errors: [{ in: 'query', parameter: 'pageSize', detail: 'must be <= 100' }],
    });
    expect((await ask('/yaml/orders')).json()).toMatchObject({
      errors: [{ parameter: 'pageSize', detail: 'is missing' }],
    });
  });

  test('fields by their names, with pointers into what was sent', async () => {
    expect((await post('/yaml/orders', { customerId: 'c1', debug: true })).status).toBe(200);
    expect(JSON.parse(upstream.requests[0]!.body)).toEqual({ customer_id: 'c1', source: 'gateway' });
    expect((await post('/yaml/orders', { customerId: 'c' })).json()).toMatchObject({
      errors: [{ pointer: '#/customerId' }],
    });
    expect((await post('/yaml/orders', { customer_id: 'c1' })).json()).toMatchObject({
      errors: [{ pointer: '#/customerId', detail: 'is missing' }, { pointer: '#/customer_id' }],
    });
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('With versions by media type', () => {
  test('a body in that of the version is taken, and any other is a 415 that names them', async () => {
    const order = { customer_id: 'c1', source: 'web' };
    expect((await post('/media/orders', order, 'application/vnd.shop.v2+json')).status).toBe(200);
    expect(upstream.requests[0]!.headers['content-type']).toBe('application/json');
    const refused = await post('/media/orders', order, 'application/xml');
    expect([refused.status, refused.headers.accept]).toEqual([415, 'application/vnd.shop.v2+json, application/json']);
    expect((await post('/media/orders', { source: 1 }, 'application/vnd.shop.v2+json')).status).toBe(400);
  });
});

describe('With a transform of a module, a request is held to the version that it is from', () => {
  test('before the transform sees it', async () => {
    answer = { thing_name: 'box', size_mm: '12' };
    expect((await post('/module/things', { name: 'box', size: 12 })).status).toBeLessThan(300);
    const refused = (await post('/module/things', { name: 'box', size: 'large' })).json();
    expect(refused).toMatchObject({ code: 'REQUEST_INVALID', errors: [{ pointer: '#/size' }] });
    expect((await post('/module/things', { thing_name: 'box' })).json()).toMatchObject({ code: 'REQUEST_INVALID' });
    expect(upstream.requests).toHaveLength(1);
  });
});

describe('An answer is held to what clients read', () => {
  test('and what is wrong is told in their words', async () => {
    answer = { total_cents: 'five' };
    await ask('/yaml/orders?pageSize=1');
    // Sound for the service's own document, which speaks of thing_name alone.
    answer = { thing_name: 'box', size_mm: 'large' };
    await ask('/module/things/1');
    answer = { total_cents: 5 };
    await ask('/media/orders?limit=1');
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    await gateway.stop();
    const drift = gateway.log.filter(({ msg }) => msg === 'contract drift');
    expect(drift).toContainEqual(
      expect.objectContaining({
        route: 'yaml',
        operation: 'GET /orders',
        message: 'response',
        findings: expect.arrayContaining([
          expect.objectContaining({ finding: expect.stringMatching(/^`cents` became string/) as string }),
        ]) as unknown,
      }),
    );
    expect(drift.some(({ route, operation }) => route === 'media' && operation === 'GET /orders')).toBe(false);
    expect(drift).toContainEqual(expect.objectContaining({ route: 'module', operation: 'GET /things/{id}' }));
  });
});
