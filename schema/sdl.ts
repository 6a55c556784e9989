import { readFileSync } from 'node:fs';

/** A GraphQL document of a module. */
export interface Sdl {
  readonly url: URL;
  /** The file that brings it. */
  readonly from: URL;
  readonly text: string;
}

/**
 * Reads a `.graphql` file beside a module.
 * @param meta `import.meta` of the module's file
 * @throws {Error} when there is no such file
 */
export function sdl(meta: { readonly url: string }, path: string): Sdl {
  const url = new URL(path, meta.url);
  return { url, from: new URL(meta.url), text: readFileSync(url, 'utf8') };
}
