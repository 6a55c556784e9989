import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** What the page at /docs is made of, with its licences. The package it comes from has six times as much, and asks to phone home. */
const files = [
  'swagger-ui-bundle.js',
  'swagger-ui.css',
  'favicon-32x32.png',
  'swagger-ui-bundle.js.LICENSE.txt',
  'LICENSE',
  'NOTICE',
];

export async function copyViewer(root: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await Promise.all(
    files.map((name) => copyFile(join(root, 'node_modules/swagger-ui-dist', name), join(folder, name))),
  );
}
