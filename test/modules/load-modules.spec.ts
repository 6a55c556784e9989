import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadModules } from '#resolvers/load-modules.ts';
import { ModuleError } from '#resolvers/module-error.ts';
import { defineModule } from '#resolvers/module.ts';

/** A folder with these files. */
async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-modules-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

const module = (name: string, upstreams: readonly string[] = []): string =>
  `{ name: '${name}', owner: 'team', upstreams: { ${upstreams.map((upstream) => `${upstream}: {}`).join()} }, openapi: {}, documents: [], resolvers: {}, routes: [], transforms: [], policies: [] }`;

/** What keeps a registry of this text from being loaded. */
async function problemsOf(registry: string, file = 'registry.ts'): Promise<readonly string[]> {
  const folder = await folderWith({ [file]: registry });
  const error = await loadModules(folder).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ModuleError)) throw new Error(`no ModuleError, but ${String(error)}`);
  expect(error.message).toContain(error.problems[0]?.message);
  return error.problems.map(({ message }) => message);
}

describe('the registry', () => {
  it.each(['registry.ts', 'registry.js', 'registry.mjs'])('may be %s', async (file) => {
    const folder = await folderWith({
      [file]: `export const modules = [${module('a')}, ${module('b')}]`,
      'package.json': '{"type":"module"}',
    });
    expect((await loadModules(folder)).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('must be there', async () => {
    await expect(loadModules(await folderWith({}))).rejects.toThrow(
      /there is no registry\.ts\. Fix: write one: export const modules/,
    );
  });

  it.each([
    ['no list', 'export const modules = {}', "does not export a list named 'modules'"],
    ['a list of another name', 'export const module = []', "does not export a list named 'modules'"],
    ['a list of something else', `export const modules = [${module('a')}, { name: 'b' }]`, 'modules[1] is no module'],
    ['code that does not run', 'export const modules = [missing]', 'cannot be loaded: missing is not defined'],
    ['a name that is none', `export const modules = [${module('Team A')}]`, "'Team A' cannot be a module's name"],
    ['a name twice', `export const modules = [${module('a')}, ${module('a')}]`, "there are two modules named 'a'"],
    [
      'an upstream twice',
      `export const modules = [${module('a', ['x', 'y'])}, ${module('b', ['y'])}]`,
      "modules 'a' and 'b' both define the upstream 'y'",
    ],
  ])('with %s is refused, and says so', async (_what, registry, problem) => {
    expect(await problemsOf(registry)).toEqual([problem]);
  });

  it('tells everything at once', async () => {
    expect(
      await problemsOf(`export const modules = [${module('a', ['x'])}, ${module('a', ['x'])}, ${module('C')}]`),
    ).toHaveLength(3);
  });
});

describe('defineModule', () => {
  it('gives what the gateway reads: settings and documents of upstreams apart, policies with their names', () => {
    const run = (): void => undefined;
    const from = new URL('file:///team/module.ts');
    const openapi = new URL('file:///team/a.yaml');
    expect(
      defineModule({
        name: 'a',
        owner: 'team',
        upstreams: {
          a: { file: from, openapi, settings: { timeout: '1s' } },
          b: { file: from, openapi: undefined, settings: {} },
        },
        routes: [{ path: '/a', upstream: 'a' }],
        policies: { polite: { after: 'route', run } },
      }),
    ).toEqual({
      code: new Map(),
      name: 'a',
      owner: 'team',
      file: '/team/module.ts',
      upstreams: { a: { timeout: '1s' }, b: {} },
      openapi: { a: openapi },
      clientTransforms: {},
      documents: [],
      loaders: undefined,
      resolvers: {},
      routes: [{ path: '/a', upstream: 'a' }],
      transforms: [],
      policies: [{ name: 'polite', after: 'route', run }],
    });
  });

  it.each([
    ['transform', "'transform' is no key of a module"],
    ['resolver', "'resolver' is no key of a module"],
  ])('refuses %s, which it would have to ignore', (key, message) => {
    const definition = { name: 'a', owner: 'team', [key]: [] };
    expect(() => defineModule(definition)).toThrow(`module 'a': ${message}`);
  });
});
