import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { inspect } from '#gateway/assembly.ts';
import { contractDrift } from '#gateway/contract/drift.ts';
import { openProject } from '#gateway/project.ts';
import { openapiTypes } from '../../tools/types/generate.ts';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { createProject } from '../cli/project.ts';
import { FileGateway } from '../support/file-gateway.ts';
import { startGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, { readonly $ref?: string; readonly headers?: object }>>;
  readonly security?: readonly object[];
  readonly requestBody?: object;
  readonly summary?: string;
  readonly servers?: readonly object[];
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
}

const stock = `openapi: 3.1.0
info: { title: Stock, version: '1' }
paths:
  /stock:
    get: { operationId: list, responses: { '200': { $ref: '#/components/responses/Items' } } }
    post:
      operationId: add
      x-internal: host.internal
      requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/Item' } } } }
      responses: { '201': { description: Added. } }
  /stock/{sku}:
    parameters: [{ name: sku, in: path, required: true, schema: { type: string } }]
    get: { operationId: one, responses: { '200': { description: One. } } }
  /health:
    get: { responses: { '200': { description: Fine. } } }
components:
  responses:
    Items:
      description: All.
      content: { application/json: { schema: { type: array, items: { $ref: '#/components/schemas/Item' } } } }
  schemas:
    Item:
      type: object
      properties: { sku: { type: string }, parts: { type: array, items: { $ref: '#/components/schemas/Item' } }, mapping: { type: string } }
    Unused: { type: string }
`;

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'weir-openapi-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

/** What is served of this configuration, whose upstream is stock unless it says more. */
async function look(config: object, document = stock) {
  const folder = folderWith({ 'stock.yaml': document });
  const upstreams = { stock: { endpoints: ['http://127.0.0.1:9'], openapi: './stock.yaml' } };
  const project = await openProject({
    config: join(folder, 'gateway.yaml'),
    text: JSON.stringify({ upstreams, ...config }),
  });
  return inspect(project);
}

async function describedBy(config: object, document = stock): Promise<Document> {
  return JSON.parse((await look(config, document)).contracts!.whole.body.toString()) as Document;
}

