import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProject, type Files, type TestProject } from './project.ts';

const sdl = `extend type Query {
  items(first: Int! = 20): [Item!] @upstream(name: "stock") @listSize(slicingArguments: ["first"])
}

type Item {
  sku: ID!
  left: Int @upstream(name: "stock", batch: 50)
}
`;

/** In JavaScript, so that there is nothing to compile each time. */
const files: Files = {
  'gateway.yaml': `modules: ./modules
upstreams:
  stock: { endpoints: ["http://127.0.0.1:9"], health: { path: /health } }
`,
  'modules/registry.js': `import { batch, defineModule, defineUpstream, load, sdl } from 'weir';

export const modules = [
  defineModule({
    name: 'stock',
    owner: 'team-stock',
    upstreams: { stock: defineUpstream(import.meta) },
    typeDefs: sdl(import.meta, './stock.graphql'),
    loaders: () => ({ left: batch({ maxBatchSize: 50 }, async (skus) => skus.map(() => 7)) }),
    resolvers: { Query: { items: () => [] }, Item: { left: load('left', { key: 'sku' }) } },
  }),
];
`,
  'modules/stock.graphql': sdl,
  'operations/page.graphql': 'query Page($first: Int! = 100) {\n  items(first: $first) {\n    sku\n    left\n  }\n}\n',
};

describe('weir explain FILE', { timeout: 60_000 }, () => {
  test('prints what each field may cost, and connects nothing', async () => {
    expect(await createProject(files).weir('explain', 'operations/page.graphql')).toEqual({
      status: 0,
      stderr: '',
      stdout: `query Page: at most 4 calls; graphql.maxCost is 500

  field   upstream  parents  calls  objects  cost
  items   stock           1      1      100     2
    left  stock         100      2        0     2

  by upstream: stock 3
`,
    });
  });

  test('takes variables, and says which have no value', async () => {
    const project = createProject({
      ...files,
      'v.json': '{ "first": 1000 }',
      'needs.graphql': 'query Needs($first: Int!) { items(first: $first) { sku } }',
    });
    const { stdout } = await project.weir('explain', 'operations/page.graphql', '--variables', 'v.json');
    expect(stdout).toContain('query Page: at most 31 calls');
    expect((await project.weir('explain', 'needs.graphql')).stdout).toContain(
      'without a value: $first; give it by --variables FILE',
    );
  });

  test('prints the same as JSON', async () => {
    const { stdout } = await createProject(files).weir('explain', 'operations/page.graphql', '--json');
    expect(JSON.parse(stdout)).toEqual([
      {
        operation: 'Page',
        type: 'query',
        estimated: 4,
        maxCost: 500,
        unknown: [],
        upstreams: { stock: { estimated: 3 } },
        fields: [
          expect.objectContaining({ path: 'items', field: 'Query.items', calls: 1, objects: 100, cost: 2 }),
          expect.objectContaining({ path: 'items.left', parents: 100, batch: 50, batches: 2, calls: 2, cost: 2 }),
        ],
      },
    ]);
  });

  test('fails for an operation that the gateway would not run', async () => {
    const project = createProject({ ...files, 'gateway.yaml': `${files['gateway.yaml']}graphql: { maxCost: 3 }\n` });
    const { status, stdout } = await project.weir('explain', 'operations/page.graphql');
    expect(status).toBe(1);
    expect(stdout).toContain(
      'refused: The operation may cost 4 calls; at most 3 are allowed. Most of it: items (Query.items) 2',
    );
  });

  test.each([
    ['a file that is not there', ['gone.graphql'], 1, 'gone.graphql: the file does not exist'],
    ['no GraphQL', ['gateway.yaml'], 1, 'gateway.yaml:1:10: Syntax Error'],
    ['what does not fit the schema', ['wrong.graphql'], 1, 'wrong.graphql:1:3: Cannot query field "nothing"'],
    [
      'variables that do not fit',
      ['operations/page.graphql', '--variables', 'wrong.json'],
      1,
      'operations/page.graphql: Variable "$first"',
    ],
    [
      'variables that are no JSON',
      ['operations/page.graphql', '--variables', 'gateway.yaml'],
      1,
      'gateway.yaml: the file is no JSON',
    ],
    [
      'another name',
      ['operations/page.graphql', '--name', 'Other'],
      2,
      'operations/page.graphql has no operation Other',
    ],
    ['no file', [], 2, "'weir explain' needs a file"],
  ])('says what is wrong: %s', async (_, args, expected, says) => {
    const project = createProject({ ...files, 'wrong.graphql': '{ nothing }', 'wrong.json': '{ "first": "x" }' });
    const { status, stderr } = await project.weir('explain', ...args);
    expect(stderr).toContain(says);
    expect(status).toBe(expected);
  });
});

