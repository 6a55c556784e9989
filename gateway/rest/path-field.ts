import { parse, pathToRegexp, PathError, type Token } from 'path-to-regexp';
import { z } from 'zod';

const pathRemedies: readonly (readonly [RegExp, string])[] = [
  [/^Missing parameter name/, 'name the parameter, such as :id or *rest'],
  [/^Unexpected [?+]/, 'write what is optional in braces, such as {/:id}; a query belongs to match.query'],
  [/^Unexpected [()[\]]/, 'write parameters such as :id; regular expressions are not taken'],
  [/^Unexpected end/, 'write the closing brace'],
  [/^Missing text/, 'write text between two parameters, such as /:a/:b'],
];

/** What is wrong with a path of Express 5, that is of path-to-regexp; undefined when nothing is. */
export function pathProblem(path: string): string | undefined {
  if (!path.startsWith('/') && !path.startsWith('{/'))
    return 'does not start with a slash; write a path such as /v1/orders{/*rest}';
  if (/[\s#]/.test(path)) return 'has a space or a #; write it percent-encoded';
  try {
    pathToRegexp(path);
  } catch (error) {
    if (!(error instanceof PathError || error instanceof TypeError)) throw error;
    const [what = ''] = error.message.split(/: |; /, 1);
    const remedy =
      pathRemedies.find(([pattern]) => pattern.test(what))?.[1] ?? 'write a path such as /v1/orders{/*rest}';
    return `is no path of Express 5 (${what}); ${remedy}`;
  }
  const names = parametersIn(parse(path).tokens).map((parameter) => parameter.name);
  const twice = names.find((parameter, index) => names.indexOf(parameter) !== index);
  return twice === undefined ? undefined : `has the parameter ${twice} twice; name them apart`;
}

/** A path in the syntax of Express 5. */
export const path = z
  .string()
  .refine((text) => pathProblem(text) === undefined, { error: ({ input }) => pathProblem(String(input)) });

interface PathParameter {
  readonly name: string;
  readonly kind: 'param' | 'wildcard';
  /** Stands in braces, so it may have no value. */
  readonly optional: boolean;
}

function parametersIn(tokens: readonly Token[], optional = false): PathParameter[] {
  return tokens.flatMap((token) => {
    if (token.type === 'text') return [];
    return token.type === 'group'
      ? parametersIn(token.tokens, true)
      : [{ name: token.name, kind: token.type, optional }];
  });
}

/** What of a rewrite its path cannot fill; undefined when nothing. */
export function rewriteProblem(from: string, to: string): string | undefined {
  if (pathProblem(from) !== undefined || pathProblem(to) !== undefined) return undefined;
  const given = parametersIn(parse(from).tokens);
  for (const wanted of parametersIn(parse(to).tokens)) {
    const sign = wanted.kind === 'param' ? ':' : '*';
    const source = given.find((parameter) => parameter.name === wanted.name);
    if (!source) return `names ${sign}${wanted.name}, which the path does not have; write one that it has`;
    if (source.kind !== wanted.kind)
      return `writes ${wanted.name} as ${sign}${wanted.name}, the path does not; write both alike`;
    if (source.optional && !wanted.optional)
      return `needs ${wanted.name}, which is optional in the path; write it in braces here too`;
  }
  return undefined;
}

/** The names of a path's parameters; none of a path that is none. */
export function pathNames(text: string): readonly string[] {
  return pathProblem(text) === undefined ? parametersIn(parse(text).tokens).map((parameter) => parameter.name) : [];
}