const pathsOf = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method} ${path}`));

const everything = { path: '/v1/stock{/*rest}', upstream: 'stock', rewrite: '/stock{/*rest}' };

describe('/openapi.json', () => {
  test('has what routes serve of the documents of their services, at the paths that clients use', async () => {
    const document = await describedBy({ routes: [everything] });
    expect(document.openapi).toBe('3.1.0');
    expect(pathsOf(document)).toEqual(['get /v1/stock', 'post /v1/stock', 'get /v1/stock/{sku}']);
    expect(document.paths['/v1/stock/{sku}']!.get!.parameters).toMatchObject([{ name: 'sku', in: 'path' }]);
  });

  test.each<[string, object, string[]]>([
    ['methods', { ...everything, methods: ['GET'] }, ['get /v1/stock', 'get /v1/stock/{sku}']],
    [
      'a path as it is',
      { path: '/stock{/*rest}', upstream: 'stock' },
      ['get /stock', 'post /stock', 'get /stock/{sku}'],
    ],
    ['a parameter of another name', { path: '/s/:id', upstream: 'stock', rewrite: '/stock/:id' }, ['get /s/{sku}']],
    [
      'a parameter that only the route has',
      { path: '/t/:tenant/s', upstream: 'stock', rewrite: '/stock' },
      ['get /t/{tenant}/s', 'post /t/{tenant}/s'],
    ],
    [
      'one of what the document leaves open',
      { path: '/best', upstream: 'stock', rewrite: '/stock/best' },
      ['get /best'],
    ],
  ])('maps %s', async (_, route, paths) => {
    expect(pathsOf(await describedBy({ routes: [route] }))).toEqual(paths);
  });

  test('leaves out a path parameter that the route fills in, and states one that only the route has', async () => {
    const best = { path: '/best', upstream: 'stock', rewrite: '/stock/best' };
    const tenant = { path: '/t/:tenant/s', upstream: 'stock', rewrite: '/stock' };
    const { paths } = await describedBy({ routes: [best, tenant] });
    expect(paths['/best']!.get!.parameters).toEqual([]);
    expect(paths['/t/{tenant}/s']!.get!.parameters).toMatchObject([{ name: 'tenant', in: 'path', required: true }]);
  });

  test('gives an operation to the route that a request would take', async () => {
    const upstreams = {
      stock: { endpoints: ['http://127.0.0.1:9'], openapi: './stock.yaml' },
      other: { endpoints: ['http://127.0.0.1:9'] },
    };
    const narrower = { name: 'narrower', path: '/v1/stock/:sku', methods: ['GET'], upstream: 'other' };
    const document = await describedBy({ upstreams, routes: [everything, narrower] });
    expect(pathsOf(document)).toEqual(['get /v1/stock', 'post /v1/stock', 'get /v1/stock/{sku}']);
    expect(document.paths['/v1/stock/{sku}']!.get!.summary).toBe('Passed on to other');
  });

  test('lists a route without a document as one that is passed on', async () => {
    const upstreams = { old: { endpoints: ['http://127.0.0.1:9'] } };
    const route = { path: '/old/:area{/*rest}', methods: ['GET', 'PUT'], upstream: 'old' };
    const { paths } = await describedBy({ upstreams, routes: [route] });
    expect(Object.keys(paths)).toEqual(['/old/{area}', '/old/{area}/{rest}']);
    expect(Object.keys(paths['/old/{area}/{rest}']!)).toEqual(['get', 'put']);
    expect(paths['/old/{area}/{rest}']!.put).toMatchObject({
      parameters: [{ name: 'area' }, { name: 'rest' }],
      requestBody: { content: { '*/*': {} } },
    });
  });

  test('lists an aggregate, whose answer no document describes, and says of a route that it is to go', async () => {
    const aggregate = {
      path: '/summary/:sku',
      aggregate: { parts: { item: { upstream: 'stock', path: '/stock/{params.sku}', into: 'item' } } },
    };
    const old = { ...everything, deprecated: { since: '2026-01-01T00:00:00Z' } };
    const { paths } = await describedBy({ routes: [aggregate, old] });
    expect(paths['/summary/{sku}']!.get).toMatchObject({
      summary: 'Made of several services',
      parameters: [{ name: 'sku', in: 'path' }],
    });
    expect(paths['/v1/stock']!.get).toMatchObject({ operationId: 'list', deprecated: true });
  });

  test('takes over the components that are referred to, under the name of the upstream', async () => {
    const { components, paths } = await describedBy({ routes: [everything] });
    expect(Object.keys(components.schemas!)).toEqual(['Problem', 'stock.Item']);
    expect(JSON.stringify(components.schemas!['stock.Item'])).toContain('"#/components/schemas/stock.Item"');
    expect(paths['/v1/stock']!.get!.responses['200']).toEqual({ $ref: '#/components/responses/stock.Items' });
    expect(components.responses!['stock.Items']).toMatchObject({ headers: { 'X-Request-Id': {} } });
  });

  test('says nothing of what is internal: servers, extensions, paths that no route leads to', async () => {
    const document = JSON.stringify(
      await describedBy({ routes: [everything] }, `${stock}\nservers: [{ url: 'http://host.internal' }]`),
    );
    for (const secret of ['host.internal', 'x-internal', '/health', '127.0.0.1'])
      expect(document).not.toContain(secret);
  });

  test('has problems of the gateway where the service says nothing of a status', async () => {
    const { paths, components } = await describedBy({ routes: [everything] });
    const { responses } = paths['/v1/stock']!.post!;
    for (const status of ['400', '413', '415', '502', '503', '504'])
      expect(responses[status]).toEqual({ $ref: `#/components/responses/Gateway${status}` });
    expect(components.responses!.Gateway503).toMatchObject({
      description: expect.stringContaining('UPSTREAM_UNAVAILABLE') as string,
      headers: { 'Retry-After': {} },
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    });
  });

  test('has the security schemes of the configuration, by what each route asks for', async () => {
    const { paths, components } = await describedBy({
      auth: { jwt: [{ issuer: 'https://id.example', audience: 'a', jwks: 'https://id.example/jwks' }] },
      consumers: [{ id: 'acme', keys: [hashOf('k')] }],
      routes: [
        { path: '/a', upstream: 'stock', rewrite: '/stock', methods: ['GET'], auth: { scopes: { all: ['s'] } } },
        { path: '/b', upstream: 'stock', rewrite: '/stock', methods: ['GET'], auth: 'none' },
        {
          path: '/c',
          upstream: 'stock',
          rewrite: '/stock',
          methods: ['GET'],
          auth: { mode: 'optional', accept: ['apiKey'] },
        },
      ],
    });
    expect(components.securitySchemes).toMatchObject({
      bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
    });
    expect(paths['/a']!.get!.security).toEqual([{ bearer: ['s'] }, { apiKey: ['s'] }]);
    expect([paths['/b']!.get!.security, paths['/b']!.get!.responses['401']]).toEqual([[], undefined]);
    expect(paths['/c']!.get!.security).toEqual([{}, { apiKey: [] }]);
  });

  test('reads OpenAPI 3.0 as the 3.1 that says the same', async () => {
    const old = stock
      .replace('3.1.0', '3.0.3')
      .replace(
        'sku: { type: string }',
        'sku: { type: string, nullable: true }, left: { type: integer, minimum: 0, exclusiveMinimum: true }',
      );
    const { components } = await describedBy({ routes: [everything] }, old);
    expect(components.schemas!['stock.Item']).toMatchObject({
      properties: { sku: { type: ['string', 'null'] }, left: { type: 'integer', exclusiveMinimum: 0 } },
    });
  });

  test('names each operation once, however many routes lead to it', async () => {
    const also = { ...everything, name: 'also', path: '/v2/stock{/*rest}' };
    const { paths } = await describedBy({ routes: [everything, also] });
    const ids = Object.values(paths).flatMap((operations) =>
      Object.values(operations).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain('list');
  });

  test('of the shop is a document that a generator of clients takes', { timeout: 60_000 }, async () => {
    const config = resolve('examples/shop/gateway.yaml');
    const { contracts } = inspect(await openProject({ config, env: {} }));
    const types = await openapiTypes(contracts!.whole.body.toString(), pathToFileURL(resolve('openapi.json')));
    expect(types).toContain('"/v1/orders/{id}"');
  });

  test('is sent with an ETag, to whom it is meant for, and can be turned off', async () => {
    const open = await startGateway({});
    onTestFinished(() => open.stop());
    const first = await send(`${open.url}/openapi.json`);
    expect([first.status, first.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
    const again = await send(`${open.url}/openapi.json`, { headers: { 'if-none-match': first.headers.etag } });
    expect([again.status, again.text]).toEqual([304, '']);
    const closed = await startGateway({ docs: { enabled: false } });
    onTestFinished(() => closed.stop());
    for (const path of ['/openapi.json', '/docs', '/docs/viewer/start.js'])
      expect((await send(closed.url + path)).status).toBe(404);
    const guarded = await startGateway({ docs: { auth: 'required' } });
    onTestFinished(() => guarded.stop());
    for (const path of ['/openapi.json', '/docs']) expect((await send(guarded.url + path)).status).toBe(401);
  });

  test('changes with a reload', async () => {
    const config = (path: string) => ({
      listen: { port: 0, drainDelay: '0ms' },
      admin: { port: 0 },
      upstreams: { a: { endpoints: ['http://127.0.0.1:9'] } },
      routes: [{ path, upstream: 'a' }],
    });
    const running = await FileGateway.start(config('/one'));
    onTestFinished(() => running.stop());
    const paths = async () => Object.keys((await send(`${running.url}/openapi.json`)).json().paths as object);
    expect(await paths()).toEqual(['/one']);
    await running.change(config('/two'));
    expect(await paths()).toEqual(['/two']);
  });
});

describe('A document that cannot be read', () => {
  test.each([
    ['swagger: "2.0"\npaths: {}', 'its version is 2.0; write OpenAPI 3.0 or 3.1'],
    ['openapi: 3.1.0', 'it has no paths'],
    ['[]', 'it is no OpenAPI document'],
    ['openapi: 3.1.0\npaths: { /a: { $ref: "./a.yaml" } }', 'the reference ./a.yaml leads out of it'],
    ['openapi: 3.1.0\npaths: { /a: { $ref: "#/b" } }', 'the reference #/b leads nowhere'],
  ])('is an error at boot that names it: %s', async (document, wrong) => {
    await expect(look({ routes: [] }, document)).rejects.toThrow(wrong);
    await expect(look({ routes: [] }, document)).rejects.toThrow('The OpenAPI document of upstream stock (');
  });
});

describe('Drift between routes and documents', () => {
  const drift = async (route: object, document = stock) => {
    const { routes } = await look({ routes: [route] }, document);
    return contractDrift(routes);
  };

  test('is a route that leads to nothing the document has', async () => {
    expect(await drift({ path: '/gone', upstream: 'stock' })).toEqual([
      expect.stringMatching(/^The route \/gone .* serves nothing that the OpenAPI document of stock .* has\. Fix: /),
    ]);
  });

  test('is a method that the document does not have there', async () => {
    expect(await drift({ ...everything, methods: ['GET', 'DELETE'] })).toEqual([
      expect.stringContaining('takes DELETE'),
    ]);
    expect(await drift({ ...everything, methods: ['GET', 'HEAD', 'OPTIONS'] })).toEqual([]);
  });

  test('is none where all is said, nor for a route that is not documented on purpose', async () => {
    expect(await drift(everything)).toEqual([]);
    const hidden = { path: '/gone', upstream: 'stock', documented: false };
    expect(await drift(hidden)).toEqual([]);
    expect(pathsOf(await describedBy({ routes: [hidden] }))).toEqual([]);
  });

  test('fails `weir check`, and none passes it', { timeout: 60_000 }, async () => {
    const files = (path: string) => ({
      'gateway.yaml': `upstreams: { stock: { endpoints: [http://127.0.0.1:9], openapi: ./stock.yaml, health: { path: /health } } }
routes: [{ path: ${path}, upstream: stock }]
`,
      'stock.yaml': stock,
    });
    expect(await createProject(files('/stock')).weir('check')).toMatchObject({ status: 0 });
    const { status, stderr } = await createProject(files('/stok')).weir('check');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^error: The route \/stok \(gateway\.yaml:2/)]);
  });
});