describe('weir check --operations DIR --budget FILE', { timeout: 60_000 }, () => {
  const budget = ['--operations', 'operations', '--budget', 'budget.json'] as const;

  /** A repository whose prices were recorded before `changes` were made. */
  async function changed(changes: Files): Promise<TestProject> {
    // A registry is loaded once in a process, so what was recorded is of a repository of its own.
    const before = createProject(files);
    expect(await before.weir('check', ...budget, '--write-budget')).toMatchObject({ status: 0, stderr: '' });
    const recorded = readFileSync(join(before.folder, 'budget.json'), 'utf8');
    return createProject({ ...files, 'budget.json': recorded, ...changes });
  }

  test('records what operations cost, and is content with that', async () => {
    const project = createProject(files);
    await project.weir('check', ...budget, '--write-budget');
    expect(JSON.parse(readFileSync(join(project.folder, 'budget.json'), 'utf8'))).toEqual({
      'page.graphql#Page': {
        cost: 4,
        fields: {
          'items (Query.items)': { parents: 1, calls: 1, objects: 100, cost: 2 },
          'items.left (Item.left)': { parents: 100, calls: 2, objects: 0, cost: 2 },
        },
      },
    });
    expect(await project.weir('check', ...budget)).toMatchObject({ status: 0, stderr: '' });
  });

  test('fails when a field loses its batch, and names it with both prices', async () => {
    const registry = files['modules/registry.js']!;
    const { status, stderr } = await (
      await changed({
        'modules/stock.graphql': sdl.replace(', batch: 50', ''),
        'modules/registry.js': registry
          .replace('import { batch,', 'import { each,')
          .replace(
            'batch({ maxBatchSize: 50 }, async (skus) => skus.map(() => 7))',
            'each({ concurrency: 8 }, async () => 7)',
          ),
      })
    ).weir('check', ...budget);
    expect(stderr).toContain(
      'error: page.graphql#Page costs 102, where budget.json has 4: items.left (Item.left) takes 100 calls instead of 2. ' +
        'Fix: weir check --operations operations --budget budget.json --write-budget, if that is its price.',
    );
    expect(status).toBe(1);
  });

  test.each([
    [
      'a page that has grown',
      'query Page($first: Int! = 200) { items(first: $first) { sku left } }',
      'items (Query.items) gives 200 objects instead of 100. Fix',
    ],
    [
      'a field that is new',
      'query Page($first: Int! = 100) { items(first: $first) { sku left also: left } }',
      'items.also (Item.left) is new, for 2. Fix',
    ],
  ])('names %s, and not what follows from it', async (_, operation, says) => {
    const { status, stderr } = await (await changed({ 'operations/page.graphql': operation })).weir('check', ...budget);
    expect(stderr).toContain(says);
    expect(status).toBe(1);
  });

  test('takes the variables that stand beside an operation', async () => {
    const { stderr } = await (
      await changed({ 'operations/page.variables.json': '{ "first": 300 }' })
    ).weir('check', ...budget);
    expect(stderr).toContain('gives 300 objects instead of 100');
  });

  test('fails on an operation without a price, and warns of a price without an operation', async () => {
    const { status, stdout, stderr } = await (
      await changed({ 'operations/page.graphql': '{ items(first: 1) { sku } }' })
    ).weir('check', ...budget);
    expect(stderr).toContain('error: page.graphql has no price in budget.json; it is 1.01.');
    expect(stdout).toContain('warning: budget.json has a price for page.graphql#Page, which is gone.');
    expect(status).toBe(1);
  });

  test('fails on an operation that is not valid, or costs more than any may', async () => {
    const project = createProject({
      ...files,
      'gateway.yaml': `${files['gateway.yaml']}graphql: { maxCost: 3 }\n`,
      'operations/wrong.graphql': '{ nothing }',
    });
    const { status, stderr } = await project.weir('check', '--operations', 'operations');
    expect(stderr).toContain(
      'error: page.graphql#Page would be refused: The operation may cost 4 calls; at most 3 are allowed.',
    );
    expect(stderr).toContain('error: operations/wrong.graphql:1:3: Cannot query field "nothing" on type "Query".');
    expect(status).toBe(1);
  });

  describe('of documents that spread fragments of one another', () => {
    const spread = 'query Page($first: Int! = 100) { items(first: $first) { ...Item } }';
    const shared = 'fragment Item on Item {\n  sku\n  ...Left\n}\n';
    const left = 'fragment Left on Item {\n  left\n}\n';

    async function checked(changes: Files): Promise<{ status: number | null; stderr: string; budget: () => string }> {
      const project = createProject({ ...files, 'operations/page.graphql': spread, ...changes });
      const { status, stderr } = await project.weir('check', ...budget, '--write-budget');
      return { status, stderr, budget: () => readFileSync(join(project.folder, 'budget.json'), 'utf8') };
    }

    test('prices each with the fragments that it needs, wherever they stand', async () => {
      const found = await checked({
        'operations/fragments/item.graphql': shared,
        // A file of an operation may have fragments for others.
        'operations/other.graphql': `query Other { items(first: 1) { sku } }\n${left}`,
      });
      expect(found).toMatchObject({ status: 0, stderr: '' });
      expect(JSON.parse(found.budget())).toMatchObject({
        'page.graphql#Page': { cost: 4, fields: { 'items.left (Item.left)': { calls: 2 } } },
        'other.graphql#Other': { cost: 1.01 },
      });
    });

    test('says what is wrong in a fragment where that stands', async () => {
      const { status, stderr } = await checked({
        'operations/item.graphql': `# Of the shop's list.\nfragment Item on Item {\n  sku\n  nothing\n}\n`,
      });
      expect(status).toBe(1);
      expect(stderr).toContain('error: operations/item.graphql:4:3: Cannot query field "nothing" on type "Item".');
    });

    test('takes a fragment of its own before one of another file, and the same one twice for one', async () => {
      const found = await checked({
        'operations/page.graphql': `${spread}\nfragment Item on Item { sku }`,
        'operations/item.graphql': `${shared}${left}`,
        'operations/again.graphql': shared,
        'operations/both.graphql': 'query Both { items(first: 1) { ...Item } }',
      });
      expect(found.stderr).toContain(
        'operations/both.graphql: the fragment Item that it spreads stands in operations/again.graphql:1 and otherwise in operations/page.graphql:2.',
      );
    });

    test('says which fragment nobody has, and which nobody spreads', async () => {
      const missing = await checked({ 'operations/item.graphql': left });
      expect(missing.stderr).toContain('operations/page.graphql:1:60: Unknown fragment "Item".');
      const unused = await checked({ 'operations/page.graphql': `query Page { items(first: 1) { sku } }\n${left}` });
      expect(unused.stderr).toContain('operations/page.graphql:2:1: Fragment "Left" is never used.');
    });

    test('and explains one with those of the files beside it', async () => {
      const project = createProject({
        ...files,
        'operations/page.graphql': spread,
        'operations/item.graphql': shared + left,
      });
      const { status, stdout } = await project.weir('explain', 'operations/page.graphql');
      expect(stdout).toContain('query Page: at most 4 calls');
      expect(status).toBe(0);
    });
  });

  test.each([
    [['--budget', 'budget.json'], '--budget is of operations: name their folder by --operations'],
    [['--operations', 'operations', '--write-budget'], '--write-budget needs --budget, the file to write'],
  ])('%j is no way to call it', async (args, says) => {
    const { status, stderr } = await createProject(files).weir('check', ...args);
    expect([status, stderr.split('\n')[0]]).toEqual([2, `weir: ${says}`]);
  });

  test('names the folder that is not there', async () => {
    const { status, stderr } = await createProject(files).weir('check', '--operations', 'nowhere');
    expect([status, stderr]).toEqual([1, '--operations nowhere: there is no such folder.\n']);
  });
});
