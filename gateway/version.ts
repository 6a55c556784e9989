import { readFileSync } from 'node:fs';

/** Weir's own version: package.json stands beside the sources in the repository, a folder above them in the package. */
export const version = read('../package.json') ?? read('../../package.json') ?? 'unknown';

function read(path: string): string | undefined {
  try {
    const manifest = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as {
      name?: string;
      version?: string;
    };
    return manifest.name === 'weir' ? manifest.version : undefined;
  } catch {
    return undefined;
  }
}
