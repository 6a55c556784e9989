import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ProblemsError } from '#gateway/problems.ts';

/** For modules that no tsconfig.json covers: strict, and only syntax that Node can strip. */
const defaultOptions = [
  '--ignoreConfig',
  '--strict',
  '--exactOptionalPropertyTypes',
  '--noUncheckedIndexedAccess',
  '--target',
  'esnext',
  '--module',
  'nodenext',
  '--moduleResolution',
  'nodenext',
  '--erasableSyntaxOnly',
  '--verbatimModuleSyntax',
  '--allowImportingTsExtensions',
  '--skipLibCheck',
];

export interface Compilation {
  readonly ok: boolean;
  /** The compiler's own words. */
  readonly output: string;
}

/**
 * Runs the TypeScript compiler over the modules, since Node only strips their types. It is the project's own compiler if
 * it has one, under the nearest tsconfig.json, or Weir's with strict options. Modules in JavaScript have nothing to compile.
 */
export function compileModules(modulesDir: string): Promise<Compilation> {
  const registry = join(modulesDir, 'registry.ts');
  if (!existsSync(registry)) return Promise.resolve({ ok: true, output: '' });
  const config = nearestConfig(modulesDir);
  const args =
    config === undefined ? [...defaultOptions, ...nodeTypes(registry), ...entriesOf(modulesDir)] : ['-p', config];
  const tsc = join(packageFolder('typescript', registry), 'bin', 'tsc');
  const compiler = spawn(process.execPath, [tsc, '--noEmit', '--pretty', 'false', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [compiler.stdout, compiler.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    compiler.once('error', reject);
    compiler.once('close', (status) => resolve({ ok: status === 0, output: output.trimEnd() }));
  });
}

/** Generated types reach the modules by declaration merging, so nothing imports their file. */
function entriesOf(modulesDir: string): string[] {
  return ['registry.ts', 'generated/schema.ts'].map((file) => join(modulesDir, file)).filter(existsSync);
}

/** Named by their folder, since a package manager need not put what Weir depends on where the compiler would look. */
function nodeTypes(registry: string): string[] {
  return ['--types', 'node', '--typeRoots', dirname(packageFolder('@types/node', registry))];
}

function nearestConfig(directory: string): string | undefined {
  const config = join(directory, 'tsconfig.json');
  if (existsSync(config)) return config;
  // A project ends where its package.json stands: what lies above belongs to somebody else.
  if (existsSync(join(directory, 'package.json')) || dirname(directory) === directory) return undefined;
  return nearestConfig(dirname(directory));
}

/** A package of the project if it has one, or else Weir's own. */
function packageFolder(name: string, registry: string): string {
  const [found] = [registry, import.meta.url].flatMap((base) => {
    try {
      return dirname(createRequire(base).resolve(`${name}/package.json`));
    } catch {
      return [];
    }
  });
  if (found === undefined) throw new ProblemsError([`${name} is not installed. Fix: npm install --save-dev ${name}`]);
  return found;
}
