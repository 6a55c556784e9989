import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';
import type { Route } from '#core/route.ts';
import { PathVersions } from './path-versions.ts';
import { comparePatterns, type PathPattern } from './pattern.ts';
import type { VersionGroup } from './version-group.ts';

/** Which version of an API a route is. */
export interface RouteVersion {
  readonly group: VersionGroup;
  readonly name: string;
}

/** What a route answers to. */
export interface Criteria {
  readonly pattern: PathPattern;
  /** Upper case; undefined takes any method. */
  readonly methods: ReadonlySet<string> | undefined;
  /** Lower case; `*.example.com` takes any one or more labels before it. */
  readonly host: string | undefined;
  /** Header fields, by lower-case name, that must have exactly this value. */
  readonly headers: readonly (readonly [string, string])[];
  readonly query: readonly (readonly [string, string])[];
  readonly version?: RouteVersion | undefined;
}

export interface TableEntry extends Route {
  readonly criteria: Criteria;
  /** Where it was written, for the error of a tie. */
  readonly origin: string;
  /** The name of the route that this one stands in for. */
  readonly replaces: string | undefined;
}

/** What of a request decides which route it takes. */
export type Routable = Pick<RequestContext, 'path' | 'method' | 'host' | 'query' | 'headers'>;

/** Two routes that no request could tell apart. */
export interface Tie {
  readonly a: TableEntry;
  readonly b: TableEntry;
}

/**
 * One table for everything the gateway serves, whoever brought it. The most specific route wins, in this order: an exact
 * host before a wildcard before any; a path by its segments, fixed before parameter before optional before wildcard; more
 * conditions on headers and query before fewer; named methods before any. Of two that agree in all of this and yet differ, such
 * as in which header they ask for, the one written first.
 */
export class RouteTable<R extends TableEntry> {
  readonly routes: readonly R[];
  readonly ties: readonly Tie[];
  /** Candidates by the path's first segment, in order; those without a fixed one stand in every list. */
  readonly #byFirstSegment = new Map<string, readonly R[]>();
  readonly #elsewhere: readonly R[];
  readonly #pathVersions = new PathVersions();

  constructor(routes: readonly R[]) {
    // The one that replaces may have taken the name over.
    const replaced = (route: R) => routes.some((other) => other !== route && other.replaces === route.name);
    this.routes = routes.filter((route) => !replaced(route)).sort(compareRoutes);
    this.ties = findTies(this.routes);
    this.#elsewhere = this.routes.filter((route) => route.criteria.pattern.firstSegment === undefined);
    for (const { criteria, path } of this.routes) {
      const { version } = criteria;
      if (version && version.group.vary === undefined) this.#pathVersions.add(version.group, path, version.name);
      const first = criteria.pattern.firstSegment;
      if (first === undefined || this.#byFirstSegment.has(first)) continue;
      const candidates = this.routes.filter(
        ({ criteria: { pattern } }) => pattern.firstSegment === undefined || pattern.firstSegment === first,
      );
      this.#byFirstSegment.set(first, candidates);
    }
  }

  /**
   * The route of a request; its path parts are left in `context.pathParts`.
   * @throws {WeirError} `ROUTE_NOT_FOUND`, `NOT_ACCEPTABLE` for a version that is not there, or `METHOD_NOT_ALLOWED` with `Allow` (RFC 9110 §15.5.6)
   */
  match(context: RequestContext): R {
    const { path } = context;
    const method = effectiveMethod(context);
    let allowed: Set<string> | undefined;
    let otherVersion: VersionGroup | undefined;
    for (const route of this.#candidates(path)) {
      const { criteria } = route;
      const parts = criteria.pattern.match(path);
      if (!parts || !hostMatches(criteria.host, context.host) || !conditionsMatch(criteria, context)) continue;
      if (!versionMatches(criteria, context)) {
        otherVersion = criteria.version?.group;
        continue;
      }
      if (criteria.methods === undefined || criteria.methods.has(method)) {
        context.pathParts = parts;
        return route;
      }
      allowed ??= new Set();
      for (const other of criteria.methods) allowed.add(other);
    }
    if (allowed) {
      const allow = [...allowed, 'OPTIONS'].join(', ');
      throw new WeirError('METHOD_NOT_ALLOWED', { detail: `This path takes ${allow}.`, headers: { allow } });
    }
    throw otherVersion?.refusal() ?? this.#pathVersions.refusal(path) ?? new WeirError('ROUTE_NOT_FOUND');
  }

  /** The route of a request, if it has one. */
  find(request: Routable): R | undefined {
    const method = effectiveMethod(request);
    return this.#candidates(request.path).find(
      ({ criteria }) =>
        criteria.methods?.has(method) !== false &&
        criteria.pattern.match(request.path) &&
        hostMatches(criteria.host, request.host) &&
        conditionsMatch(criteria, request) &&
        versionMatches(criteria, request),
    );
  }

