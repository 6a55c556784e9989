import { contract, type SchemaNode } from './contract.ts';

const expansion = { $ref: '#/$defs/expansion' };

/** The contract as a JSON Schema for editors, which check and complete `gateway.yaml` as it is typed. */
export function editorSchema(): object {
  const { description, properties, additionalProperties } = forEditors(contract());
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'gateway.yaml of Weir',
    description,
    type: 'object',
    properties,
    additionalProperties,
    $defs: {
      expansion: {
        type: 'string',
        pattern: String.raw`\$\{(env\.|file:)`,
        description: 'Text with ${env.NAME}, ${env.NAME:-default} or ${file:/path}, filled in when the file is loaded.',
      },
    },
  };
}

type EditorNode = Readonly<Record<string, unknown>>;

function forEditors(schema: SchemaNode): EditorNode {
  const { unit: _, bounds, format, ...kept } = schema;
  const node = {
    ...kept,
    // Other formats are zod's own and stand beside a pattern.
    ...(format === 'uri' && { format }),
    ...(bounds && { description: [schema.description, `Between these bounds: ${bounds}.`].join(' ') }),
    ...(schema.properties && {
      properties: Object.fromEntries(Object.entries(schema.properties).map(([key, child]) => [key, forEditors(child)])),
    }),
    ...(typeof schema.additionalProperties === 'object' && {
      additionalProperties: forEditors(schema.additionalProperties),
    }),
    ...(schema.items && { items: forEditors(schema.items) }),
    ...(schema.anyOf && { anyOf: [...schema.anyOf.map((form) => (isMap(form) ? forEditors(form) : form)), expansion] }),
  };
  if (!isConstrained(schema)) return node;
  const { description, default: fallback, ...value } = node;
  return {
    ...(description && { description }),
    ...(fallback !== undefined && { default: fallback }),
    anyOf: [value, expansion],
  };
}

function isMap({ type }: SchemaNode): boolean {
  return type === 'object';
}

/** Whether a text with an expression in it would not fit as it stands. */
function isConstrained({ type, pattern, format, enum: options, const: only }: SchemaNode): boolean {
  if (type === 'string') return pattern !== undefined || format !== undefined || options !== undefined;
  return type === 'integer' || type === 'number' || type === 'boolean' || only !== undefined;
}
