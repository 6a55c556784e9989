import { isMap, ServiceDocument, type JsonMap, type ServiceOperation } from '#upstreams/service-document.ts';
import type { TransformSettings } from '#gateway/rest/transform/settings.ts';
import type { RouteVersion } from '#gateway/routing/table.ts';
import { answerSchema, requestSchema } from './client-schema.ts';
import type { UpstreamDocument } from './documents.ts';

/** RFC 8259 §11 and RFC 6839 §3.1. */
const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/**
 * A service's document as clients of a route know the service: what the route changes on the way is changed in it too. It is
 * what `/openapi.json` shows, and what requests and answers of the route are held to.
 */
export function clientDocument(
  from: UpstreamDocument,
  changes: TransformSettings,
  version: RouteVersion | undefined,
): UpstreamDocument {
  const mediaType = version?.group.mediaTypeOf(version.name);
  const { headers, query, body } = changes;
  if (!headers && !query && !body && mediaType === undefined) return from;
  const side = new ClientSide(from.document, changes, mediaType);
  const paths: Record<string, Record<string, JsonMap>> = {};
  for (const operation of from.document.operations)
    (paths[operation.path] ??= {})[operation.method.toLowerCase()] = side.operation(operation);
  return { ...from, document: new ServiceDocument({ ...from.document.root, paths }) };
}

class ClientSide {
  readonly #document: ServiceDocument;
  readonly #changes: TransformSettings;
  /** In place of `application/json`, where clients name the version by it. */
  readonly #mediaType: string | undefined;

  constructor(document: ServiceDocument, changes: TransformSettings, mediaType: string | undefined) {
    this.#document = document;
    this.#changes = changes;
    this.#mediaType = mediaType;
  }

  operation({ operation, parameters }: ServiceOperation): JsonMap {
    const { requestBody, responses } = operation;
    return {
      ...operation,
      parameters: parameters.flatMap((parameter) => this.#parameter(parameter) ?? []),
      ...(requestBody !== undefined && { requestBody: this.#requestBody(requestBody) }),
      ...(isMap(responses) && {
        responses: Object.fromEntries(
          Object.entries(responses).map(([status, response]) => [status, this.#response(status, response)]),
        ),
      }),
    };
  }

  /** Under the name that clients use; undefined for one that the gateway writes itself, or takes out. */
  #parameter(parameter: JsonMap): JsonMap | undefined {
    const name = String(parameter.name);
    const { query, headers } = this.#changes;
    if (parameter.in === 'query' && query) return named(parameter, clientName(name, query));
    if (parameter.in === 'header' && headers?.request) return named(parameter, clientName(name, headers.request, true));
    return parameter;
  }

  #requestBody(stated: unknown): unknown {
    const found = this.#document.resolve(stated);
    if (!isMap(found) || !isMap(found.content)) return stated;
    const changes = this.#changes.body?.request;
    const content = changes
      ? changedContent(found.content, (schema) => requestSchema(schema, changes, this.#document))
      : found.content;
    // Either is taken.
    const json = this.#mediaType === undefined ? undefined : content['application/json'];
    return {
      ...found,
      content: this.#mediaType === undefined || json === undefined ? content : { [this.#mediaType]: json, ...content },
    };
  }

  #response(status: string, stated: unknown): unknown {
    const found = this.#document.resolve(stated);
    if (!isMap(found)) return stated;
    const fields = status.startsWith('2') ? this.#changes.body?.response : undefined;
    const fromHeaders = this.#changes.headers?.response;
    const content = isMap(found.content) ? found.content : undefined;
    const changed =
      content && fields ? changedContent(content, (schema) => answerSchema(schema, fields, this.#document)) : content;
    return {
      ...found,
      ...(changed && { content: this.#versioned(changed) }),
      ...(fromHeaders && { headers: changedHeaders(isMap(found.headers) ? found.headers : {}, fromHeaders) }),
    };
  }

  #versioned(content: JsonMap): JsonMap {
    const type = this.#mediaType;
    if (type === undefined) return content;
    return Object.fromEntries(
      Object.entries(content).map(([name, media]) => [name === 'application/json' ? type : name, media]),
    );
  }
}

interface NameChanges {
  readonly rename: Readonly<Record<string, string>>;
  readonly remove: readonly string[];
  readonly set: Readonly<Record<string, unknown>>;
}

/** What a client writes that becomes this name; undefined where nothing that a client writes does. */
function clientName(name: string, { rename, remove, set }: NameChanges, folded = false): string | undefined {
  const same = (other: string) => (folded ? other.toLowerCase() === name.toLowerCase() : other === name);
  if ([...remove, ...Object.keys(set)].some(same)) return undefined;
  return Object.entries(rename).find(([, to]) => same(to))?.[0] ?? name;
}

function named(parameter: JsonMap, name: string | undefined): JsonMap | undefined {
  return name === undefined ? undefined : { ...parameter, name };
}

function changedContent(content: JsonMap, change: (schema: unknown) => unknown): JsonMap {
  return Object.fromEntries(
    Object.entries(content).map(([type, media]) => [
      type,
      jsonType.test(type) && isMap(media) && media.schema !== undefined
        ? { ...media, schema: change(media.schema) }
        : media,
    ]),
  );
}

function changedHeaders(stated: JsonMap, { rename, remove, set }: NameChanges): JsonMap {
  const renamed = new Map(Object.entries(rename).map(([from, to]) => [from.toLowerCase(), to]));
  const gone = new Set([...remove, ...Object.keys(set)].map((name) => name.toLowerCase()));
  const kept = Object.entries(stated).flatMap(([name, header]) => {
    const shown = renamed.get(name.toLowerCase()) ?? name;
    return gone.has(shown.toLowerCase()) ? [] : [[shown, header] as const];
  });
  const added = Object.keys(set).map((name) => [name, { schema: { type: 'string' } }] as const);
  return Object.fromEntries([...kept, ...added]);
}
