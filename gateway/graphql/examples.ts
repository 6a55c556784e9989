import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What GraphiQL shows in tabs to who opens it for the first time: the `.graphql` files of the folder `examples` beside the
 * modules, in the order of their names. None without such a folder.
 */
export function readExamples(modulesDir: string | undefined): readonly string[] {
  if (modulesDir === undefined) return [];
  const folder = join(modulesDir, 'examples');
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.graphql'));
  return files.toSorted().map((name) => readFileSync(join(folder, name), 'utf8'));
}
