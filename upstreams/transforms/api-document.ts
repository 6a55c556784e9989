import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { OpenapiDocument, type Method } from '#upstreams/openapi.ts';
import { pathTemplate, type PathTemplate } from '#upstreams/path-template.ts';
import type { JsonSchema, Resolve } from './json-schema.ts';

const methods: readonly Method[] = ['get', 'put', 'post', 'patch', 'delete'];

interface Content {
  readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>>;
}

interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema?: JsonSchema;
}

interface OperationObject {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Content & { readonly required?: boolean; readonly $ref?: string };
  readonly responses?: Readonly<Record<string, Content & { readonly $ref?: string }>>;
}

/** One operation of an API, as far as a transform has to know it. */
export interface Operation {
  /** Such as `GET /orders/{id}`. */
  readonly key: string;
  readonly method: string;
  /** As the document writes it. */
  readonly path: string;
  readonly template: PathTemplate;
  /** What stands between the items of the lists that are written in one parameter, by its name. */
  readonly separators: ReadonlyMap<string, string>;
  /** By place and name: `query.first`, `path.id`. */
  readonly parameters: readonly ApiParameter[];
  /** Of a JSON request body; undefined where it takes none. */
  readonly body: JsonSchema | undefined;
  readonly bodyRequired: boolean;
  /** By status, `4XX` or `default`: the JSON of the answer, undefined for one without. */
  readonly responses: ReadonlyMap<string, JsonSchema | undefined>;
}

export interface ApiParameter {
  readonly place: string;
  readonly name: string;
  readonly required: boolean;
  readonly schema: JsonSchema;
}

/** RFC 8259 §11 and RFC 6839 §3.1. */
export const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/** An OpenAPI document as a list of operations and the schemas they speak of. */
export class ApiDocument {
  readonly operations: readonly Operation[];
  readonly #byKey: ReadonlyMap<string, Operation>;
  readonly #document: object;

  /** @throws {Error} when the file cannot be read, or is no OpenAPI document */
  constructor(url: URL) {
    const openapi = OpenapiDocument.read(url);
    const document = parse(readFileSync(url, 'utf8')) as {
      readonly paths: Readonly<Record<string, OperationObject & Partial<Record<Method, OperationObject>>>>;
    };
    this.#document = document;
    this.operations = Object.entries(document.paths)
      .flatMap(([path, item]) =>
        methods.flatMap((method) => {
          const operation = item[method];
          if (!operation) return [];
          const separators = openapi.separators(method, path);
          return [this.#operation(method, path, operation, item.parameters ?? [], separators)];
        }),
      )
      // `/orders/events` before `/orders/{id}`.
      .toSorted((a, b) => a.template.names.length - b.template.names.length);
    this.#byKey = new Map(this.operations.map((operation) => [operation.key, operation]));
  }

  get(key: string): Operation | undefined {
    return this.#byKey.get(key);
  }

  /** The operations of a path, whatever their method, with what the path names, decoded. */
  at(path: string): readonly { readonly operation: Operation; readonly params: Record<string, string> }[] {
    const bare = path.endsWith('/') && path.length > 1 ? path.slice(0, -1) : path;
    return this.operations.flatMap((operation) => {
      const { names, match } = operation.template;
      const found = match.exec(bare);
      if (!found) return [];
      return [
        { operation, params: Object.fromEntries(names.map((name, index) => [name, decoded(found[index + 1]!)])) },
      ];
    });
  }

  readonly resolve: Resolve = (schema) =>
    schema.$ref === undefined ? schema : this.resolve(this.#lookUp(schema.$ref));

  #operation(
    method: Method,
    path: string,
    { parameters = [], requestBody, responses = {} }: OperationObject,
    shared: readonly Parameter[],
    separators: ReadonlyMap<string, string>,
  ): Operation {
    const body = requestBody && this.#found(requestBody);
    return {
      key: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      template: pathTemplate(path),
      separators,
      parameters: [...shared, ...parameters].map((stated) => {
        const { name, in: place, required = false, schema = {} } = this.#found(stated);
        return { name, place, required, schema };
      }),
      body: body && jsonOf(body),
      bodyRequired: body?.required ?? false,
      responses: new Map(
        Object.entries(responses).map(([status, response]) => [status.toUpperCase(), jsonOf(this.#found(response))]),
      ),
    };
  }

  #found<T extends { readonly $ref?: string }>(stated: T): T {
    return stated.$ref === undefined ? stated : this.#found(this.#lookUp(stated.$ref) as T);
  }

  /** RFC 6901 in the document itself. */
  #lookUp(ref: string): object {
    if (!ref.startsWith('#/')) throw new Error(`$ref: ${ref} leads out of the document; write the schema into it`);
    const found = ref
      .slice(2)
      .split('/')
      .reduce<unknown>(
        (node, key) =>
          (node as Readonly<Record<string, unknown>> | undefined)?.[key.replaceAll('~1', '/').replaceAll('~0', '~')],
        this.#document,
      );
    if (typeof found !== 'object' || found === null) throw new Error(`$ref: ${ref} leads to nothing`);
    return found;
  }
}

/** The JSON that an answer of this status holds; undefined where the document does not speak of the status. */
export function statusOf(
  { responses }: Operation,
  status: number,
): { readonly schema: JsonSchema | undefined } | undefined {
  for (const key of [String(status), `${Math.floor(status / 100)}XX`, 'DEFAULT'])
    if (responses.has(key)) return { schema: responses.get(key) };
  return undefined;
}

function jsonOf({ content = {} }: Content): JsonSchema | undefined {
  return Object.entries(content).find(([type]) => jsonType.test(type))?.[1].schema;
}

/** What is wrongly encoded stays as it is. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
