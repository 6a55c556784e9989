import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

/**
 * Bundles the type generator into one file, so that whoever installs Weir does not also install a second TypeScript and
 * graphql-codegen (docs/adr/0004). The licences of what is inside go beside it.
 */
export async function bundleGenerator(root: string, outfile: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['tools/types/generate.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'error',
    // CommonJS inside asks for these.
    banner: {
      js: [
        `import { createRequire as makeRequire } from 'node:module';`,
        `const require = makeRequire(import.meta.url);`,
        `const { filename: __filename, dirname: __dirname } = import.meta;`,
      ].join('\n'),
    },
  });
  const packages = new Set(Object.keys(metafile.inputs).flatMap((input) => packageFolder(input) ?? []));
  const licences = await Promise.all([...packages].toSorted().map((folder) => licenceOf(root, folder)));
  await writeFile(outfile.replace(/\.js$/, '.LICENSES.txt'), licences.join('\n\n'));
}

/** `node_modules/a/node_modules/@b/c/lib/x.js` lies in `node_modules/a/node_modules/@b/c`. */
function packageFolder(input: string): string | undefined {
  return /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

async function licenceOf(root: string, folder: string): Promise<string> {
  const path = join(root, folder);
  const manifest = JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly version: string;
    readonly license?: string;
  };
  const files = (await readdir(path)).filter((name) => /^(licen[cs]e|notice|thirdpartynotice)/i.test(name)).toSorted();
  const texts = await Promise.all(files.map((name) => readFile(join(path, name), 'utf8')));
  return [`${manifest.name} ${manifest.version} (${manifest.license ?? 'see below'})`, ...texts].join('\n\n');
}
