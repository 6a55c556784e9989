import { pathTemplate, type PathTemplate } from '#upstreams/path-template.ts';
import { isMap, type ServiceDocument, type ServiceOperation } from '#upstreams/service-document.ts';
import { Parameters } from './parameters.ts';
import { Schemas, type BodyCheck } from './schemas.ts';

/** Bodies by media type, as the document spells them, ranges included; undefined where it says nothing of their content. */
export type MediaTypes = ReadonlyMap<string, BodyCheck | undefined>;

export interface CheckedOperation {
  readonly method: string;
  /** As in the document: for logs. */
  readonly name: string;
  readonly parameters: Parameters;
  readonly body: { readonly required: boolean; readonly types: MediaTypes } | undefined;
  /** By status as the document spells it: `200`, `4XX`, `default`. */
  readonly responses: ReadonlyMap<string, MediaTypes>;
}

interface CheckedPath extends PathTemplate {
  readonly template: string;
  readonly operations: ReadonlyMap<string, CheckedOperation>;
}

/** What a path of a service has. */
export interface Found {
  readonly operations: ReadonlyMap<string, CheckedOperation>;
  /** Path parameters, percent-encoded as sent. */
  readonly parts: Readonly<Record<string, string>>;
}

const noParts: Readonly<Record<string, string>> = Object.freeze({});

/** Everything that a document says of operations, ready to be checked against. */
export class CheckedOperations {
  readonly #fixed = new Map<string, CheckedPath>();
  readonly #templates: readonly CheckedPath[];
  /** Some operation takes a JSON body. */
  readonly readsBodies: boolean;

  /** @throws {Error} with the operation whose schema cannot be used */
  constructor(document: ServiceDocument) {
    const schemas = new Schemas(document.root);
    const byPath = Map.groupBy(document.operations, ({ path }) => path);
    const paths = [...byPath].map(([path, operations]) => readPath(path, operations, document, schemas));
    for (const path of paths) if (path.names.length === 0) this.#fixed.set(path.template, path);
    // Of two templates that match, the one that is fixed for longer (OpenAPI 3.1 §4.8.8.2 goes no further than fixed first).
    this.#templates = paths
      .filter(({ names }) => names.length > 0)
      .toSorted((a, b) => b.template.indexOf('{') - a.template.indexOf('{') || a.names.length - b.names.length);
    this.readsBodies = paths.some(({ operations }) =>
      [...operations.values()].some(
        ({ body }) => body && [...body.types.values()].some((check) => check !== undefined),
      ),
    );
  }

  /** @param path at the service */
  find(path: string): Found | undefined {
    // The gateway's routes take a slash at the end as they take none.
    const bare = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
    const fixed = this.#fixed.get(path) ?? this.#fixed.get(bare);
    if (fixed) return { operations: fixed.operations, parts: noParts };
    for (const { match, names, operations } of this.#templates) {
      const found = match.exec(bare);
      if (!found) continue;
      return { operations, parts: Object.fromEntries(names.map((name, index) => [name, found[index + 1]!])) };
    }
    return undefined;
  }
}

function readPath(
  template: string,
  operations: readonly ServiceOperation[],
  document: ServiceDocument,
  schemas: Schemas,
): CheckedPath {
  return {
    template,
    ...pathTemplate(template),
    operations: new Map(operations.map((operation) => [operation.method, readOperation(operation, document, schemas)])),
  };
}

function readOperation(stated: ServiceOperation, document: ServiceDocument, schemas: Schemas): CheckedOperation {
  const { method, path, operation } = stated;
  const name = `${method} ${path}`;
  try {
    const body = document.resolve(operation.requestBody);
    const responses = isMap(operation.responses) ? Object.entries(operation.responses) : [];
    return {
      method,
      name,
      parameters: new Parameters(stated, document, schemas),
      body: isMap(body) ? { required: body.required === true, types: mediaTypes(body.content, schemas) } : undefined,
      responses: new Map(
        responses.map(([status, stated_]) => {
          const response = document.resolve(stated_);
          return [status.toUpperCase(), mediaTypes(isMap(response) ? response.content : undefined, schemas)];
        }),
      ),
    };
  } catch (error) {
    throw new Error(`a schema of ${name} cannot be used: ${(error as Error).message}`, { cause: error });
  }
}

function mediaTypes(content: unknown, schemas: Schemas): MediaTypes {
  if (!isMap(content)) return new Map();
  return new Map(
    Object.entries(content).map(([spelt, media]) => {
      const type = essence(spelt);
      const schema = isMap(media) ? media.schema : undefined;
      return [type, isJson(type) && schema !== undefined ? schemas.body(schema) : undefined];
    }),
  );
}

/** `type/subtype` in lower case, without parameters. */
export function essence(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase();
}

export function isJson(type: string): boolean {
  return type === 'application/json' || type.endsWith('+json');
}

/** The entry of a media type, or of the range that it lies in. */
export function entryOf(types: MediaTypes, type: string): { readonly check: BodyCheck | undefined } | undefined {
  for (const key of [type, `${type.slice(0, type.indexOf('/'))}/*`, '*/*'])
    if (types.has(key)) return { check: types.get(key) };
  return undefined;
}
