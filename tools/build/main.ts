/**
 * Builds `dist/`, what `npm pack` ships: JavaScript, declarations, and the files that code reads beside itself. The
 * JavaScript is what Node runs here after stripping types, line for line, so a stack trace fits the source.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { floors } from '../lint/floors.ts';
import { bundleGenerator } from './generator.ts';
import { copyViewer } from './viewer.ts';
import { pointIntoDist } from './specifiers.ts';

const root = resolve(import.meta.dirname, '../..');
const dist = join(root, 'dist');

const ofTheShop: ReadonlySet<string> = new Set(['resolvers/registry.ts', 'schema/schema.graphql']);

/** No part of the package: the modules of the example shop with their types, registry and contract, and what `npm run generate` runs. */
function isLeftOut(path: string): boolean {
  const folder = /^resolvers\/[^/]+(?=\/)/.exec(path)?.[0];
  if (folder === undefined) return ofTheShop.has(path) || path.endsWith('/generate.ts');
  return (
    folder === 'resolvers/generated' || folder === 'resolvers/examples' || existsSync(join(root, folder, 'module.ts'))
  );
}

function shipped(path: string): string | undefined {
  if (isLeftOut(path) || !Object.hasOwn(floors, path.slice(0, path.indexOf('/')))) return undefined;
  return path.replace(/\.ts$/, '.js');
}

function exists(path: string): boolean {
  return existsSync(join(root, path));
}

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(join(dist, path)), { recursive: true });
  await writeFile(join(dist, path), content);
}

async function emit(path: string): Promise<void> {
  const to = shipped(path);
  if (to === undefined || path.endsWith('.md')) return;
  if (path.endsWith('.ts')) {
    const code = stripTypeScriptTypes(await readFile(join(root, path), 'utf8'));
    await write(to, pointIntoDist(code, path, shipped, exists));
  } else {
    await mkdir(dirname(join(dist, to)), { recursive: true });
    await copyFile(join(root, path), join(dist, to));
  }
}

function compileDeclarations(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('the declarations do not compile');
}

async function rewriteDeclaration(path: string): Promise<void> {
  const source = path.replace(/\.d\.ts$/, '.ts');
  await write(path, pointIntoDist(await readFile(join(dist, path), 'utf8'), source, shipped, exists));
}

await rm(dist, { recursive: true, force: true });
compileDeclarations();
for await (const path of glob('**/*.d.ts', { cwd: dist })) await rewriteDeclaration(path);
for await (const entry of glob(`{${Object.keys(floors).join(',')}}/**`, { cwd: root, withFileTypes: true })) {
  if (entry.isFile()) await emit(join(entry.parentPath, entry.name).slice(root.length + 1));
}
await copyViewer(root, join(dist, 'gateway/pages/viewer'));
await bundleGenerator(root, join(dist, 'tools/types.js'));
