import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { floors } from '../../tools/lint/floors.ts';

const root = resolve(import.meta.dirname, '../..');
const store = join(tmpdir(), `weir-tarball-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`);

export interface Manifest {
  readonly version: string;
  readonly bin: { readonly weir: string };
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** Weir as a package in a project's node_modules. */
export interface Installation {
  readonly manifest: Manifest;
  /** What the tarball has in it, relative to its folder. */
  readonly shipped: readonly string[];
}

/**
 * What `npm install weir` does, without a network: packs this tree as for the registry, unpacks it in the project, and
 * puts its dependencies, and no others, beside it, and its command where npx finds it.
 */
export function installWeir(project: string): Installation {
  const modules = join(project, 'node_modules');
  const folder = join(modules, 'weir');
  mkdirSync(folder, { recursive: true });
  const shipped = alone(() => {
    const tarball = pack();
    execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', folder]);
    return execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  });
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  for (const name of Object.keys(manifest.dependencies)) link(join(root, 'node_modules', name), join(modules, name));
  const program = join(folder, manifest.bin.weir);
  chmodSync(program, 0o755);
  link(program, join(modules, '.bin/weir'));
  return { manifest, shipped: shipped.map((path) => path.replace('package/', '')) };
}

function link(target: string, place: string): void {
  mkdirSync(dirname(place), { recursive: true });
  symlinkSync(target, place);
}

/** Packing takes seconds, so a tarball is kept for as long as nothing changes that goes into it. */
function pack(): string {
  const tarball = join(store, `${digest()}.tgz`);
  if (statSync(tarball, { throwIfNoEntry: false })) return tarball;
  for (const old of globSync('*.tgz', { cwd: store })) rmSync(join(store, old));
  const env = { ...process.env, PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) };
  const args = ['pack', '--silent', '--pack-destination', store];
  const name = execFileSync('npm', args, { cwd: root, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  renameSync(join(store, name.trim()), tarball);
  return tarball;
}

/** Of everything that goes into a tarball, or makes it. */
function digest(): string {
  const hash = createHash('sha256');
  const sources = `{${Object.keys(floors).join(',')},tools}/**/*.{ts,json,graphql,html,yaml}`;
  const paths = globSync([sources, '*.{json,md}', 'LICENSE'], { cwd: root, exclude: ['**/node_modules'] });
  for (const path of paths.sort()) hash.update(path).update(readFileSync(join(root, path)));
  return hash.digest('hex').slice(0, 16);
}

/** One process at a time, since a build empties dist/ first. The lock is the system's, which frees it however the holder ends. */
function alone<T>(work: () => T): T {
  mkdirSync(store, { recursive: true });
  const lock = new DatabaseSync(join(store, 'lock'));
  lock.exec('PRAGMA busy_timeout = 240000; BEGIN EXCLUSIVE');
  try {
    return work();
  } finally {
    lock.close();
  }
}
