import { readFileSync, writeFileSync } from 'node:fs';
import { configurationDocument } from './document.ts';
import { editorSchema } from './json-schema.ts';

/** Writes what is generated from the configuration's schemas; with `--check` fails instead where a file differs. */

const example = readFileSync(new URL('example.yaml', import.meta.url), 'utf8');

const outputs: readonly (readonly [string, URL, string])[] = [
  [
    'gateway/config/gateway.schema.json',
    new URL('gateway.schema.json', import.meta.url),
    `${JSON.stringify(editorSchema(), undefined, 2)}\n`,
  ],
  ['docs/configuration.md', new URL('../../docs/configuration.md', import.meta.url), configurationDocument(example)],
];

function current(file: URL): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

for (const [name, file, text] of outputs) {
  if (current(file) === text) continue;
  if (process.argv.includes('--check')) {
    process.stderr.write(`${name} is out of date: run \`npm run generate\`\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    process.stdout.write(`${name} written\n`);
  }
}
