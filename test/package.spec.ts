import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pointIntoDist } from '../tools/build/specifiers.ts';
import { runProgram, startProgram, type Outcome, type RunningProgram } from './support/program.ts';
import { installWeir, type Manifest } from './support/tarball.ts';
import { startUpstream, type TestUpstream } from './support/upstream.ts';

const root = resolve(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'weir-package-'));
const team = join(scratch, 'team');
const installed = join(team, 'node_modules/weir');

let shipped: readonly string[];
let manifest: Manifest;

/** Everything that the team has written; nothing of it is in Weir's repository. */
const files: Readonly<Record<string, string>> = {
  'package.json': JSON.stringify({ name: 'team', private: true, type: 'module', dependencies: { weir: '*' } }),
  'gateway.yaml': `modules: ./modules
listen: { port: 0, drainDelay: 0ms }
admin: { port: 0 }
upstreams:
  stock: { endpoints: ["\${env.STOCK_URL:-http://127.0.0.1:9}"] }
routes:
  - { path: '/v1/stock{/*rest}', upstream: stock, rewrite: '/stock{/*rest}' }
`,
  'modules/registry.ts': `import { stock } from './stock/module.ts';

export const modules = [stock];
`,
  'modules/stock/module.ts': `import { batch, defineModule, defineUpstream, indexBy, load, sdl } from 'weir';
import type { paths } from './generated/stock.ts';

export const stock = defineModule({
  name: 'stock',
  owner: 'team-stock',
  upstreams: { stock: defineUpstream<paths>(import.meta, { openapi: './stock.openapi.yaml', health: { path: '/health' } }) },
  typeDefs: sdl(import.meta, './stock.graphql'),
  loaders: ({ clients }) => ({
    left: batch({ maxBatchSize: 50 }, async (skus: readonly string[], { signal }) => {
      const found = indexBy(await clients.stock.get('/stock', { query: { skus }, signal }), (item) => item.sku);
      return skus.map((sku) => found.get(sku)?.left ?? null);
    }),
  }),
  resolvers: {
    Query: { items: (_parent, { skus }) => skus.map((sku) => ({ sku })) },
    Item: { left: load('left', { key: 'sku' }) },
  },
  routes: (route) => [
    route.get('/v1/left/:sku', {
      openapi: { summary: 'What is left of one', schema: { type: 'object' } },
      answer: async ({ params: { sku }, loaders, part }) => ({ sku, left: await part('left', () => loaders.left.load(sku)) }),
    }),
  ],
});
`,
  'modules/stock/stock.graphql': `type Item {
  sku: ID!
  left: Int @upstream(name: "stock", batch: 50)
}

extend type Query {
  items(skus: [ID!]!): [Item!]! @listSize(assumedSize: 50)
}
`,
  'modules/stock/stock.openapi.yaml': `openapi: 3.1.0
info: { title: Stock, version: '1' }
paths:
  /stock:
    get:
      parameters:
        - { name: skus, in: query, required: true, schema: { type: array, items: { type: string } } }
      responses:
        '200':
          description: What is left of each.
          content:
            application/json:
              schema: { type: array, items: { $ref: '#/components/schemas/Stock' } }
components:
  schemas:
    Stock:
      type: object
      required: [sku, left]
      properties: { sku: { type: string }, left: { type: integer } }
`,
};

function weir(...args: readonly string[]): Promise<Outcome> {
  return runProgram([join(installed, manifest.bin.weir), ...args], { cwd: team });
}

