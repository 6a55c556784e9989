import { childSchema, formOf, type SchemaNode } from './contract.ts';
import { defaultOrigin, isList, isMap, nodeOf, type ConfigNode } from './node.ts';

/** The tree with the defaults of the contract in every place that nothing was written for, in the order of the contract. */
export function withDefaults(node: ConfigNode, schema: SchemaNode): ConfigNode {
  const { content } = node;
  if (isList(content)) return { ...node, content: content.map((item) => withDefaults(item, schema.items ?? {})) };
  if (!isMap(content)) return node;
  const form = formOf(schema, (key) => content.get(key)?.content) ?? schema;
  const filled = new Map<string, ConfigNode>();
  for (const key of new Set([...Object.keys(form.properties ?? {}), ...content.keys()])) {
    const child = childSchema(form, key) ?? {};
    const written =
      content.get(key) ?? (child.default === undefined ? undefined : nodeOf(child.default, defaultOrigin));
    if (written) filled.set(key, withDefaults(written, child));
  }
  return { ...node, content: filled };
}
