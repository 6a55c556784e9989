import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

interface Diagnostic {
  readonly code?: string;
  readonly filename: string;
  readonly message: string;
}

/** What the project's linter says of a tree, with the project's configuration in `config`. */
function lint(cwd: string, config: string): readonly Diagnostic[] {
  const oxlint = join(root, 'node_modules/oxlint/bin/oxlint');
  const args = [oxlint, '-f', 'json', '-c', config, '--ignore-pattern', 'node_modules'];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (!stdout.startsWith('{')) throw new Error(`oxlint did not report: ${stdout}${stderr}`);
  return (JSON.parse(stdout) as { readonly diagnostics: readonly Diagnostic[] }).diagnostics;
}

const thing = `export const thing = 1;\n`;

/** A small tree on the six floors, with a module of each of two teams; all of its imports are in order. */
const sound: Readonly<Record<string, string>> = {
  'core/thing.ts': thing,
  'core/port.ts': `export { readFileSync } from 'node:fs';\nexport { thing } from './thing.ts';\n`,
  'schema/thing.ts': `export { thing } from '#core/thing.ts';\n`,
  'upstreams/thing.ts': `export { Pool } from 'undici';\nexport { thing } from '#core/thing.ts';\n`,
  'upstreams/layers/thing.ts': `export { thing } from '../thing.ts';\n`,
  'policies/limits/thing.ts': `export { thing } from '#upstreams/thing.ts';\n`,
  'resolvers/thing.ts': `export { thing } from '#policies/limits/thing.ts';\n`,
  'resolvers/orders/thing.ts': `export { thing } from '../thing.ts';\n`,
  'resolvers/orders/module.ts': `export { thing } from './thing.ts';\n`,
  'resolvers/users/module.ts': `export { thing } from '#resolvers/thing.ts';\n`,
  'resolvers/registry.ts': `export { thing } from './orders/module.ts';\nexport { thing as other } from './users/module.ts';\n`,
  'gateway/thing.ts': `export { thing } from '#resolvers/thing.ts';\nexport { default as express } from 'express';\n`,
  'test/thing.spec.ts': `export { thing } from '#gateway/thing.ts';\n`,
};

/** Violations: what, where, the code, the rule that must refuse it, and what it must say. */
const planted: readonly (readonly [what: string, file: string, code: string, rule: string, says: string])[] = [
  ['a package in core', 'core/p1.ts', `export { z } from 'zod';`, 'weir(floors)', `core imports 'node:' only`],
  [
    'a builtin without node: in core',
    'core/p2.ts',
    `export { readFileSync } from 'fs';`,
    'weir(floors)',
    `core imports 'node:' only`,
  ],
  [
    'core importing a higher floor',
    'core/p3.ts',
    `import { thing } from '#gateway/thing.ts';\nexport const p = thing;`,
    'weir(floors)',
    'floor 4',
  ],
  [
    'a type from a higher floor',
    'core/p4.ts',
    `import type { thing } from '#schema/thing.ts';\nexport type P = typeof thing;`,
    'weir(floors)',
    'floor 1',
  ],
  [
    'an inline import of a type from a higher floor',
    'core/p5.ts',
    `export type P = typeof import('#schema/thing.ts');`,
    'weir(floors)',
    'floor 1',
  ],
  [
    'schema importing upstreams, its neighbour',
    'schema/p1.ts',
    `export { thing } from '#upstreams/thing.ts';`,
    'weir(floors)',
    'on one floor',
  ],
  [
    'upstreams importing schema, its neighbour',
    'upstreams/p1.ts',
    `export { thing } from '#schema/thing.ts';`,
    'weir(floors)',
    'on one floor',
  ],
  [
    'upstreams importing a policy',
    'upstreams/p2.ts',
    `export * from '#policies/limits/thing.ts';`,
    'weir(floors)',
    'floor 2',
  ],
  [
    'a policy importing resolvers',
    'policies/p1.ts',
    `export { thing } from '#resolvers/thing.ts';`,
    'weir(floors)',
    'floor 3',
  ],
  [
    'resolvers importing the gateway when run',
    'resolvers/p1.ts',
    `export const p = () => import('#gateway/thing.ts');`,
    'weir(floors)',
    'floor 4',
  ],
  [
    'a module importing another by path',
    'resolvers/users/p1.ts',
    `export { thing } from '../orders/thing.ts';`,
    'weir(floors)',
    'Modules never import each other',
  ],
  [
    'a module importing another by name',
    'resolvers/users/p2.ts',
    `export { thing } from '#resolvers/orders/thing.ts';`,
    'weir(floors)',
    'Modules never import each other',
  ],
  [
    'a relative path across folders',
    'gateway/p1.ts',
    `export { thing } from '../core/thing.ts';`,
    'weir(floors)',
    `Write '#core/thing.ts'`,
  ],
  [
    'a relative path from a test into a floor',
    'test/p1.spec.ts',
    `export { thing } from '../core/thing.ts';`,
    'weir(floors)',
    `Write '#core/thing.ts'`,
  ],
  [
    'a floor importing a tool',
    'policies/p2.ts',
    `export { thing } from '#tools/check.ts';`,
    'weir(floors)',
    `runs without 'tools'`,
  ],
  [
    'a cycle inside a folder',
    'policies/cycle/a.ts',
    `import { b } from './b.ts';\nexport const a = () => b;`,
    'import(no-cycle)',
    'Dependency cycle',
  ],
  [
    'a cycle through package imports',
    'gateway/cycle/a.ts',
    `import { b } from '#gateway/cycle/b.ts';\nexport const a = () => b;`,
    'import(no-cycle)',
    'Dependency cycle',
  ],
  [
    'connections outside of upstreams/',
    'policies/p3.ts',
    `export { Pool } from 'undici';`,
    'eslint(no-restricted-imports)',
    'Only upstreams/ makes connections',
  ],
  [
    'fetch outside of the upstream stack',
    'gateway/p3.ts',
    `export const p = fetch('http://127.0.0.1/');`,
    'eslint(no-restricted-globals)',
    'Call an upstream',
  ],
  [
    'Express below the gateway',
    'policies/p4.ts',
    `export { default as express } from 'express';`,
    'eslint(no-restricted-imports)',
    `only gateway/ knows its host`,
  ],
  [
    'the environment below the gateway',
    'upstreams/p3.ts',
    `export const p = process.env.HOME;`,
    'node(no-process-env)',
    'process.env',
  ],
];

