import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** A map of a JSON document. */
export type JsonMap = Readonly<Record<string, unknown>>;

/** One method of one path of a service, references of its parameters followed. */
export interface ServiceOperation {
  /** Upper case. */
  readonly method: string;
  /** Such as `/orders/{id}`. */
  readonly path: string;
  readonly operation: JsonMap;
  /** Those of the path and of the operation; of two of one name and place the operation's. */
  readonly parameters: readonly JsonMap[];
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const;

/** A service's OpenAPI document as a whole. One of version 3.0 is read as the 3.1 that says the same. */
export class ServiceDocument {
  readonly root: JsonMap;
  readonly operations: readonly ServiceOperation[];

  /** @throws {Error} with what keeps it from being read, in words */
  constructor(root: unknown) {
    if (!isMap(root)) throw new Error('it is no OpenAPI document');
    const stated = root.openapi ?? root.swagger;
    const version = typeof stated === 'string' ? stated : 'none that is text';
    if (!/^3\.[01]\./.test(version)) throw new Error(`its version is ${version}; write OpenAPI 3.0 or 3.1`);
    if (!isMap(root.paths)) throw new Error('it has no paths');
    this.root = version.startsWith('3.0') ? { ...(modern(root) as JsonMap), openapi: '3.1.0' } : root;
    this.#checkReferences(this.root);
    this.operations = Object.entries(this.root.paths as JsonMap).flatMap(([path, item]) =>
      this.#operationsOf(path, item),
    );
  }

  /** @throws {Error} when it cannot be read, or is no OpenAPI document */
  static read(file: URL | string): ServiceDocument {
    return new ServiceDocument(parse(readFileSync(file, 'utf8')));
  }

  get title(): string | undefined {
    const { info } = this.root;
    return isMap(info) && typeof info.title === 'string' ? info.title : undefined;
  }

  /** What a reference leads to, or the value itself. */
  resolve(value: unknown): unknown {
    let found = value;
    for (let steps = 0; isMap(found) && typeof found.$ref === 'string' && steps < 32; steps++)
      found = this.at(found.$ref);
    return found;
  }

  /** The value at a reference such as `#/components/schemas/Order` (RFC 6901); undefined where there is none. */
  at(reference: string): unknown {
    return pointerParts(reference).reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null ? (value as JsonMap)[part] : undefined),
      this.root,
    );
  }

  #operationsOf(path: string, item: unknown): ServiceOperation[] {
    const found = this.resolve(item);
    if (!isMap(found)) return [];
    return methods.flatMap((method) => {
      const operation = found[method];
      if (!isMap(operation)) return [];
      const byPlace = new Map<string, JsonMap>();
      for (const stated of [...listOf(found.parameters), ...listOf(operation.parameters)]) {
        const parameter = this.resolve(stated);
        if (isMap(parameter)) byPlace.set(`${String(parameter.in)} ${String(parameter.name)}`, parameter);
      }
      return [{ method: method.toUpperCase(), path, operation, parameters: [...byPlace.values()] }];
    });
  }

  #checkReferences(value: unknown): void {
    if (Array.isArray(value)) for (const item of value) this.#checkReferences(item);
    if (!isMap(value)) return;
    const { $ref } = value;
    if (typeof $ref === 'string') {
      if (!$ref.startsWith('#/')) throw new Error(`the reference ${$ref} leads out of it; bundle it into one file`);
      if (this.at($ref) === undefined) throw new Error(`the reference ${$ref} leads nowhere`);
    }
    for (const child of Object.values(value)) this.#checkReferences(child);
  }
}

function pointerParts(reference: string): string[] {
  return reference
    .slice(2)
    .split('/')
    .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'));
}

export function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

/** What OpenAPI 3.0 says of schemas in words of its own, in those of JSON Schema 2020-12. */
function modern(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(modern);
  if (!isMap(value)) return value;
  const schema = Object.fromEntries(Object.entries(value).map(([key, child]) => [key, modern(child)]));
  const { nullable, exclusiveMinimum, exclusiveMaximum, minimum, maximum } = schema;
  if (nullable === true && typeof schema.type === 'string') {
    schema.type = [schema.type, 'null'];
    if (Array.isArray(schema.enum)) schema.enum = [...(schema.enum as unknown[]), null];
  }
  if (typeof nullable === 'boolean') delete schema.nullable;
  if (typeof exclusiveMinimum === 'boolean') {
    delete schema.exclusiveMinimum;
    if (exclusiveMinimum && typeof minimum === 'number') {
      schema.exclusiveMinimum = minimum;
      delete schema.minimum;
    }
  }
  if (typeof exclusiveMaximum === 'boolean') {
    delete schema.exclusiveMaximum;
    if (exclusiveMaximum && typeof maximum === 'number') {
      schema.exclusiveMaximum = maximum;
      delete schema.maximum;
    }
  }
  return schema;
}
