/** The part of JSON Schema 2020-12 that OpenAPI documents of services are written in. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  /** OpenAPI 3.0's way to say that it may be null. */
  readonly nullable?: boolean;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly examples?: readonly unknown[];
  readonly example?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly multipleOf?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | JsonSchema;
  readonly allOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

/** Looks a `$ref` up. */
export type Resolve = (schema: JsonSchema) => JsonSchema;

/** The first thing that a value is not, and where. */
export interface Misfit {
  /** RFC 6901. */
  readonly pointer: string;
  readonly expected: string;
}

/** RFC 6901 §3. */
export function step(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

export function typesOf({ type, nullable, properties, items }: JsonSchema): readonly string[] | undefined {
  const stated =
    typeof type === 'string' ? [type] : (type ?? (properties ? ['object'] : items ? ['array'] : undefined));
  return stated && nullable === true ? [...stated, 'null'] : stated;
}

/**
 * What keeps a value from having the type that its schema promises: kinds of value, required properties, enums. Bounds and
 * patterns are no part of a type, so they are left to who answers.
 */
export function misfit(schema: JsonSchema, value: unknown, resolve: Resolve, pointer = ''): Misfit | undefined {
  const resolved = resolve(schema);
  const types = typesOf(resolved);
  if (types && !types.some((type) => isOfType(type, value))) return { pointer, expected: types.join(' or ') };
  if (resolved.const !== undefined && value !== resolved.const)
    return { pointer, expected: JSON.stringify(resolved.const) };
  if (resolved.enum && !resolved.enum.includes(value))
    return { pointer, expected: `one of ${resolved.enum.map((one) => JSON.stringify(one)).join(', ')}` };
  for (const part of resolved.allOf ?? []) {
    const found = misfit(part, value, resolve, pointer);
    if (found) return found;
  }
  const choices = resolved.anyOf ?? resolved.oneOf;
  if (choices) {
    const misfits = choices.map((choice) => misfit(choice, value, resolve, pointer));
    if (misfits.every((found) => found !== undefined)) return misfits[0];
  }
  return Array.isArray(value)
    ? inItems(resolved, value, resolve, pointer)
    : inMembers(resolved, value, resolve, pointer);
}

function inItems({ items }: JsonSchema, value: readonly unknown[], resolve: Resolve, pointer: string) {
  if (!items) return undefined;
  for (const [index, item] of value.entries()) {
    const found = misfit(items, item, resolve, step(pointer, index));
    if (found) return found;
  }
  return undefined;
}

function inMembers({ required, properties }: JsonSchema, value: unknown, resolve: Resolve, pointer: string) {
  if (typeof value !== 'object' || value === null) return undefined;
  const members = value as Readonly<Record<string, unknown>>;
  for (const name of required ?? [])
    if (members[name] === undefined) return { pointer: step(pointer, name), expected: 'a value, which is required' };
  for (const name in properties) {
    const member = members[name];
    const found = member === undefined ? undefined : misfit(properties[name]!, member, resolve, step(pointer, name));
    if (found) return found;
  }
  return undefined;
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
