import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { inspect } from '#gateway/assembly.ts';
import { contractDrift } from '#gateway/contract/drift.ts';
import { openProject } from '#gateway/project.ts';
import { createProject } from '../cli/project.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';

interface Document {
  readonly info: { readonly title: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
}

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<
    Record<
      string,
      { readonly content: Readonly<Record<string, { readonly schema: object }>>; readonly headers: object }
    >
  >;
  readonly deprecated?: boolean;
  readonly security?: object[];
}

const folder = mkdtempSync(join(tmpdir(), 'weir-versions-'));

const stock = `openapi: 3.1.0
info: { title: Stock, version: '1' }
paths:
  /stock:
    get:
      parameters:
        - { name: limit, in: query, schema: { type: integer } }
        - { name: tenant, in: query, required: true, schema: { type: string } }
        - { name: X-Version, in: header, required: true, schema: { type: string } }
        - { name: X-Debug, in: header, schema: { type: string } }
      responses:
        '200':
          description: All.
          headers: { X-Shard: { schema: { type: string } }, X-Page: { schema: { type: string } } }
          content:
            application/json:
              schema: { type: object, required: [lines], properties: { lines: { type: array, items: { $ref: '#/components/schemas/Line' } } } }
        '404':
          description: None.
          content: { application/json: { schema: { $ref: '#/components/schemas/Line' } } }
    post:
      requestBody:
        content:
          application/json: { schema: { $ref: '#/components/schemas/New' } }
      responses: { '201': { description: Added. } }
components:
  schemas:
    Line:
      type: object
      required: [qty, internal_notes]
      properties: { qty: { type: integer }, internal_notes: { type: string }, maker: { $ref: '#/components/schemas/Maker' } }
    Maker: { type: object, properties: { maker_name: { type: string } } }
    New:
      allOf:
        - { type: object, required: [customer_id, source], properties: { customer_id: { type: string }, source: { type: string } } }
        - { type: object, properties: { note: { type: string } } }
`;

const endpoints = ['http://127.0.0.1:9'];
const upstreams = { stock: { endpoints, openapi: './stock.yaml' }, plain: { endpoints } };

beforeAll(() => writeFileSync(join(folder, 'stock.yaml'), stock));
afterAll(() => rmSync(folder, { recursive: true }));

async function look(config: object) {
  const text = JSON.stringify({ upstreams, ...config });
  return inspect(await openProject({ config: join(folder, 'gateway.yaml'), text }));
}

async function describedBy(config: object, version?: string): Promise<Document> {
  const { contracts } = await look(config);
  const sent = version === undefined ? contracts!.whole : contracts!.versions.get(version)!;
  return JSON.parse(sent.body.toString()) as Document;
}

const route = (version: string, of: string, rest: object = {}) => ({
  name: `stock-${version}`,
  path: `/${version}/stock`,
  methods: ['GET'],
  upstream: 'stock',
  rewrite: '/stock',
  version: { of, is: version },
  ...rest,
});

const byPath = {
  versions: { stock: { by: 'path', known: ['v1', 'v2'], default: 'v1' } },
  routes: [
    route('v1', 'stock', { deprecated: { since: '2026-01-01' } }),
    route('v2', 'stock'),
    { path: '/other', methods: ['GET'], upstream: 'plain' },
  ],
};