  /** Whether the request would, with this path instead of its own, take a route that goes before `route`. */
  outranks(context: RequestContext, path: string, route: R): boolean {
    const { method, host, query, headers } = context;
    const found = this.find({ path, method, host, query, headers });
    return found !== undefined && this.routes.indexOf(found) < this.routes.indexOf(route);
  }

  #candidates(path: string): readonly R[] {
    const end = path.indexOf('/', 1);
    return this.#byFirstSegment.get(end < 0 ? path.slice(1) : path.slice(1, end)) ?? this.#elsewhere;
  }
}

/** A CORS preflight asks on behalf of another method (Fetch §4.8): it belongs to that method's route. */
function effectiveMethod(context: Routable): string {
  if (context.method !== 'OPTIONS') return context.method;
  return firstValue(context.headers['access-control-request-method']) ?? 'OPTIONS';
}

function hostMatches(wanted: string | undefined, actual: string): boolean {
  if (wanted === undefined) return true;
  const colon = actual.lastIndexOf(':');
  const name = colon > actual.lastIndexOf(']') ? actual.slice(0, colon) : actual;
  return wanted.startsWith('*.') ? name.endsWith(wanted.slice(1)) && name.length > wanted.length - 1 : name === wanted;
}

function conditionsMatch({ headers, query }: Criteria, context: Routable): boolean {
  for (const [name, value] of headers) if (firstValue(context.headers[name]) !== value) return false;
  if (query.length === 0) return true;
  const parameters = new URLSearchParams(context.query);
  return query.every(([name, value]) => parameters.getAll(name).includes(value));
}

function versionMatches({ version }: Criteria, { headers }: Routable): boolean {
  return version === undefined || version.group.takes(version.name, headers);
}

function hostRank(host: string | undefined): number {
  if (host === undefined) return Number.POSITIVE_INFINITY;
  // Of two wildcards the longer one is the more specific.
  return host.startsWith('*.') ? 1_000 - host.length : 0;
}

function conditionCount({ headers, query, version }: Criteria): number {
  return headers.length + query.length + (version ? 1 : 0);
}

function compareRoutes({ criteria: a }: TableEntry, { criteria: b }: TableEntry): number {
  const hosts = hostRank(a.host) - hostRank(b.host);
  if (!Number.isNaN(hosts) && hosts !== 0) return hosts;
  return (
    comparePatterns(a.pattern, b.pattern) ||
    conditionCount(b) - conditionCount(a) ||
    Number(a.methods === undefined) - Number(b.methods === undefined)
  );
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}

function findTies(routes: readonly TableEntry[]): Tie[] {
  const ties: Tie[] = [];
  const seen = new Map<string, TableEntry[]>();
  for (const route of routes) {
    const { pattern, host, headers, query, version } = route.criteria;
    const conditions = [
      headers.toSorted(byName),
      query.toSorted(byName),
      version && [version.group.name, version.name],
    ];
    const key = JSON.stringify([host ?? '', pattern.shape, ...conditions]);
    const others = seen.get(key) ?? [];
    for (const other of others)
      if (overlap(route.criteria.methods, other.criteria.methods)) ties.push({ a: other, b: route });
    seen.set(key, [...others, route]);
  }
  return ties;
}

/** One with named methods and one with any do not tie: the named ones win. */
function overlap(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return !a.isDisjointFrom(b);
}
