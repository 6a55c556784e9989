import { isList, isMap, formatPath, nodeAt, type ConfigNode, type ConfigPath, type Origin } from './node.ts';

/** Something wrong with the configuration: what, where, and how to mend it. */
export interface Problem {
  /** Such as `upstreams.orders.timeout`; empty for the file itself. */
  readonly path: string;
  /** The file as it was given, or the module. */
  readonly file: string;
  /** Counted from 1; absent for what no file's line says. */
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  readonly fix: string;
}

export type Finding = Pick<Problem, 'message' | 'fix'>;

/** All problems of a configuration at once, one line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const sorted = problems.toSorted(byPlace);
    super(
      [
        `The configuration has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}:`,
        ...sorted.map(formatProblem),
      ].join('\n'),
    );
    this.problems = sorted;
  }
}

/** Lines first, in their order; then what stands in none. */
function byPlace(a: Problem, b: Problem): number {
  const line = (a.line ?? Number.MAX_SAFE_INTEGER) - (b.line ?? Number.MAX_SAFE_INTEGER);
  return line || (a.column ?? 0) - (b.column ?? 0);
}

function formatProblem({ path, file, line, column, message, fix }: Problem): string {
  const place = line === undefined ? file : `${file}:${line}:${column}`;
  return `${place}${path === '' ? '' : ` ${path}`}: ${message}. Fix: ${fix}${fix.endsWith('?') ? '' : '.'}`;
}

/** A problem at a path of the tree; of what is missing, at the nearest key above it. */
export function problemAt(
  root: ConfigNode,
  path: ConfigPath,
  finding: Finding,
  at: 'key' | 'value' = 'value',
): Problem {
  let depth = path.length;
  let node = nodeAt(root, path);
  while (node === undefined && depth > 0) node = nodeAt(root, path.slice(0, --depth));
  const { content, origin } = node ?? root;
  const isBlock = content === null || isMap(content) || isList(content);
  return locate(origin, formatPath(shownPath(root, path)), finding, at === 'key' || isBlock ? 'key' : 'value');
}

export function locate(origin: Origin, path: string, finding: Finding, at: 'key' | 'value' = 'value'): Problem {
  const place = at === 'key' ? (origin.keyPosition ?? origin.position) : origin.position;
  return { path, file: origin.file, ...(place && { line: place.line, column: place.column }), ...finding };
}

/** Routes of a module are counted within the module, as its team wrote them. */
function shownPath(root: ConfigNode, path: ConfigPath): ConfigPath {
  const [first, index, ...rest] = path;
  if (first !== 'routes' || typeof index !== 'number') return path;
  const routes = nodeAt(root, ['routes'])?.content ?? null;
  const label = isList(routes) ? routes[index]?.origin.label : undefined;
  if (!isList(routes) || label === undefined) return path;
  return [first, index - routes.findIndex((route) => route.origin.label === label), ...rest];
}
