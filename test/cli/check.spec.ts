import { describe, expect, test } from 'vitest';
import { createProject, stock, type Files } from './project.ts';

const rest: Files = {
  'gateway.yaml': `upstreams:
  stock: { endpoints: [http://127.0.0.1:9] }
routes:
  - { path: /stock, upstream: stock }
`,
};

/** What a check of these files says on stderr, where it fails. */
async function complaint(files: Files, ...args: readonly string[]): Promise<string> {
  const { status, stderr } = await createProject(files).weir('check', ...args);
  expect(status).toBe(1);
  return stderr;
}

/** The same project with one text in a file replaced. */
function changed(file: keyof typeof stock, from: string, to: string): Files {
  expect(stock[file]).toContain(from);
  return { ...stock, [file]: stock[file].replace(from, to) };
}

describe('weir check', { timeout: 60_000 }, () => {
  test('finds a sound project sound, and counts what it has', async () => {
    const project = createProject(stock);
    await project.weir('types');
    expect(await project.weir('check')).toEqual({
      status: 0,
      stdout: 'gateway.yaml is sound: 1 upstream, 1 route, 1 module.\n',
      stderr: '',
    });
  });

  test('takes a configuration and modules from elsewhere', async () => {
    const { 'gateway.yaml': text, ...modules } = stock;
    const project = createProject({ 'deploy/production.yaml': text.replace('modules: ./resolvers\n', ''), ...modules });
    expect(await project.weir('check', '--config', 'deploy/production.yaml', '--modules', 'resolvers')).toMatchObject({
      status: 0,
      stdout: 'deploy/production.yaml is sound: 1 upstream, 1 route, 1 module.\n',
    });
  });

  test('needs no modules, and warns of an upstream whose health nobody asks for, which fails nothing', async () => {
    expect(await createProject(rest).weir('check')).toEqual({
      status: 0,
      stdout:
        'warning: upstreams.stock has no health.path, so it is watched only passively: a sick endpoint is found by the ' +
        'calls that fail at it. Add health: { path: /health } in gateway.yaml or in the module.\n' +
        'gateway.yaml is sound: 1 upstream, 1 route, 0 modules.\n',
      stderr: '',
    });
  });

  test.each([
    ['GET, POST, DELETE', '{ body: {} }', 'POST, DELETE', 200],
    ['HEAD, PATCH', '{ status: 302, headers: { location: /later } }', 'PATCH', 302],
  ])('warns of methods that a fallback cannot stand in for: %s, %s', async (methods, fallback, without, status) => {
    const route = `routes: [{ path: /stock, upstream: stock, methods: [${methods}], fallback: ${fallback} }]\n`;
    const yaml = `upstreams: { stock: { endpoints: [http://127.0.0.1:9], health: { path: /health } } }\n${route}`;
    expect(await createProject({ 'gateway.yaml': yaml }).weir('check')).toEqual({
      status: 0,
      stdout:
        `warning: The route /stock (gateway.yaml:2) has a fallback of status ${status}, which would claim of ${without} ` +
        'that something was done: it stands in for GET and HEAD alone, and the others fail. ' +
        'Give them a route of their own, with a fallback from 400 on or with none.\n' +
        'gateway.yaml is sound: 1 upstream, 1 route, 0 modules.\n',
      stderr: '',
    });
  });

  test.each([
    ['a fallback that says it failed', 'methods: [GET, POST], fallback: { status: 503, body: {} }'],
    ['a route that names no method', 'fallback: { body: {} }'],
  ])('has nothing against %s', async (_, keys) => {
    const yaml =
      'upstreams: { stock: { endpoints: [http://127.0.0.1:9], health: { path: /health } } }\n' +
      `routes: [{ path: /stock, upstream: stock, ${keys} }]\n`;
    const { stdout } = await createProject({ 'gateway.yaml': yaml }).weir('check');
    expect(stdout).toBe('gateway.yaml is sound: 1 upstream, 1 route, 0 modules.\n');
  });

  test('names the field whose fallback does not fit its type, and where SDL says it', async () => {
    expect(
      await complaint(changed('resolvers/stock/stock.graphql', 'batch: 50)', 'batch: 50, fallback: "none")')),
    ).toContain('resolvers/stock/stock.graphql:7: Item.left has a fallback that does not fit: it is no JSON (');
    expect(await complaint(changed('resolvers/stock/stock.graphql', 'batch: 50)', 'batch: 50, fallback: "1.5")'))).toBe(
      'The modules have a problem:\n' +
        'resolvers/stock/stock.graphql:7: Item.left has a fallback that does not fit: it is no Int. ' +
        'Fix: write JSON of the type Int.\n',
    );
  });

  test('tells all problems of a configuration at once, each with its line', async () => {
    const yaml = `upstreams:
  stock: { endpoints: [http://127.0.0.1:9], timeuot: 2s }
routes:
  - { path: /stock, upstream: stocks }
listen: { port: many }
limits: { warnAt: 2 }
`;
    expect((await complaint({ 'gateway.yaml': yaml })).split('\n')).toEqual([
      'The configuration has 4 problems:',
      'gateway.yaml:2:45 upstreams.stock.timeuot: is an unknown key. Fix: did you mean timeout?',
      "gateway.yaml:4:31 routes[0].upstream: names 'stocks' as its upstream, which nothing defines. Fix: did you mean stock?",
      expect.stringMatching(/^gateway\.yaml:5:17 listen\.port: expects a whole number/),
      expect.stringMatching(/^gateway\.yaml:6:19 limits\.warnAt: expects a number from 0 to 1/),
      '',
    ]);
  });

  test('tells the line of a folder of modules that is not there', async () => {
    expect(await complaint({ 'gateway.yaml': 'upstreams: {}\nmodules: ./resolvres\n' })).toBe(
      'The configuration has a problem:\n' +
        'gateway.yaml:2:10 modules: names a folder that does not exist. ' +
        'Fix: correct the path; it starts at the folder of gateway.yaml.\n',
    );
  });

  const module = 'resolvers/stock/module.ts';
  const registry = 'resolvers/registry.ts';

  test.each<[string, Files, string]>([
    [
      'no registry',
      { 'resolvers/module.ts': '' },
      'resolvers: there is no registry.ts. Fix: write one: export const modules = [orders, users].',
    ],
    [
      'a registry without a list',
      { [registry]: 'export const list = [];' },
      `${registry}: does not export a list named 'modules'.`,
    ],
    [
      'something that is no module',
      { [registry]: 'export const modules = [{}];' },
      `${registry}: modules[0] is no module. Fix: list what defineModule gives.`,
    ],
    ['a syntax error in the registry', { [registry]: 'export const modules = [' }, `${registry}:1: cannot be loaded: `],
    [
      'a syntax error in a module',
      { ...stock, [module]: `${stock[module]}\nconst = 1;\n` },
      `${module}:20: cannot be loaded: `,
    ],
    [
      'TypeScript that is more than types',
      { ...stock, [module]: `${stock[module]}\nenum Size { S, M }\n` },
      `${module}:20: cannot be loaded: TypeScript enum is not supported`,
    ],
    [
      'a module that throws',
      { ...stock, [module]: `${stock[module]}\nnowhere.at.all;\n` },
      `${module}:20: cannot be loaded: nowhere is not defined.`,
    ],
    [
      'a module that throws a text',
      { ...stock, [module]: `${stock[module]}\nthrow 'no';\n` },
      `${registry}: cannot be loaded: no.`,
    ],
    [
      'an import of what is not there',
      changed(registry, './stock/module.ts', './stocks/module.ts'),
      `${registry}: cannot be loaded: Cannot find module '`,
    ],
    [
      'an import of a package that is not installed',
      changed(module, `'weir'`, `'wier'`),
      `cannot be loaded: Cannot find package 'wier'`,
    ],
    [
      'an export that is not there',
      changed(registry, '{ stock }', '{ stocks as stock }'),
      `${registry}:1: cannot be loaded: The requested module './stock/module.ts' does not provide an export named 'stocks'.`,
    ],
    [
      'an SDL file that is not there',
      changed(module, './stock.graphql', './stocks.graphql'),
      `${module}:7: cannot be loaded: ENOENT`,
    ],
  ])('says which file keeps modules from being loaded: %s', async (_what, files, says) => {
    const stderr = await complaint({ 'gateway.yaml': 'modules: ./resolvers\n', ...files });
    expect(stderr).toContain('The modules have a problem:\n');
    expect(stderr).toContain(says);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  test('names both modules of a conflict, with file and line of each', async () => {
    const other = `import { defineModule, sdl } from 'weir';

export const shelf = defineModule({ name: 'shelf', owner: 'team-shelf', typeDefs: sdl(import.meta, './shelf.graphql') });
`;
    const stderr = await complaint({
      ...stock,
      'resolvers/registry.ts': `import { shelf } from './shelf/module.ts';
import { stock } from './stock/module.ts';

export const modules = [stock, shelf];
`,
      'resolvers/shelf/module.ts': other,
      'resolvers/shelf/shelf.graphql': 'type Item {\n  shelf: String\n}\n',
    });
    expect(stderr).toContain(
      'resolvers/shelf/shelf.graphql:1: module \'shelf\': There can be only one type named "Item"',
    );
    expect(stderr).toContain("(the other is in module 'stock' at resolvers/stock/stock.graphql:5)");
  });

  test('tells all that does not fit between SDL, resolvers, loaders and upstreams at once', async () => {
    const stderr = await complaint({
      ...stock,
      'resolvers/stock/stock.graphql': `${stock['resolvers/stock/stock.graphql']}
extend type Item {
  shelf: String @upstream(name: "shelves", batch: 10)
}
`,
      'resolvers/stock/module.ts': stock['resolvers/stock/module.ts']
        .replace('maxBatchSize: 50', 'maxBatchSize: 20')
        .replace('Query: { item:', 'Query: { thing:'),
    });
    expect(stderr).toMatch(/^The modules have \d+ problems:\n/);
    for (const name of ['shelves', 'Item.left', 'Query.thing', 'Query.item']) expect(stderr).toContain(name);
  });

  test('names two routes that no request can tell apart, and where each was written', async () => {
    const file = stock['gateway.yaml'].replace(`routes:\n`, `routes:\n  - { path: /left, upstream: stock }\n`);
    const route = `typeDefs: sdl(import.meta, './stock.graphql'),\n  routes: [{ path: '/left', upstream: 'stock' }],`;
    const files = changed('resolvers/stock/module.ts', "typeDefs: sdl(import.meta, './stock.graphql'),", route);
    expect(await complaint({ ...files, 'gateway.yaml': file })).toMatch(
      /^No request can tell the routes '\/left' \(.*module stock.*\) and '\/left' \(.*gateway\.yaml:5.*\) apart\. Make one more specific, or let it say replaces: \/left\.$|^No request can tell the routes '\/left' \(.*gateway\.yaml:5.*\) and '\/left' \(.*module stock.*\) apart\. Make one more specific, or let it say replaces: \/left\.$/m,
    );
  });

  test('names a policy that has no place, and the places there are', async () => {
    const policies = `owner: 'team-stock',\n  policies: { closed: { after: 'nowhere', run() {} } },`;
    expect(await complaint(changed('resolvers/stock/module.ts', "owner: 'team-stock',", policies))).toMatch(
      /^The policy 'closed' of module 'stock' wants to stand beside 'nowhere', which is no stage\. The stages are .*charge\.\n$/,
    );
  });

  test('fails on a field that would take its parent along when a service is down', async () => {
    expect(await complaint(changed('resolvers/stock/stock.graphql', 'left: Int @', 'left: Int! @'))).toContain(
      'error: resolvers/stock/stock.graphql:7: Item.left is answered by ',
    );
  });

  test('warns of a field that costs a call for each of its parents, and what that is below a list', async () => {
    const project = createProject({
      ...stock,
      'resolvers/stock/stock.graphql': `extend type Query {
  items(first: Int! = 20): [Item!] @listSize(slicingArguments: ["first"])
}

type Item {
  sku: ID!
  left: Int @upstream(name: "stock")
}
`,
      'resolvers/stock/module.ts': stock['resolvers/stock/module.ts']
        .replace('import { batch', 'import { each')
        .replace(
          /left: batch[\s\S]*?\n {4}\}\),/,
          `left: each({ concurrency: 8 }, async (sku: string) => Number((await clients.stock.get('/stock/{sku}', { params: { sku } })) as string)),`,
        )
        .replace('Query: { item: (_parent, { sku }) => ({ sku }) }', `Query: { items: () => [{ sku: 'a' }] }`),
    });
    const { status, stdout } = await project.weir('check');
    expect(stdout).toContain(
      "warning: resolvers/stock/stock.graphql:7: Item.left asks 'stock' once for each parent, which below Query.items is 20 calls by default.",
    );
    expect(status).toBe(0);
  });
});

