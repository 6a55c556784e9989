import { isMap, type JsonMap } from '#upstreams/service-document.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { ComposedRoute } from '#gateway/rest/composed-route.ts';
import { RestRoute } from '#gateway/rest/route.ts';
import type { GatewayRoutes } from '#gateway/routing/routing.ts';
import { answerHeaders, composedHeaders, defineAnswers, gatewayAnswers } from './answers.ts';
import { Components } from './components.ts';
import type { UpstreamDocument, UpstreamDocuments } from './documents.ts';
import { SecuritySchemes } from './security.ts';
import { plainPaths, servedOperations, type ServedOperation } from './served.ts';

/** Of a service's operation, what is the service's own affair, or is said anew. */
const ownAffairs: ReadonlySet<string> = new Set([
  'servers',
  'security',
  'callbacks',
  'parameters',
  'responses',
  'tags',
]);

type ListedRoute = RestRoute | ComposedRoute;

/** Of a route that takes any method, those that are listed. */
const anyMethod = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

/**
 * The OpenAPI 3.1 document of everything that is served over REST: what the services' own documents say, at the paths that
 * clients use, with what the gateway adds to each answer. A route without a document is listed as one that is passed on.
 * @param only the version of which it is, with all that is of no version; every version when left out
 */
export function describeRoutes(
  config: GatewayConfig,
  routes: GatewayRoutes,
  documents: UpstreamDocuments,
  only?: string,
): JsonMap {
  const { title, version, description, url } = config.docs;
  const described = new Description(new SecuritySchemes(config), documents, routes);
  for (const route of routes.routes) {
    if (!isListed(route) || (only !== undefined && route.version !== undefined && route.version !== only)) continue;
    if (route instanceof RestRoute) described.add(route);
    else described.addComposed(route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: only === undefined ? title : `${title} (${only})`,
      version,
      ...(description !== '' && { description }),
    },
    servers: [{ url: url ?? '/' }],
    ...described.parts,
  };
}

/** The versions that have a document of their own, in the order that the configuration knows them. */
export function describedVersions({ versions }: GatewayConfig, { routes }: GatewayRoutes): readonly string[] {
  const served = new Set(routes.flatMap((route) => (isListed(route) ? (route.version ?? []) : [])));
  const known = Object.values(versions).flatMap((group) => group.known);
  return [...new Set(known)].filter((version) => served.has(version));
}

function isListed(route: GatewayRoutes['routes'][number]): route is ListedRoute {
  return (route instanceof RestRoute || route instanceof ComposedRoute) && route.documented;
}

class Description {
  readonly #schemes: SecuritySchemes;
  readonly #documents: UpstreamDocuments;
  readonly #routes: GatewayRoutes;
  readonly #components = new Components(answerHeaders);
  readonly #paths = new Map<string, Map<string, JsonMap>>();
  readonly #tags = new Map<string, string | undefined>();
  readonly #operationIds = new Set<string>();

  constructor(schemes: SecuritySchemes, documents: UpstreamDocuments, routes: GatewayRoutes) {
    this.#schemes = schemes;
    this.#documents = documents;
    this.#routes = routes;
    defineAnswers(
      this.#components,
      routes.routes.some((route) => route instanceof ComposedRoute),
    );
    for (const [name, definition] of schemes.definitions) this.#components.set('securitySchemes', name, definition);
  }

