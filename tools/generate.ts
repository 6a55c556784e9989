/**
 * `npm run generate`: writes everything in the tree that is made from something else in it; with `--check` writes
 * nothing and fails where a file is out of date. With `--modules` only what modules need to run, which `npm run dev` waits
 * for. A file that has not changed is not touched.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const root = resolve(import.meta.dirname, '..');
const checking = process.argv.includes('--check');
const modulesOnly = process.argv.includes('--modules');
const shop = ['--config', 'examples/shop/gateway.yaml'];

/** What a command prints. @throws {Error} with its words when it fails */
async function run(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}

/** Generators that know their own files and `--check`. The types come first: the modules do not compile without. */
const types = ['gateway/main.ts', 'types', ...shop];
const programs = modulesOnly ? [types] : [types, ['gateway/config/generate.ts']];

/** Files of which a generator gives the text. */
const files: Readonly<Record<string, () => string | Promise<string>>> = {
  'schema/schema.graphql': () => run('gateway/main.ts', 'schema', ...shop),
  ...(!modulesOnly && (await documents())),
};

async function documents(): Promise<typeof files> {
  const [{ documentErrors }, { documentConsumerErrors }, { metricsDocument }, { dashboardFiles }] = await Promise.all([
    import('#gateway/pages/document-errors.ts'),
    import('#gateway/pages/document-consumer-errors.ts'),
    import('./metrics/document.ts'),
    import('./dashboards/index.ts'),
  ]);
  return {
    'docs/errors.md': documentErrors,
    'docs/consumers/errors.md': documentConsumerErrors,
    'docs/metrics.md': metricsDocument,
    'deploy/prometheus/weir.rules.yml': () => run('gateway/main.ts', 'alerts', ...shop),
    ...dashboardFiles,
  };
}

async function keep(path: string, text: string): Promise<void> {
  const file = join(root, path);
  const current = await readFile(file, 'utf8').catch(() => undefined);
  if (current === text) return;
  if (checking) throw new Error(`${path} is out of date`);
  await writeFile(file, text);
  console.log(`${path} written`);
}

for (const step of [
  ...programs.map(
    (program) => async () => process.stdout.write(await run(...program, ...(checking ? ['--check'] : []))),
  ),
  ...Object.entries(files).map(
    ([path, make]) =>
      async () =>
        keep(path, await make()),
  ),
]) {
  try {
    await step();
  } catch (error) {
    // What a program says of its failure is on its stderr.
    const { message, stderr, stdout } = error as Error & { readonly stderr?: string; readonly stdout?: string };
    console.error([stdout, stderr ?? message].filter(Boolean).join('\n').trim());
    process.exitCode = 1;
  }
}
if (checking && process.exitCode) console.error('Generated files are out of date or cannot be made: npm run generate');
