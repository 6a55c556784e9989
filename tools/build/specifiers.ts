import { posix } from 'node:path';

const specifiers = /\b(from\s*|import\s*\(?\s*|new URL\(\s*)(['"])(#|\.{1,2}\/)([\w./-]+)\2/g;

/**
 * Makes the specifiers of one emitted file point at emitted files: `#core/errors.ts` in `upstreams/call` becomes
 * `../core/errors.js`, since package imports don't cross packages, and Node strips no types under node_modules.
 * @param code JavaScript or declarations
 * @param source the path of the source file, relative to the root
 * @param shipped where a source file goes, relative to dist; undefined when it exists but is not shipped
 * @param exists whether a path is a file of the project; what is none stands in a text, and stays as it is
 * @throws {Error} when the file imports one that is not shipped
 */
export function pointIntoDist(
  code: string,
  source: string,
  shipped: (path: string) => string | undefined,
  exists: (path: string) => boolean,
): string {
  const home = posix.dirname(source);
  return code.replace(specifiers, (whole: string, before: string, quote: string, kind: string, rest: string) => {
    const target = kind === '#' ? rest : posix.join(home, kind + rest);
    if (!exists(target)) return whole;
    const emitted = shipped(target);
    if (emitted === undefined) throw new Error(`${source} imports ${target}, which is not part of the package`);
    const path = posix.relative(home, emitted);
    return `${before}${quote}${path.startsWith('.') ? path : `./${path}`}${quote}`;
  });
}