  get parts(): JsonMap {
    const paths = [...this.#paths].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return {
      tags: [...this.#tags]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, description]) => ({ name, ...(description !== undefined && { description }) })),
      paths: Object.fromEntries(paths.map(([path, operations]) => [path, Object.fromEntries(operations)])),
      components: this.#components.all,
    };
  }

  add(route: RestRoute): void {
    const from = route.document;
    const served = from ? servedOperations(route, from.document, this.#routes) : [];
    if (from && served.length > 0) {
      for (const operation of served)
        this.#put(operation.publicPath, operation.method, route, () => this.#describe(operation, route, from));
    } else {
      for (const path of plainPaths(route.criteria.pattern))
        for (const method of route.criteria.methods ?? anyMethod)
          if (method !== 'HEAD') this.#put(path, method, route, () => this.#plain(path, method, route));
    }
  }

  addComposed(route: ComposedRoute): void {
    const { document: from } = route;
    if (!from) {
      // Its answer has the form of its parts, which no document has.
      for (const path of plainPaths(route.criteria.pattern))
        this.#put(path, 'GET', route, () => this.#plain(path, 'GET', route));
      return;
    }
    const unchanged = { fixed: new Set<string>(), added: [] };
    for (const operation of from.document.operations) {
      const served = { ...operation, ...unchanged, publicPath: operation.path };
      this.#put(operation.path, operation.method, route, () => this.#describe(served, route, from));
    }
  }

  /** Of two routes for one path and method the first is listed: a document knows no hosts nor conditions. */
  #put(path: string, method: string, route: ListedRoute, describe: () => JsonMap): void {
    const operations = this.#paths.get(path) ?? new Map<string, JsonMap>();
    const key = method.toLowerCase();
    if (operations.has(key)) return;
    const tag = tagOf(route);
    this.#tags.set(tag, this.#documents.get(tag)?.document.title);
    const host = route.criteria.host;
    operations.set(key, {
      ...describe(),
      ...(host !== undefined && !host.startsWith('*') && { servers: [{ url: `//${host}` }] }),
    });
    this.#paths.set(path, operations);
  }

  #describe(served: ServedOperation, route: ListedRoute, from: UpstreamDocument): JsonMap {
    const { operation, parameters, fixed, added } = served;
    const upstream = tagOf(route);
    const kept = Object.fromEntries(
      Object.entries(operation).filter(([key]) => !ownAffairs.has(key) && !key.startsWith('x-')),
    );
    const named = operation.operationId;
    const operationId = typeof named === 'string' ? named : `${served.method}_${served.path}`;
    const responses = isMap(operation.responses) ? operation.responses : {};
    return {
      ...(this.#components.copy(kept, upstream, from) as JsonMap),
      ...this.#common(route, operationId),
      parameters: [
        ...parameters
          .filter(({ in: place, name }) => place !== 'path' || !fixed.has(String(name)))
          .map((parameter) => this.#components.copy(parameter, upstream, from)),
        ...added.map((name) => pathParameter(name)),
        ...versionParameters(route),
      ],
      responses: {
        ...gatewayAnswers({ ...sort(route), body: 'requestBody' in operation }),
        // What the service says of a status goes before what the gateway would say.
        ...Object.fromEntries(
          Object.entries(responses).map(([status, response]) => [
            status,
            withParts(route, status, this.#components.response(response, upstream, from)),
          ]),
        ),
      },
    };
  }

  #plain(path: string, method: string, route: ListedRoute): JsonMap {
    const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name!);
    const wildcards = new Set([...route.path.matchAll(/\*(\w+)/g)].map(([, name]) => name!));
    const body = method !== 'GET' && method !== 'DELETE';
    const parameters = [
      ...names.map((name) =>
        pathParameter(name, wildcards.has(name) ? 'What is left of the path; slashes stay as they are.' : undefined),
      ),
      ...versionParameters(route),
    ];
    return {
      summary: route instanceof RestRoute ? `Passed on to ${route.upstream.name}` : 'Made of several services',
      ...this.#common(route, `${route.name}_${method}`),
      ...(parameters.length > 0 && { parameters }),
      ...(body && { requestBody: { content: { '*/*': {} } } }),
      responses: {
        ...gatewayAnswers({ ...sort(route), body }),
        '2XX': { description: "The service's answer, which no document describes.", headers: headersOf(route) },
      },
    };
  }

  #common(route: ListedRoute, operationId: string): JsonMap {
    return {
      operationId: this.#unique(operationId.replaceAll(/[^\w.-]+/g, '_').replaceAll(/^_+|_+$/g, ''), route),
      tags: [tagOf(route)],
      security: this.#schemes.of(route.requirement),
      ...(route.retirement && { deprecated: true }),
      'x-weir-route': route.name,
    };
  }

  #unique(wanted: string, route: ListedRoute): string {
    const scope = route.name.replaceAll(/[^\w.-]+/g, '_').replaceAll(/^_+|_+$/g, '');
    const candidates = [wanted, `${tagOf(route)}_${wanted}`, `${scope}_${wanted}`];
    let found = candidates.find((id) => !this.#operationIds.has(id));
    for (let count = 2; found === undefined; count++)
      if (!this.#operationIds.has(`${scope}_${wanted}_${count}`)) found = `${scope}_${wanted}_${count}`;
    this.#operationIds.add(found);
    return found;
  }
}

function tagOf(route: ListedRoute): string {
  return route instanceof RestRoute ? route.documentName : route.tag;
}

/** Says of an answer that is made of several that some of it may be missing. */
function withParts(route: ListedRoute, status: string, response: unknown): unknown {
  if (route instanceof RestRoute || !status.startsWith('2') || !isMap(response)) return response;
  return { ...response, headers: { ...(isMap(response.headers) ? response.headers : {}), ...composedHeaders } };
}

function headersOf(route: ListedRoute): JsonMap {
  return route instanceof RestRoute ? answerHeaders : composedHeaders;
}

/** The header by which a client names the version; without it, it gets the default. */
function versionParameters({ criteria: { version } }: ListedRoute): JsonMap[] {
  const header = version?.group.header;
  if (!version || header === undefined) return [];
  return [
    {
      name: header,
      in: 'header',
      required: version.group.default !== version.name,
      schema: { const: version.name },
    },
  ];
}

function pathParameter(name: string, description?: string): JsonMap {
  return {
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(description !== undefined && { description }),
  };
}

function sort(route: ListedRoute): { readonly secured: boolean; readonly composed: boolean } {
  return { secured: route.requirement.mode !== 'none', composed: route instanceof ComposedRoute };
}
