import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { run } from '#gateway/cli/run.ts';
import type { Outcome } from '../support/program.ts';

const root = resolve(import.meta.dirname, '../..');

/** The files of a repository, by path. */
export type Files = Readonly<Record<string, string>>;

/** A team's repository, and its terminal. */
export interface TestProject {
  readonly folder: string;
  write(files: Files): void;
  /** `weir ARGS`, typed in the repository. */
  weir(...args: readonly string[]): Promise<Outcome>;
}

/**
 * A repository that has Weir under its name, from this tree. A module is loaded once for a test file, so what is to be
 * loaded anew after a change needs a repository of its own.
 */
export function createProject(files: Files): TestProject {
  const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'));
  const home = process.cwd();
  onTestFinished(() => {
    process.chdir(home);
    rmSync(folder, { recursive: true });
  });
  const project: TestProject = {
    folder,
    write(some) {
      for (const [path, text] of Object.entries(some)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
      }
    },
    async weir(...args) {
      const outcome = { stdout: '', stderr: '' };
      process.chdir(folder);
      const status = await run(args, {
        out: (text) => (outcome.stdout += text),
        err: (text) => (outcome.stderr += text),
      });
      return { status, ...outcome };
    },
  };
  project.write({
    'package.json': JSON.stringify({ name: 'team', private: true, type: 'module' }),
    // Node strips no types below node_modules, hence the detour.
    'weir/package.json': JSON.stringify({ name: 'weir', type: 'module', exports: './index.ts' }),
    'weir/index.ts': `export * from '${join(root, 'resolvers/index.ts')}';\n`,
    ...files,
  });
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync('../weir', join(folder, 'node_modules/weir'));
  // As npm puts it there with Weir; generated types speak of it.
  symlinkSync(join(root, 'node_modules/graphql'), join(folder, 'node_modules/graphql'));
  return project;
}

/** A repository in which all is well: one service, as REST and as GraphQL. */
export const stock = {
  'gateway.yaml': `modules: ./resolvers
upstreams:
  stock: { endpoints: [http://127.0.0.1:9] }
routes:
  - { path: '/v1/stock{/*rest}', upstream: stock }
`,
  'resolvers/registry.ts': `import { stock } from './stock/module.ts';

export const modules = [stock];
`,
  'resolvers/stock/module.ts': `import { batch, defineModule, defineUpstream, load, sdl } from 'weir';

export const stock = defineModule({
  name: 'stock',
  owner: 'team-stock',
  upstreams: { stock: defineUpstream(import.meta, { health: { path: '/health' } }) },
  typeDefs: sdl(import.meta, './stock.graphql'),
  loaders: ({ clients }) => ({
    left: batch({ maxBatchSize: 50 }, async (skus: readonly string[], { signal }) => {
      const left = (await clients.stock.get('/stock', { query: { skus }, signal })) as Record<string, number>;
      return skus.map((sku) => left[sku] ?? null);
    }),
  }),
  resolvers: {
    Query: { item: (_parent, { sku }) => ({ sku }) },
    Item: { left: load('left', { key: 'sku' }) },
  },
});
`,
  'resolvers/stock/stock.graphql': `extend type Query {
  item(sku: ID!): Item
}

type Item {
  sku: ID!
  left: Int @upstream(name: "stock", batch: 50)
}
`,
} as const satisfies Files;
