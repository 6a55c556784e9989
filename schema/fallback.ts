import {
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
  type GraphQLEnumType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLScalarType,
} from 'graphql';
import { baseScalars } from './scalars.ts';

/** What the modules put behind the types, as far as a value written as JSON depends on it. */
export interface BehindTypes {
  /** Scalars, and what enum values are inside, by type. */
  readonly leaves: ReadonlyMap<string, object>;
  /** Fields that something answers, as `Type.field`. */
  readonly answered: ReadonlySet<string>;
}

/** The most JSON that a field may have written in its SDL, in characters. */
const maxLength = 64 * 1024;

/**
 * Reads the JSON of a field's `fallback` as the value that a resolver would have given: enum values and scalars as the
 * modules have them inside. Everything in it is frozen, since every request gets the same.
 * @returns the value, or what does not fit, each with its place in the JSON
 */
export function readFallback(
  text: string,
  type: GraphQLOutputType,
  behind: BehindTypes,
): { readonly value: unknown } | { readonly misfits: readonly string[] } {
  if (text.length > maxLength) return { misfits: [`it has more than ${maxLength} characters`] };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { misfits: [`it is no JSON (${(error as Error).message})`] };
  }
  const reader = new Reader(behind);
  const value = reader.read(json, type, '');
  return reader.misfits.length > 0 ? { misfits: reader.misfits } : { value };
}

class Reader {
  readonly misfits: string[] = [];
  readonly #behind: BehindTypes;

  constructor(behind: BehindTypes) {
    this.#behind = behind;
  }

  read(json: unknown, type: GraphQLOutputType, at: string): unknown {
    if (isNonNullType(type)) {
      return json === null
        ? this.#misfit(at, `is null, which ${String(type)} cannot be`)
        : this.read(json, type.ofType, at);
    }
    if (json === null) return null;
    if (isListType(type)) {
      if (!Array.isArray(json)) return this.#misfit(at, `is no list, as ${String(type)} wants`);
      return Object.freeze(json.map((item, index) => this.read(item, type.ofType, `${at}[${index}]`)));
    }
    if (isObjectType(type)) return this.#object(json, type, at);
    if (isEnumType(type)) return this.#enumValue(json, type, at);
    if (isScalarType(type)) return this.#scalar(json, type, at);
    return this.#misfit(at, `stands for ${type.name}, which is no object type; only null or an empty list can`);
  }

  /** What something answers would be asked with a parent that it did not make. */
  #object(json: unknown, type: GraphQLObjectType, at: string): unknown {
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      return this.#misfit(at, `is no object, as ${type.name} wants`);
    const fields = Object.values(type.getFields());
    const answered = fields.find(({ name }) => this.#behind.answered.has(`${type.name}.${name}`));
    if (answered) {
      const why = `${type.name}.${answered.name} has a resolver, and a fallback can only be plain data`;
      return this.#misfit(at, `cannot be a ${type.name}: ${why}; only null or an empty list can stand here`);
    }
    const given = new Map<string, unknown>(Object.entries(json));
    const value: Record<string, unknown> = {};
    for (const field of fields) {
      const member = given.get(field.name) ?? null;
      given.delete(field.name);
      value[field.name] = this.read(member, field.type, `${at}.${field.name}`);
    }
    for (const name of given.keys()) this.#misfit(`${at}.${name}`, `is no field of ${type.name}`);
    return Object.freeze(value);
  }

  #enumValue(json: unknown, type: GraphQLEnumType, at: string): unknown {
    if (typeof json !== 'string' || !type.getValue(json)) {
      const names = type.getValues().map(({ name }) => name);
      return this.#misfit(at, `is no ${type.name}, which is one of ${names.join(', ')}`);
    }
    const inside = this.#behind.leaves.get(type.name);
    return inside && Object.hasOwn(inside, json) ? (inside as Readonly<Record<string, unknown>>)[json] : json;
  }

  /** JSON is what a client would send or get; inside, a module may have something else. */
  #scalar(json: unknown, declared: GraphQLScalarType, at: string): unknown {
    const { name } = declared;
    const base: Readonly<Record<string, GraphQLScalarType>> = baseScalars;
    const scalar = (this.#behind.leaves.get(name) as GraphQLScalarType | undefined) ?? base[name] ?? declared;
    try {
      const value: unknown = scalar.coerceInputValue(json);
      const sent: unknown = scalar.coerceOutputValue(value);
      if (sent !== null && sent !== undefined) return value;
    } catch {
      // It says so by throwing.
    }
    return this.#misfit(at, `is no ${name}`);
  }

  #misfit(at: string, what: string): undefined {
    this.misfits.push(`${at === '' ? 'it' : at} ${what}`);
  }
}
