import type { PathParts } from '#core/context.ts';
import { pathTemplate } from '#upstreams/path-template.ts';
import type { ServiceDocument, ServiceOperation } from '#upstreams/service-document.ts';
import type { RestRoute } from '#gateway/rest/route.ts';
import { PathPattern } from '#gateway/routing/pattern.ts';
import type { GatewayRoutes } from '#gateway/routing/routing.ts';

/** An operation of a service as clients of the gateway see it. */
export interface ServedOperation extends ServiceOperation {
  /** The path that clients use, such as `/v1/orders/{id}`. */
  readonly publicPath: string;
  /** Path parameters of the service that the route fills in itself, which no client can choose. */
  readonly fixed: ReadonlySet<string>;
  /** Path parameters that only the route has. */
  readonly added: readonly string[];
}

/** What of its document a route serves: mapped through its path and rewrite, and not taken by a narrower route. */
export function servedOperations(
  route: RestRoute,
  document: ServiceDocument,
  routes: GatewayRoutes,
): ServedOperation[] {
  const { pattern, methods } = route.criteria;
  const target = route.rewrite ?? pattern;
  return document.operations.flatMap((operation) => {
    if (methods && !methods.has(operation.method)) return [];
    const mapped = mapPath(pattern, target, operation.path);
    if (!mapped || !isServedBy(route, mapped.publicPath, operation.method, routes)) return [];
    return [{ ...operation, ...mapped }];
  });
}

interface MappedPath {
  readonly publicPath: string;
  readonly fixed: ReadonlySet<string>;
  readonly added: readonly string[];
}

/** The path of a service seen from outside. A parameter in braces is matched like any other text of a segment. */
function mapPath(pattern: PathPattern, target: PathPattern, path: string): MappedPath | undefined {
  const parts = target.match(path);
  if (parts) return publicPath(pattern, target, parts, new Set());
  // The other way round: the route names what the document leaves open, as /orders/special does of /orders/{id}.
  if (/[*{]/.test(target.text)) return undefined;
  const bound = bind(path, target.text);
  if (!bound) return undefined;
  const own: Record<string, string> = {};
  const fixed = new Set<string>();
  for (const [name, value] of bound) {
    if (value.startsWith(':')) own[value.slice(1)] = `{${name}}`;
    else fixed.add(name);
  }
  return publicPath(pattern, target, own, fixed);
}

function publicPath(
  pattern: PathPattern,
  target: PathPattern,
  found: PathParts,
  fixed: ReadonlySet<string>,
): MappedPath {
  const known = Object.values(found).join('/');
  const added: string[] = [];
  const parts: Record<string, string | undefined> = { ...found };
  for (const name of pattern.names) {
    if (target.names.includes(name)) continue;
    const free = known.includes(`{${name}}`) ? `${name}_2` : name;
    added.push(free);
    parts[name] = `{${free}}`;
  }
  return { publicPath: pattern.render(parts), fixed, added };
}

/** The parameters of a templated path in another path; undefined where the two do not match. */
function bind(template: string, path: string): [string, string][] | undefined {
  const { names, match } = pathTemplate(template);
  const found = match.exec(path);
  return found ? names.map((name, index) => [name, found[index + 1]!]) : undefined;
}

function isServedBy(route: RestRoute, path: string, method: string, routes: GatewayRoutes): boolean {
  const { host, headers, query, version } = route.criteria;
  const found = routes.find({
    path,
    method,
    host: host?.replace('*', 'any') ?? 'any.invalid',
    headers: { ...Object.fromEntries(headers), ...version?.group.asking(version.name) },
    query: new URLSearchParams(query.map(([name, value]) => [name, value])).toString(),
  });
  return found === route;
}

/** The paths of a route that no document describes, without and with what is optional, in the braces of OpenAPI. */
export function plainPaths(pattern: PathPattern): readonly string[] {
  const named = Object.fromEntries(pattern.names.map((name) => [name, `{${name}}`]));
  const bare = new PathPattern(withoutGroups(pattern.text));
  return [...new Set([bare.render(named), pattern.render(named)])];
}

function withoutGroups(text: string): string {
  let [depth, kept] = [0, ''];
  for (const character of text) {
    if (character === '{') depth++;
    else if (character === '}') depth--;
    else if (depth === 0) kept += character;
  }
  return kept === '' ? '/' : kept;
}
