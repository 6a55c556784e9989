import { z } from 'zod';
import type { ConfigPath } from './node.ts';
import { configSchema } from './schema.ts';

/** The part of JSON Schema that zod writes for our fields, with what `upstreams/fields.ts` notes on them. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly propertyNames?: SchemaNode;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly unit?: 'duration' | 'size';
  readonly bounds?: string;
}

let written: SchemaNode | undefined;

/** The configuration as data: what the file may hold, in its spelling. Messages, defaults and documents are made from it. */
export function contract(): SchemaNode {
  return (written ??= z.toJSONSchema(configSchema, {
    io: 'input',
    unrepresentable: 'any',
    // Forms that a `kind` tells apart are forms like any others.
    override({ jsonSchema }) {
      const { oneOf, properties } = jsonSchema;
      if (!oneOf || properties) return;
      delete jsonSchema.oneOf;
      jsonSchema.anyOf = oneOf;
    },
  }) as SchemaNode);
}

/** Of several forms of a map the one that a value has, by the keys that must have one certain value. */
export function formOf({ anyOf = [] }: SchemaNode, valueOf: (key: string) => unknown): SchemaNode | undefined {
  const maps = anyOf.filter(({ type }) => type === 'object');
  const fits = ({ properties = {} }: SchemaNode): boolean =>
    Object.entries(properties).every(([key, child]) => child.const === undefined || child.const === valueOf(key));
  return maps.find(fits) ?? maps[0];
}

/** The schema of the value at a path. Of several forms, the one that has what the path asks for. */
export function schemaAt(path: ConfigPath): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>((schema, key) => schema && childSchema(schema, key), contract());
}

export function childSchema(schema: SchemaNode, key: string | number): SchemaNode | undefined {
  if (schema.anyOf) return schema.anyOf.map((form) => childSchema(form, key)).find((child) => child !== undefined);
  if (typeof key === 'number') return schema.items;
  if (schema.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key];
  return typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined;
}

/** The keys that a map of this schema may have. */
export function keysOf(schema: SchemaNode | undefined): string[] {
  const maps = [schema, ...(schema?.anyOf ?? [])];
  return maps.flatMap((map) => Object.keys(map?.properties ?? {}));
}

/** What a value must be, in words. */
export function kindOf(schema: SchemaNode): string {
  if (schema.anyOf) return [...new Set(schema.anyOf.map(kindOf))].join(' or ');
  if (schema.const !== undefined) return shown(schema.const);
  if (schema.enum) return listed(schema.enum.map(shown));
  if (schema.unit === 'duration') return `a duration such as 800ms or 30s${schema.bounds ? `, ${schema.bounds}` : ''}`;
  if (schema.unit === 'size') return `a size such as 64KiB or 1MiB${schema.bounds ? `, ${schema.bounds}` : ''}`;
  switch (schema.type) {
    case 'integer':
      return `a whole number${range(schema)}`;
    case 'number':
      return `a number${range(schema)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
      return 'a map of keys to values';
    case undefined:
      return 'any value';
    default:
      return schema.format === 'uri' ? 'a URL' : 'text';
  }
}

function range({ minimum, maximum }: SchemaNode): string {
  if (minimum === undefined) return maximum === undefined ? '' : ` up to ${maximum}`;
  return maximum === undefined ? ` from ${minimum}` : ` from ${minimum} to ${maximum}`;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`;
}
