import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { documentPhases, upstreamLayers } from '#gateway/pipeline.ts';

const root = resolve(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'gateway/pipeline.ts'), 'utf8');

/** The policies (a folder of policies/, or a file of its own there) and layers that a page does not speak of. */
function missing(tree: string, text: string): readonly string[] {
  const policies = globSync('policies/*', { cwd: tree });
  const layers = globSync('upstreams/layers/*.ts', { cwd: tree });
  // An import that the page does not use is refused by the compiler, so a path in its text is a place on it.
  return [...policies.map((path) => (path.endsWith('.ts') ? path : `${path}/`)), ...layers]
    .filter((path) => !text.includes(`#${path}`))
    .toSorted();
}

describe('The page, gateway/pipeline.ts', () => {
  test('has a place for every policy and every layer', () => {
    expect(globSync('upstreams/layers/*.ts', { cwd: root })).not.toEqual([]);
    expect(globSync('policies/*', { cwd: root })).not.toEqual([]);
    expect(missing(root, page)).toEqual([]);
  });

  test('is found out when a policy or a layer has none', () => {
    const tree = mkdtempSync(join(tmpdir(), 'weir-page-'));
    try {
      for (const path of [
        'policies/cors/cors.ts',
        'policies/forgotten/forgotten.ts',
        'policies/lone.ts',
        'upstreams/layers/retry.ts',
        'upstreams/layers/forgotten.ts',
      ]) {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), '');
      }
      expect(missing(tree, page)).toEqual(['policies/forgotten/', 'policies/lone.ts', 'upstreams/layers/forgotten.ts']);
    } finally {
      rmSync(tree, { recursive: true });
    }
  });

  test('runs every layer that a file in upstreams/layers exports, once', async () => {
    const files = globSync('upstreams/layers/*.ts', { cwd: root });
    const exported = await Promise.all(
      files.map(async (path) => Object.values((await import(join(root, path))) as Readonly<Record<string, unknown>>)),
    );
    const layers = exported.flat().filter((value) => typeof value === 'object' && value !== null && 'over' in value);
    const listed = upstreamLayers.map(({ layer }) => layer);
    expect(new Set(listed).size).toBe(listed.length);
    expect(new Set(layers)).toEqual(new Set(listed));
  });

  test('gives each entry its own name and a reason for its place', () => {
    const stages = [...page.matchAll(/\{\s*name: '([^']+)',[^}]*?why:\s*(['"`])/g)].map((match) => match[1]);
    expect(stages.length).toBeGreaterThan(documentPhases.length);
    for (const names of [documentPhases.map(({ name }) => name), upstreamLayers.map(({ layer }) => layer.name)]) {
      expect(new Set(names).size).toBe(names.length);
    }
    for (const { why } of [...documentPhases, ...upstreamLayers]) expect(why.length).toBeGreaterThan(20);
  });

  test('stays one page: under 100 lines', () => {
    expect(page.trimEnd().split('\n').length).toBeLessThan(100);
  });
});