describe('weir check, as a compiler', { timeout: 60_000 }, () => {
  const wrong = (text: string): Files => ({
    ...stock,
    'resolvers/stock/module.ts': `${stock['resolvers/stock/module.ts']}\n${text}\n`,
  });

  test('prints what the compiler says, with the path as seen from here', async () => {
    expect(await complaint(wrong(`export const left: number = 'seven';`))).toBe(
      'error: The modules do not compile:\n' +
        "resolvers/stock/module.ts(20,14): error TS2322: Type 'string' is not assignable to type 'number'.\n",
    );
  });

  test('is strict where the project does not say how strict to be', async () => {
    expect(await complaint(wrong('export const long = (names: string[]): number => names[0].length;'))).toContain(
      "resolvers/stock/module.ts(20,50): error TS2532: Object is possibly 'undefined'.",
    );
  });

  test('compiles as the tsconfig.json of the project says', async () => {
    const tsconfig = JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'esnext',
        strict: false,
        allowImportingTsExtensions: true,
        noEmit: true,
      },
      include: ['resolvers'],
    });
    const sound = await createProject({
      ...wrong('export const left: number = null;'),
      'tsconfig.json': tsconfig,
    }).weir('check');
    expect(sound).toMatchObject({ status: 0, stderr: '' });
  });

  test('has nothing to compile where modules are JavaScript', async () => {
    const javascript = {
      'gateway.yaml': 'modules: ./modules\n',
      'modules/registry.js': `import { defineModule } from 'weir';\n\nexport const modules = [defineModule({ name: 'js', owner: 'team' })];\n`,
    };
    const { status, stdout, stderr } = await createProject(javascript).weir('check');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('0 upstreams, 0 routes, 1 module.');
  });

  test('tells errors of every kind in one run', async () => {
    const files = {
      ...wrong(`export const left: number = 'seven';`),
      'resolvers/stock/stock.graphql': stock['resolvers/stock/stock.graphql'].replace('left: Int @', 'left: Int! @'),
      'main.graphql': 'type Query {\n  shelf: String\n}\n',
    };
    const stderr = await complaint(files, '--production', '--against', 'main.graphql');
    expect(stderr.match(/^error: .{12}/gm)).toEqual([
      ...Array<string>(3).fill('error: upstreams.st'),
      'error: The route /v',
      'error: resolvers/st',
      'error: breaking for',
      'error: The modules ',
    ]);
  });
});
