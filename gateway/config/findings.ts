import { formOf, keysOf, kindOf, schemaAt, type SchemaNode } from './contract.ts';
import { childOf, isList, isMap, type ConfigNode, type ConfigPath } from './node.ts';
import type { Finding } from './problem.ts';
import { describeValue, isHidden, withoutUserinfo } from './secrets.ts';
import { suggest } from './suggest.ts';

/** An issue of a schema, reduced to what is said of it. */
export interface Issue {
  readonly path: ConfigPath;
  readonly kind: 'type' | 'value' | 'unknown-key' | 'bad-key';
  /** The schema's own words; empty where it has none. */
  readonly message: string;
}

/**
 * What is wrong and how to mend it, without showing a secret.
 * @param node what stands there
 * @param parent what it stands in
 */
export function findingOf(issue: Issue, node: ConfigNode | undefined, parent: ConfigNode | undefined): Finding {
  const { path } = issue;
  if (issue.kind === 'unknown-key') return unknownKey(path, parent);
  const schema = schemaAt(path) ?? {};
  const words = worded(issue.message);
  if (issue.kind === 'bad-key') return { message: 'cannot be used as a name', fix: 'choose another', ...words };
  if (node === undefined && issue.kind === 'type') return missing(path, schema);
  if (node?.content === null && issue.kind === 'type') {
    return { message: 'has no value', fix: `write ${kindOf(schema)}, or remove the key` };
  }
  const value = node ? describeValue(path, node) : 'the value';
  const fix = remedy(path, node, schema);
  if (issue.message === '') return { message: `expects ${kindOf(schema)}, not ${value}`, fix };
  const refused: Finding = { message: `${value} is not accepted`, fix };
  const content = node?.content;
  if (!node || typeof content !== 'string' || content === '' || !isHidden(path, node)) return { ...refused, ...words };
  // The schema's words may be made of the value.
  return words.fix === undefined || words.fix.includes(content) ? refused : { ...refused, fix: words.fix };
}

/** Splits a schema's words (see `upstreams/fields.ts`) into what is wrong and the remedy. */
function worded(message: string): Partial<Finding> {
  if (/^(write|name|add|give|remove) /.test(message)) return { fix: message };
  const end = message.indexOf('; ');
  return end < 0 ? { message } : { message: message.slice(0, end), fix: message.slice(end + 2) };
}

function unknownKey(path: ConfigPath, parent: ConfigNode | undefined): Finding {
  const schema = schemaAt(path.slice(0, -1));
  const form = schema && formOf(schema, (key) => childOf(parent, key)?.content);
  const keys = keysOf(form ?? schema);
  const meant = suggest(String(path.at(-1)), keys);
  return {
    message: 'is an unknown key',
    fix: meant ? `did you mean ${meant}?` : `remove it; the keys here are ${keys.join(', ')}`,
  };
}

function missing(path: ConfigPath, schema: SchemaNode): Finding {
  const description = schema.description === undefined ? '' : ` (${schema.description.replace(/\.$/, '')})`;
  return { message: 'is missing', fix: `add ${path.at(-1)}: ${kindOf(schema)}${description}` };
}

function remedy(path: ConfigPath, node: ConfigNode | undefined, schema: SchemaNode): string {
  const content = node?.content ?? null;
  if (node === undefined || isHidden(path, node)) return `write ${kindOf(schema)}`;
  if (typeof content === 'number') {
    if (schema.unit === 'duration') return `write the unit too, such as ${content}ms or ${content}s`;
    if (schema.unit === 'size') return `write the unit too, such as ${content}KiB or ${content}MiB`;
  }
  if (typeof content === 'string') {
    if (isNumeric(schema) && /^\d+(\.\d+)?$/.test(content)) return `write ${content} without quotes`;
    if (schema.type === 'boolean' && /^(true|yes|on)$/i.test(content)) return 'write true, without quotes';
    if (schema.type === 'boolean' && /^(false|no|off)$/i.test(content)) return 'write false, without quotes';
  }
  if (isMap(content) && schema.type === 'object') return 'correct its keys; docs/configuration.md lists them';
  if (isMap(content) || isList(content)) return `write ${kindOf(schema)}`;
  if (schema.type === 'array') return `write a list: [${withoutUserinfo(String(content))}]`;
  if (schema.type === 'string' && !schema.enum && typeof content !== 'string')
    return `write it in quotes: "${content}"`;
  return `write ${kindOf(schema)}`;
}

function isNumeric({ type, const: only }: SchemaNode): boolean {
  return type === 'integer' || type === 'number' || typeof only === 'number';
}