beforeAll(() => {
  ({ manifest, shipped } = installWeir(team));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(team, path)), { recursive: true });
    writeFileSync(join(team, path), text);
  }
}, 300_000);

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('The tarball', () => {
  test('has what a team needs: the program, declarations, the schema for editors, licence and changelog', () => {
    const entries = Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? target : Object.values(target),
    );
    const expected = [...entries, manifest.bin.weir].map((path) => path.replace('./', ''));
    expect(shipped).toEqual(
      expect.arrayContaining([...expected, 'README.md', 'LICENSE', 'CHANGELOG.md', 'dist/tools/types.js']),
    );
  });

  test('has nothing else: no sources, tests, examples, nor the modules of the shop', () => {
    const outside = shipped.filter((path) => !/^(dist\/.*|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(path));
    expect(outside).toEqual([]);
    expect(shipped.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))).toEqual([]);
    expect(
      shipped.filter((path) =>
        /^dist\/(resolvers\/(users|catalog|orders|reviews|registry|generated)|examples|test|bench)/.test(path),
      ),
    ).toEqual([]);
  });

  test('names no file by a path that only the repository has', () => {
    for (const path of shipped.filter((name) => /^dist\/.*\.(js|ts)$/.test(name) && name !== 'dist/tools/types.js')) {
      const code = readFileSync(join(installed, path), 'utf8');
      expect(code.match(/\bfrom\s*['"](#[^'"]*|\.[^'"]*\.ts)['"]/g) ?? [], path).toEqual([]);
    }
  });

  test('carries every file that its code reads beside itself', () => {
    const assets = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
      /^(core|schema|upstreams|policies|resolvers|gateway)\/.*\.(graphql|html|json|yaml)$/.test(path),
    );
    const own = assets.filter((path) => !/^resolvers\/[^/]+\//.test(path) && path !== 'schema/schema.graphql');
    expect(own.length).toBeGreaterThan(0);
    expect(shipped).toEqual(expect.arrayContaining(own.map((path) => `dist/${path}`)));
  });

  test('brings the licences of what is bundled into the type generator', () => {
    const licences = readFileSync(join(installed, 'dist/tools/types.LICENSES.txt'), 'utf8');
    for (const name of ['typescript', 'openapi-typescript', '@graphql-codegen/core']) {
      expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'));
    }
  });
});

describe('Specifiers in dist', () => {
  const shippedAs = (path: string) => (path.startsWith('examples/') ? undefined : path.replace(/\.ts$/, '.js'));
  const point = (code: string, exists = true) =>
    pointIntoDist(code, 'upstreams/layers/retry.ts', shippedAs, () => exists);

  test.each([
    [`import { a } from '#core/errors.ts';`, `import { a } from '../../core/errors.js';`],
    [`export * from "../call.ts";`, `export * from "../call.js";`],
    [`import './side.ts';`, `import './side.js';`],
    [`const a = await import('#core/errors.ts');`, `const a = await import('../../core/errors.js');`],
    [`type A = import("./a.ts").A;`, `type A = import("./a.js").A;`],
    [`new URL('./page.html', import.meta.url)`, `new URL('./page.html', import.meta.url)`],
    [`import { z } from 'zod';`, `import { z } from 'zod';`],
  ])('%s becomes %s', (source, emitted) => expect(point(source)).toBe(emitted));

  test('leaves what is no file of the project, since it stands in a text', () => {
    expect(point(`'write: import { a } from './a.ts''`, false)).toBe(`'write: import { a } from './a.ts''`);
  });

  test('refuses an import of what is not shipped', () => {
    expect(() => point(`import { a } from '#examples/a.ts';`)).toThrow(
      'upstreams/layers/retry.ts imports examples/a.ts',
    );
  });
});