describe('The document of one version', () => {
  test('has what is of that version and what is of none', async () => {
    const whole = await describedBy(byPath);
    expect(Object.keys(whole.paths)).toEqual(['/other', '/stock', '/v1/stock', '/v2/stock']);
    const [v1, v2] = [await describedBy(byPath, 'v1'), await describedBy(byPath, 'v2')];
    expect(Object.keys(v1.paths)).toEqual(['/other', '/stock', '/v1/stock']);
    expect(v1.paths['/v1/stock']!.get).toMatchObject({ deprecated: true });
    expect(Object.keys(v2.paths)).toEqual(['/other', '/v2/stock']);
    expect(v2.info.title).toBe('API (v2)');
  });

  test('has problems, headers of limits and security schemes of its own', async () => {
    const auth = {
      jwt: [{ issuer: 'https://id.example', audience: 'a', jwks: 'https://id.example/jwks' }],
      default: 'required',
    };
    for (const version of ['v1', 'v2']) {
      const { paths, components } = await describedBy({ ...byPath, auth }, version);
      expect(Object.keys(components.headers!)).toContain('RateLimit');
      expect(components.schemas).toHaveProperty('Problem');
      expect(components.securitySchemes).toHaveProperty('bearer');
      const { responses, security } = paths[`/${version}/stock`]!.get!;
      expect(security).toEqual([{ bearer: [] }]);
      expect(responses['401']).toEqual({ $ref: '#/components/responses/Gateway401' });
      expect(responses['200']!.headers).toHaveProperty('RateLimit-Policy');
    }
  });

  test('tells versions of one path apart by the header that names them', async () => {
    const same = (version: string) => route(version, 'api', { path: '/stock' });
    const config = {
      versions: { api: { by: { header: 'x-api-version' }, known: ['v1', 'v2'], default: 'v1' } },
      routes: [same('v1'), same('v2')],
    };
    const header = async (version: string) => {
      const { paths } = await describedBy(config, version);
      return paths['/stock']!.get!.parameters!.find(({ name }) => name === 'x-api-version');
    };
    expect(await header('v1')).toEqual({
      name: 'x-api-version',
      in: 'header',
      required: false,
      schema: { const: 'v1' },
    });
    expect(await header('v2')).toEqual({
      name: 'x-api-version',
      in: 'header',
      required: true,
      schema: { const: 'v2' },
    });
    const { routes } = await look(config);
    expect(contractDrift(routes)).toEqual([]);
  });

  test('has answers in the media type of the version, and takes bodies in it', async () => {
    const same = (version: string) => route(version, 'api', { path: '/stock', methods: ['GET', 'POST'] });
    const config = {
      versions: { api: { by: { mediaType: 'application/vnd.shop.{version}+json' }, known: ['v1', 'v2'] } },
      routes: [same('v1'), same('v2')],
    };
    const { paths } = await describedBy(config, 'v2');
    expect(Object.keys(paths['/stock']!.get!.responses['200']!.content)).toEqual(['application/vnd.shop.v2+json']);
    expect(Object.keys(paths['/stock']!.post!.requestBody!.content)).toEqual([
      'application/vnd.shop.v2+json',
      'application/json',
    ]);
  });

  test('is sent by its name, chosen on the page, and printed by `weir openapi --of`', { timeout: 60_000 }, async () => {
    const gateway: TestGateway = await startGateway({
      upstreams: { stock: { endpoints }, plain: { endpoints } },
      ...byPath,
    });
    onTestFinished(() => gateway.stop());
    const v2 = await send(`${gateway.url}/openapi.json?version=v2`);
    expect(Object.keys(v2.json().paths as object)).toEqual(['/other', '/v2/stock']);
    const again = await send(`${gateway.url}/openapi.json?version=v2`, {
      headers: { 'if-none-match': v2.headers.etag },
    });
    expect(again.status).toBe(304);
    for (const path of ['/openapi.json?version=v3', '/docs?version=v3', '/openapi.json?version=v2&version=v1']) {
      const unknown = await send(gateway.url + path);
      expect([unknown.status, unknown.headers['content-type']]).toEqual([404, 'application/problem+json']);
      expect(unknown.json()).toMatchObject({ code: 'ROUTE_NOT_FOUND', versions: ['v1', 'v2'] });
      expect(unknown.json().requestId).toBe(unknown.headers['x-request-id']);
    }
    const page = await send(`${gateway.url}/docs?version=v2`);
    expect(page.text).toContain('data-document="/openapi.json?version=v2"');
    expect(page.text).toContain('<a href="/docs?version=v1">v1</a>');
    const project = createProject({
      'gateway.yaml': JSON.stringify({ upstreams: { stock: { endpoints }, plain: { endpoints } }, ...byPath }),
    });
    const printed = await project.weir('openapi', '--of', 'v2');
    expect(JSON.parse(printed.stdout)).toEqual(v2.json());
    expect(await project.weir('openapi', '--of', 'v3')).toMatchObject({
      status: 1,
      stderr: 'There is no version v3: known are v1, v2.\n',
    });
  });
});

describe('What YAML changes on the way is changed in the document', () => {
  const changed = {
    path: '/v2/stock',
    upstream: 'stock',
    rewrite: '/stock',
    headers: {
      request: { rename: { 'x-client-version': 'x-version' }, remove: ['x-debug'] },
      response: { remove: ['x-shard'], rename: { 'x-page': 'x-sheet' }, set: { 'x-own': 'yes' } },
    },
    query: { rename: { pageSize: 'limit' }, set: { tenant: '{consumer.id}' } },
    body: {
      request: { rename: { '/customerId': 'customer_id' }, set: { '/source': 'gateway' } },
      response: {
        rename: { '/lines/*/qty': 'quantity', '/lines/*/maker/maker_name': 'name' },
        remove: ['/lines/*/internal_notes'],
        set: { '/lines/*/seen': true, '/by': '{consumer.id}' },
      },
    },
  };

  test('parameters have the names that clients write, without those that the gateway writes', async () => {
    const { paths } = await describedBy({ routes: [changed] });
    expect(paths['/v2/stock']!.get!.parameters).toEqual([
      { name: 'pageSize', in: 'query', schema: { type: 'integer' } },
      { name: 'x-client-version', in: 'header', required: true, schema: { type: 'string' } },
    ]);
  });

  test('bodies of requests have the fields that clients write', async () => {
    const { paths } = await describedBy({ routes: [changed] });
    expect(paths['/v2/stock']!.post!.requestBody!.content['application/json']!.schema).toEqual({
      allOf: [
        { type: 'object', required: ['customerId'], properties: { customerId: { type: 'string' } } },
        { type: 'object', properties: { note: { type: 'string' } } },
      ],
    });
  });

  test('answers have the fields and headers that clients read, those of errors as they are', async () => {
    const { paths, components } = await describedBy({ routes: [changed] });
    const { responses } = paths['/v2/stock']!.get!;
    expect(responses['200']!.content['application/json']!.schema).toEqual({
      type: 'object',
      required: ['lines'],
      properties: {
        lines: {
          type: 'array',
          items: {
            type: 'object',
            required: ['quantity'],
            properties: {
              quantity: { type: 'integer' },
              maker: { type: 'object', properties: { name: { type: 'string' } } },
              seen: { const: true },
            },
          },
        },
        by: { type: 'string' },
      },
    });
    expect(Object.keys(responses['200']!.headers)).toEqual(expect.arrayContaining(['x-sheet', 'x-own']));
    expect(Object.keys(responses['200']!.headers)).not.toContain('X-Shard');
    expect(responses['404']!.content['application/json']!.schema).toEqual({ $ref: '#/components/schemas/stock.Line' });
    expect(components.schemas!['stock.Line']).toMatchObject({ required: ['qty', 'internal_notes'] });
  });

  test('and another route to the same service is described as it is', async () => {
    const plain = { path: '/v1/stock', upstream: 'stock', rewrite: '/stock' };
    const { paths } = await describedBy({ routes: [changed, plain] });
    expect(paths['/v1/stock']!.get!.parameters!.map(({ name }) => name)).toEqual([
      'limit',
      'tenant',
      'X-Version',
      'X-Debug',
    ]);
  });
});
