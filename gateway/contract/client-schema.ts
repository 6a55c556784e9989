import { isMap, type JsonMap, type ServiceDocument } from '#upstreams/service-document.ts';
import type { FieldChanges } from '#gateway/rest/transform/settings.ts';
import { pointerTokens } from '#gateway/rest/transform/pointer.ts';

/** Changes the schema of the object that has a field, whose name is given. */
type Edit = (object: JsonMap, field: string) => JsonMap;

/** Of an answer: what the service's schema becomes by the changes that its JSON goes through, in their order. */
export function answerSchema(
  schema: unknown,
  { rename, remove, set }: FieldChanges,
  document: ServiceDocument,
): unknown {
  let changed = schema;
  for (const [pointer, name] of Object.entries(rename))
    changed = editAt(changed, pointer, document, (object, field) => renamed(object, field, name));
  for (const pointer of remove) changed = editAt(changed, pointer, document, without);
  for (const [pointer, value] of Object.entries(set))
    changed = editAt(changed, pointer, document, (object, field) => withField(object, field, schemaOf(value)));
  return changed;
}

/**
 * Of a request: the schema of what becomes the service's by the same changes, so they are taken back, the last one first.
 * What the gateway writes itself no client need write, and what it takes out any client may.
 */
export function requestSchema(
  schema: unknown,
  { rename, remove, set }: FieldChanges,
  document: ServiceDocument,
): unknown {
  let changed = schema;
  for (const pointer of Object.keys(set)) changed = editAt(changed, pointer, document, without);
  for (const pointer of remove)
    changed = editAt(changed, pointer, document, (object, field) => {
      const open = without(object, field);
      return object.additionalProperties === false ? withField(open, field, {}) : open;
    });
  for (const [pointer, name] of Object.entries(rename).toReversed())
    changed = editAt(changed, pointer, document, (object, field) => renamed(object, name, field));
  return changed;
}

function editAt(schema: unknown, pointer: string, document: ServiceDocument, edit: Edit): unknown {
  const tokens = pointerTokens(pointer);
  const field = tokens.pop()!;
  return walk(schema, tokens, document, (object) => edit(object, field));
}

/** A copy with the object at the end of a way edited. Schemas on the way are no longer the document's shared ones. */
function walk(
  schema: unknown,
  way: readonly string[],
  document: ServiceDocument,
  edit: (object: JsonMap) => JsonMap,
): unknown {
  if (!isMap(schema)) return schema;
  const { $ref, ...beside } = schema;
  const found = $ref === undefined ? schema : document.resolve(schema);
  if (!isMap(found)) return schema;
  const own: Record<string, unknown> = { ...found, ...beside };
  for (const key of ['allOf', 'anyOf', 'oneOf'] as const) {
    const branches = own[key];
    if (Array.isArray(branches)) own[key] = branches.map((branch: unknown) => walk(branch, way, document, edit));
  }
  const [token, ...rest] = way;
  if (token === undefined) return edit(own);
  if (token === '*' && own.items !== undefined) own.items = walk(own.items, rest, document, edit);
  const { properties } = own;
  if (isMap(properties) && Object.hasOwn(properties, token))
    own.properties = { ...properties, [token]: walk(properties[token], rest, document, edit) };
  return own;
}

function renamed(object: JsonMap, from: string, to: string): JsonMap {
  const { properties, required } = object;
  if (!isMap(properties) || !Object.hasOwn(properties, from)) return object;
  return {
    ...object,
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [name === from ? to : name, child]),
    ),
    ...(Array.isArray(required) && { required: required.map((name: unknown) => (name === from ? to : name)) }),
  };
}

function without(object: JsonMap, field: string): JsonMap {
  const { properties, required } = object;
  if (!isMap(properties)) return object;
  const { [field]: _, ...kept } = properties;
  return {
    ...object,
    properties: kept,
    ...(Array.isArray(required) && { required: required.filter((name: unknown) => name !== field) }),
  };
}

function withField(object: JsonMap, field: string, schema: JsonMap): JsonMap {
  // Of a schema that speaks of no fields, this one says nothing either.
  if (!isMap(object.properties)) return object;
  return { ...object, properties: { ...object.properties, [field]: schema } };
}

/** Of a value that is written down: texts may hold templates. */
function schemaOf(value: unknown): JsonMap {
  if (typeof value === 'string') return { type: 'string' };
  if (Array.isArray(value)) return { type: 'array' };
  return typeof value === 'object' && value !== null ? { type: 'object' } : { const: value };
}
