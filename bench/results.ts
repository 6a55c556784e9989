import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What came of a run, to be read and to be compared. */
export interface Results {
  readonly markdown: string;
  /** All that was measured. */
  readonly figures: object;
}

/** Keeps them in bench/results/, under the time of day, and as JSON in `file` as well. */
export async function keepResults({ markdown, figures }: Results, file: string | undefined): Promise<void> {
  const at = new Date().toISOString();
  const json = `${JSON.stringify({ at, ...figures }, undefined, 2)}\n`;
  const results = join(import.meta.dirname, 'results');
  await mkdir(results, { recursive: true });
  const name = at.replaceAll(/[:.]/g, '-');
  await writeFile(join(results, `${name}.md`), markdown);
  await writeFile(join(results, `${name}.json`), json);
  if (file !== undefined) await writeFile(file, json);
}
