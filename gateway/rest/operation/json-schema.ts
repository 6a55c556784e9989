import {
  getNamedType,
  GraphQLBoolean,
  GraphQLFloat,
  GraphQLID,
  GraphQLInt,
  GraphQLString,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
  type GraphQLInputType,
  type GraphQLNamedType,
} from 'graphql';
import type { JsonMap } from '#upstreams/service-document.ts';

const scalars = new Map<GraphQLNamedType, JsonMap>([
  [GraphQLInt, { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 }],
  [GraphQLFloat, { type: 'number' }],
  [GraphQLString, { type: 'string' }],
  [GraphQLBoolean, { type: 'boolean' }],
  [GraphQLID, { type: 'string' }],
]);

/** Of a scalar or an enum. What a scalar of a module is, only the module knows. */
export function leafSchema(type: GraphQLNamedType): JsonMap {
  if (isEnumType(type)) return { type: 'string', enum: type.getValues().map(({ name }) => name) };
  const { description } = type;
  return scalars.get(type) ?? (typeof description === 'string' ? { description } : {});
}

/** The same, or null. */
export function orNull(schema: JsonMap): JsonMap {
  if (typeof schema.type !== 'string')
    return Object.keys(schema).length === 0 ? {} : { anyOf: [schema, { type: 'null' }] };
  return {
    ...schema,
    type: [schema.type, 'null'],
    ...(Array.isArray(schema.enum) && { enum: [...(schema.enum as unknown[]), null] }),
  };
}

/** Schemas of GraphQL's input types, those of objects as components. */
export class InputSchemas {
  readonly components: Record<string, JsonMap> = {};

  of(type: GraphQLInputType): JsonMap {
    return isNonNullType(type) ? this.#nonNull(type.ofType) : orNull(this.#nonNull(type));
  }

  /** Of a parameter, which is left out rather than null. */
  given(type: GraphQLInputType): JsonMap {
    return this.#nonNull(isNonNullType(type) ? type.ofType : type);
  }

  #nonNull(type: unknown): JsonMap {
    if (isListType(type)) return { type: 'array', items: this.of(type.ofType as GraphQLInputType) };
    const named = getNamedType(type as GraphQLInputType);
    if (!isInputObjectType(named)) return leafSchema(named);
    const { name } = named;
    if (!this.components[name]) {
      // Before its fields, which may refer to it.
      this.components[name] = {};
      const fields = Object.values(named.getFields());
      this.components[name] = {
        type: 'object',
        additionalProperties: false,
        required: fields.filter(isRequiredInputField).map((field) => field.name),
        properties: Object.fromEntries(
          fields.map((field) => [
            field.name,
            {
              ...this.of(field.type),
              ...(typeof field.description === 'string' && { description: field.description }),
            },
          ]),
        ),
      };
    }
    return { $ref: `#/components/schemas/${name}` };
  }
}
