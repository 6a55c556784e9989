/** What YAML changes of bodies and what it changes of their schemas are two pieces of code, which must agree. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answerSchema, requestSchema } from '#gateway/contract/client-schema.ts';
import { pointerTokens } from '#gateway/rest/transform/pointer.ts';
import { FieldTransform } from '#gateway/rest/transform/fields.ts';
import type { RequestContext } from '#core/context.ts';
import { ServiceDocument, type JsonMap } from '#upstreams/service-document.ts';

const document = new ServiceDocument({ openapi: '3.1.0', info: { title: 'x', version: '1' }, paths: {} });

interface Shape {
  readonly schema: JsonMap;
  /** Pointers to its fields, `*` for items. */
  readonly fields: readonly string[];
}

const leaf = fc.constantFrom<Shape>(
  { schema: { type: 'integer' }, fields: [] },
  { schema: { type: 'string' }, fields: [] },
);

/** Closed objects, so that a field under another name than the schema's is found. */
const { shape } = fc.letrec<{ shape: Shape; object: Shape; list: Shape }>((tie) => ({
  shape: fc.oneof({ maxDepth: 3, withCrossShrink: true }, leaf, tie('object'), tie('list')),
  list: tie('object').map(({ schema, fields }) => ({
    schema: { type: 'array', items: schema },
    fields: fields.map((field) => `/*${field}`),
  })),
  object: fc
    .dictionary(fc.constantFrom('a', 'b', 'c/d', 'e~'), fc.tuple(tie('shape'), fc.boolean()), { minKeys: 1 })
    .map((members) => ({
      schema: {
        type: 'object',
        additionalProperties: false,
        required: Object.keys(members).filter((name) => members[name]![1]),
        properties: Object.fromEntries(Object.entries(members).map(([name, [child]]) => [name, child.schema])),
      },
      fields: Object.entries(members).flatMap(([name, [child]]) => {
        const own = `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        return [own, ...child.fields.map((field) => own + field)];
      }),
    })),
}));

const root = shape.filter(({ schema }) => schema.type === 'object');

function valueOf(schema: JsonMap): fc.Arbitrary<unknown> {
  if (schema.type === 'integer') return fc.integer();
  if (schema.type === 'string') return fc.string();
  if (schema.type === 'array') return fc.array(valueOf(schema.items as JsonMap), { maxLength: 3 });
  // What is taken out may be anything.
  if (schema.properties === undefined) return fc.boolean();
  const properties = Object.entries(schema.properties as Record<string, JsonMap>);
  const requiredKeys = schema.required as string[];
  return fc.record(Object.fromEntries(properties.map(([name, child]) => [name, valueOf(child)])), { requiredKeys });
}

/** Changes that an operator could have written of this body, in the order they are done. */
const changesOf = ({ fields }: Shape) =>
  fc
    .record({
      renamed: fc.subarray([...fields], { maxLength: Math.min(3, fields.length) }),
      removed: fc.subarray([...fields], { maxLength: Math.min(2, fields.length) }),
    })
    .map(({ renamed, removed }) => {
      // The deepest first, so that the way to the others is as it is written.
      const order = renamed.toSorted((a, b) => b.length - a.length);
      const rename = Object.fromEntries(order.map((pointer, index) => [pointer, `new${index}`]));
      const untouched = removed.filter((pointer) => !order.some((other) => pointer.startsWith(other)));
      return { rename, remove: untouched, set: { '/stamp': 7 } };
    });

const cases = root.chain((one) =>
  fc.record({ schema: fc.constant(one.schema), changes: changesOf(one), value: valueOf(one.schema) }),
);

const ajv = new Ajv2020({ strict: false, validateSchema: false, addUsedSchema: false });

function faults(schema: unknown, value: unknown): unknown {
  const check = ajv.compile(schema as object);
  return check(value) ? [] : check.errors;
}

const nobody = {} as RequestContext;
const changed = (changes: ConstructorParameters<typeof FieldTransform>[0], value: unknown): unknown =>
  JSON.parse(new FieldTransform(changes).apply(Buffer.from(JSON.stringify(value)), nobody).toString());

describe('The schema of a body that YAML changes', () => {
  test('is one of every answer that a sound answer becomes', () => {
    fc.assert(
      fc.property(cases, ({ schema, changes, value }) => {
        expect(faults(answerSchema(schema, changes, document), changed(changes, value))).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  test('is such that every request that fits it becomes one that fits the service', () => {
    const requests = root.chain(({ schema, fields }) =>
      fc.subarray([...fields], { maxLength: Math.min(3, fields.length) }).chain((picked) => {
        const apart = picked.filter((one) => !picked.some((other) => other !== one && one.startsWith(`${other}/`)));
        const rename = Object.fromEntries(
          apart.map((pointer, index) => {
            const tokens = pointerTokens(pointer);
            return [pointer.slice(0, pointer.lastIndexOf('/') + 1) + `new${index}`, tokens.at(-1)!];
          }),
        );
        const changes = { rename, remove: ['/debug'], set: {} };
        const asked = requestSchema(schema, changes, document) as JsonMap;
        return fc.record({ schema: fc.constant(schema), changes: fc.constant(changes), value: valueOf(asked) });
      }),
    );
    fc.assert(
      fc.property(requests, ({ schema, changes, value }) => {
        expect(faults(schema, changed(changes, value))).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});