// Each command is a process of its own, and some of them run the compiler.
describe('A team in its own repository', { timeout: 60_000 }, () => {
  let upstream: TestUpstream;
  let gateway: RunningProgram | undefined;

  beforeAll(async () => {
    const stock: Readonly<Record<string, number>> = { a1: 7, b2: 0 };
    upstream = await startUpstream((request, response) => {
      const { pathname, searchParams } = new URL(request.url!, 'http://stock');
      const skus = searchParams.getAll('skus');
      response.setHeader('content-type', 'application/json');
      if (pathname === '/health') response.end('{}');
      else response.end(JSON.stringify(skus.filter((sku) => sku in stock).map((sku) => ({ sku, left: stock[sku] }))));
    });
  });

  afterAll(async () => {
    await gateway?.stop();
    await upstream.close();
  });

  test('generates types with weir types, which --check then finds current', async () => {
    expect(await weir('types', '--check')).toMatchObject({ status: 1 });
    expect(await weir('types')).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(join(team, 'modules/stock/generated/stock.ts'), 'utf8')).toContain('"/stock"');
    expect(existsSync(join(team, 'modules/generated/schema.ts'))).toBe(true);
    expect(await weir('types', '--check')).toMatchObject({ status: 0, stderr: '' });
  });

  test('checks configuration, schema and types with weir check', async () => {
    expect(await weir('check')).toMatchObject({ status: 0, stderr: '' });
  });

  test.each([
    ['a path that the service does not have', `clients.stock.get('/stock'`, `clients.stock.get('/stocks'`, '"/stocks"'],
    ['a property that its answers do not have', `(item) => item.sku`, `(item) => item.skew`, `'skew'`],
    ['a loader that does not exist', `load('left'`, `load('right'`, `'right'`],
    ['a field that the schema does not have', `Item: { left:`, `Item: { lift:`, 'Item.lift'],
  ])('is told by weir check of %s', async (_what, right, wrong, says) => {
    const file = join(team, 'modules/stock/module.ts');
    const module = files['modules/stock/module.ts']!;
    expect(module).toContain(right);
    writeFileSync(file, module.replace(right, wrong));
    try {
      const { status, stdout, stderr } = await weir('check');
      expect(status).toBe(1);
      expect(stdout + stderr).toContain(says);
    } finally {
      writeFileSync(file, module);
    }
  });

  test('prints its schema, configuration and version', async () => {
    expect((await weir('schema')).stdout).toContain('items(skus: [ID!]!): [Item!]!');
    expect((await weir('config')).stdout).toContain('stock');
    expect((await weir('--version')).stdout.trim()).toBe(manifest.version);
  });

  test('starts it, and is answered through both doors by one service', async () => {
    gateway = await startProgram([join(installed, manifest.bin.weir), 'start'], {
      cwd: team,
      env: { STOCK_URL: upstream.url },
    });
    const address = String(gateway.listening.address);
    const answer = await fetch(new URL('/graphql', address), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ items(skus: ["a1", "b2", "c3"]) { sku left } }' }),
    });
    expect(await answer.json()).toEqual({
      data: {
        items: [
          { sku: 'a1', left: 7 },
          { sku: 'b2', left: 0 },
          { sku: 'c3', left: null },
        ],
      },
    });
    const passed = await fetch(new URL('/v1/stock?skus=a1', address));
    expect(passed.status).toBe(200);
    expect(await passed.json()).toEqual([{ sku: 'a1', left: 7 }]);
    const coded = await fetch(new URL('/v1/left/b2', address));
    expect([coded.headers.get('x-weir-completed'), await coded.json()]).toEqual(['true', { sku: 'b2', left: 0 }]);
    const calls = upstream.requests.map(({ url }) => url).filter((url) => url.startsWith('/stock'));
    expect(calls).toEqual(['/stock?skus=a1&skus=b2&skus=c3', '/stock?skus=a1', '/stock?skus=b2']);
    expect(await gateway.stop()).toBe(0);
    gateway = undefined;
  });

  test('starts it from code, as a test of its own module would', async () => {
    writeFileSync(
      join(team, 'start.ts'),
      `import { startGateway } from 'weir/gateway';

const gateway = await startGateway({ config: 'gateway.yaml', env: { STOCK_URL: ${JSON.stringify(upstream.url)} } });
const response = await fetch(\`\${gateway.url}/v1/stock?skus=b2\`);
console.log(await response.text());
await gateway.stop();
`,
    );
    const { status, stdout } = await runProgram(['start.ts'], { cwd: team });
    expect(stdout).toContain('[{"sku":"b2","left":0}]');
    expect(status).toBe(0);
  });
});