const returnLegs: Readonly<Record<string, string>> = {
  'policies/cycle/b.ts': `import { a } from './a.ts';\nexport const b = () => a;\n`,
  'gateway/cycle/b.ts': `import { a } from '#gateway/cycle/a.ts';\nexport const b = () => a;\n`,
};

describe('The linter holds up the floors', () => {
  let tree: string;
  let config: string;
  let diagnostics: readonly Diagnostic[];

  beforeAll(() => {
    tree = mkdtempSync(join(tmpdir(), 'weir-floors-'));
    for (const path of ['package.json', 'tsconfig.json', 'tools/lint/floors.ts'])
      cpSync(join(root, path), join(tree, path));
    // Imports need no types, and are linted in a third of the time without.
    const settings = readFileSync(join(root, '.oxlintrc.json'), 'utf8');
    expect(settings).toContain('"typeAware": true');
    config = join(tree, '.oxlintrc.json');
    writeFileSync(config, settings.replace('"typeAware": true', '"typeAware": false'));
    const files = {
      ...sound,
      ...returnLegs,
      ...Object.fromEntries(planted.map(([, file, code]) => [file, `${code}\n`])),
    };
    for (const [path, code] of Object.entries(files)) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), code);
    }
    diagnostics = lint(tree, config);
  }, 60_000);

  afterAll(() => rmSync(tree, { recursive: true, force: true }));

  test.each(planted)('refuses %s (%s)', (_what, file, _code, rule, says) => {
    const found = diagnostics.filter((diagnostic) => diagnostic.filename === file && diagnostic.code === rule);
    expect(found).toHaveLength(1);
    expect(JSON.stringify(found)).toContain(says);
  });

  test.each(Object.keys(sound))('takes what is in order (%s)', (file) => {
    expect(diagnostics.filter((diagnostic) => diagnostic.filename === file)).toEqual([]);
  });

  test('finds no import out of order in the project itself', () => {
    const rules = new Set([
      'weir(floors)',
      'import(no-cycle)',
      'eslint(no-restricted-imports)',
      'eslint(no-restricted-globals)',
    ]);
    expect(lint(root, config).filter(({ code }) => code !== undefined && rules.has(code))).toEqual([]);
  });
});
