import { parse, pathToRegexp, type Token } from 'path-to-regexp';
import type { PathParts } from '#core/context.ts';
import { normalTarget } from '#policies/guard/path.ts';

const noParts: PathParts = Object.freeze({});

/**
 * A path pattern in Express 5's syntax: `/v1/orders/:id`, `/v1/orders{/*rest}`. Paths are compared case by case,
 * encoded as they are in a request's target: what is matched is what the upstream gets. A trailing slash is optional.
 */
export class PathPattern {
  readonly text: string;
  /** The first segment if it is fixed, so that a table can be looked up by it. */
  readonly firstSegment: string | undefined;
  /** The same for two patterns that match the same paths: names of parameters do not matter. */
  readonly shape: string;
  /** Sorts patterns, most specific first; see {@link comparePatterns}. */
  readonly ranks: readonly number[];
  readonly #tokens: readonly Token[];
  readonly #match: (path: string) => PathParts | undefined;

  /** @throws {TypeError} when the syntax is wrong, with the position */
  constructor(text: string) {
    this.text = text;
    const normal = normalTarget(text);
    this.#tokens = parse(normal).tokens;
    this.shape = shapeOf(this.#tokens);
    this.ranks = ranksOf(this.#tokens);
    this.firstSegment = firstSegmentOf(this.#tokens);
    this.#match = matcher(normal, this.#tokens);
  }

  /** @returns the named parts, or undefined where the path does not match */
  match(path: string): PathParts | undefined {
    return this.#match(path);
  }

  /** A path of this pattern's form from parts of another's; a group whose part is missing is left out. */
  render(parts: PathParts): string {
    return render(this.#tokens, parts) || '/';
  }

  get names(): readonly string[] {
    return namesOf(this.#tokens);
  }
}

function firstSegmentOf([head, next]: readonly Token[]): string | undefined {
  if (head?.type !== 'text') return undefined;
  const end = head.value.indexOf('/', 1);
  if (end > 0) return head.value.slice(1, end);
  return next === undefined || opensWithSlash(next) ? head.value.slice(1) : undefined;
}

function opensWithSlash(token: Token): boolean {
  const first = token.type === 'group' ? token.tokens[0] : undefined;
  return first?.type === 'text' && first.value.startsWith('/');
}

function namesOf(tokens: readonly Token[]): string[] {
  return tokens.flatMap((token) => {
    if (token.type === 'group') return namesOf(token.tokens);
    return token.type === 'text' ? [] : [token.name];
  });
}

function shapeOf(tokens: readonly Token[]): string {
  return tokens
    .map((token) => {
      if (token.type === 'text') return token.value;
      if (token.type === 'group') return `{${shapeOf(token.tokens)}}`;
      return token.type === 'param' ? ':' : '*';
    })
    .join('');
}

/** Fixed paths and fixed prefixes, which most routes are, need no regular expression. */
function matcher(text: string, tokens: readonly Token[]): (path: string) => PathParts | undefined {
  const [head, tail] = tokens;
  if (head?.type === 'text' && !head.value.endsWith('/')) {
    const fixed = head.value;
    if (tokens.length === 1) {
      return (path) =>
        path === fixed || (path.length === fixed.length + 1 && path.startsWith(fixed) && path.endsWith('/'))
          ? noParts
          : undefined;
    }
    const [slash, wildcard] = tail?.type === 'group' && tail.tokens.length === 2 ? tail.tokens : [];
    if (tokens.length === 2 && slash?.type === 'text' && slash.value === '/' && wildcard?.type === 'wildcard') {
      const { name } = wildcard;
      return (path) => {
        if (!path.startsWith(fixed)) return undefined;
        if (path.length === fixed.length || (path.length === fixed.length + 1 && path.endsWith('/'))) return noParts;
        return path[fixed.length] === '/' ? { [name]: path.slice(fixed.length + 1) } : undefined;
      };
    }
  }
  const { regexp, keys } = pathToRegexp(text, { sensitive: true });
  return (path) => {
    const found = regexp.exec(path);
    if (!found) return undefined;
    const parts: Record<string, string | undefined> = {};
    // Each way to leave optional groups out has keys of its own, of which only those of one way have been found.
    for (let index = 0; index < keys.length; index++) parts[keys[index]!.name] ??= found[index + 1];
    return parts;
  };
}

function render(tokens: readonly Token[], parts: PathParts): string | undefined {
  let path = '';
  for (const token of tokens) {
    if (token.type === 'text') {
      path += token.value;
    } else if (token.type === 'group') {
      path += render(token.tokens, parts) ?? '';
    } else {
      const part = parts[token.name];
      if (part === undefined) return undefined;
      path += part;
    }
  }
  return path;
}

/** One rank a segment: 0 fixed, 1 fixed in part, 2 a parameter, 3 optional, 4 a wildcard. */
function ranksOf(tokens: readonly Token[]): number[] {
  const [opening, ...segments] = shapeOf(tokens).split('/');
  // What stands before the first slash is nothing, or the brace of a group that begins with it.
  let open = opening === '' ? 0 : 1;
  return segments.map((segment) => {
    const optional = open > 0;
    for (const character of segment) {
      if (character === '{') open++;
      else if (character === '}') open--;
    }
    if (segment.includes('*')) return 4;
    if (optional) return 3;
    if (!segment.includes(':')) return 0;
    return /^:[{}]*$/.test(segment) ? 2 : 1;
  });
}

/** Segment by segment, the more fixed one first; of two that agree so far, the longer. */
export function comparePatterns(a: PathPattern, b: PathPattern): number {
  const length = Math.max(a.ranks.length, b.ranks.length);
  for (let index = 0; index < length; index++) {
    // A pattern that has ended here matches less than one that goes on with something optional.
    const difference = (a.ranks[index] ?? 2.5) - (b.ranks[index] ?? 2.5);
    if (difference !== 0) return difference;
  }
  return 0;
}
