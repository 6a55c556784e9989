import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

export const docs = resolve(import.meta.dirname, '../docs');

const end = '<!-- end of the figures -->\n';

/**
 * Puts figures into a page of docs/, between the marks of the command that takes them.
 * @param command as it is typed, such as `npm run bench -- load --write`
 * @throws {Error} when the page has no such place
 */
export async function writeFigures(page: string, command: string, figures: string): Promise<void> {
  const file = join(docs, page);
  const text = await readFile(file, 'utf8');
  const begin = `<!-- figures of \`${command}\` -->\n`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`${file} has no place for the figures of ${command}.`);
  await writeFile(file, `${text.slice(0, from + begin.length)}\n${figures.trimEnd()}\n\n${text.slice(to)}`);
}
