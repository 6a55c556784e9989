/** A configuration as a tree that knows of every value where it came from. */

export type Scalar = string | number | boolean | null;

export type ConfigPath = readonly (string | number)[];

/** Both count from 1, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface Origin {
  /** What wrote it, as people call it: `default`, `module orders`, or the file's name as it was given. */
  readonly label: string;
  /** What to open to mend it. */
  readonly file: string;
  /** Absolute; relative paths in the value start here. */
  readonly directory: string;
  readonly position?: Position;
  /** Where the key stands that holds the value. */
  readonly keyPosition?: Position;
  /** The expressions it was expanded from, without their defaults. */
  readonly via?: readonly string[];
  /** Texts in it that came from `${file:…}`: secrets. */
  readonly secrets?: readonly string[];
}

/** A Map holds keys such as `__proto__` as what they are: text. */
export interface ConfigNode {
  readonly content: Scalar | readonly ConfigNode[] | ReadonlyMap<string, ConfigNode>;
  readonly origin: Origin;
}

export const defaultOrigin: Origin = { label: 'default', file: '', directory: '' };

export function isMap(content: ConfigNode['content']): content is ReadonlyMap<string, ConfigNode> {
  return content instanceof Map;
}

export function isList(content: ConfigNode['content']): content is readonly ConfigNode[] {
  return Array.isArray(content);
}

export function childOf(node: ConfigNode | undefined, key: string | number): ConfigNode | undefined {
  const content = node?.content ?? null;
  if (isMap(content)) return content.get(String(key));
  return isList(content) ? content[Number(key)] : undefined;
}

export function nodeAt(root: ConfigNode, path: ConfigPath): ConfigNode | undefined {
  return path.reduce<ConfigNode | undefined>(childOf, root);
}

/** The entries of the map at a path; none where there is no map. */
export function entriesAt(root: ConfigNode, path: ConfigPath): readonly (readonly [string, ConfigNode])[] {
  const content = nodeAt(root, path)?.content ?? null;
  return isMap(content) ? [...content] : [];
}

/** The items of the list at a path; none where there is no list. */
export function itemsAt(root: ConfigNode, path: ConfigPath): readonly ConfigNode[] {
  const content = nodeAt(root, path)?.content ?? null;
  return isList(content) ? content : [];
}

/** The tree with other content at a path that it has. */
export function replaceAt(node: ConfigNode, [key, ...rest]: ConfigPath, content: Scalar): ConfigNode {
  if (key === undefined) return { ...node, content };
  const child = childOf(node, key);
  if (child === undefined) return node;
  const changed = replaceAt(child, rest, content);
  if (isMap(node.content)) return { ...node, content: new Map(node.content).set(String(key), changed) };
  return isList(node.content) ? { ...node, content: node.content.with(Number(key), changed) } : node;
}

/** Plain values for a schema to read. */
export function plain({ content }: ConfigNode): unknown {
  // fromEntries defines properties, so that `__proto__` becomes one like any other.
  if (isMap(content)) return Object.fromEntries([...content].map(([key, child]) => [key, plain(child)]));
  return isList(content) ? content.map(plain) : content;
}

/**
 * A tree of plain values, all of one origin. What is undefined is left out.
 * @throws {TypeError} for what no configuration can hold, such as a function
 */
export function nodeOf(value: unknown, origin: Origin): ConfigNode {
  if (Array.isArray(value)) return { content: value.map((item) => nodeOf(item, origin)), origin };
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, child]) => child !== undefined);
    return { content: new Map(entries.map(([key, child]) => [key, nodeOf(child, origin)])), origin };
  }
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return { content: value, origin };
  }
  throw new TypeError(`${origin.label}: a ${typeof value} is no configuration value`);
}

/** `upstreams.orders.endpoints[0].url` */
export function formatPath(path: ConfigPath): string {
  return path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`)).join('');
}

/** `gateway.yaml:12 ${env.NAME}` */
export function formatOrigin({ label, position, via = [] }: Origin): string {
  return [position ? `${label}:${position.line}` : label, ...via].join(' ');
}
