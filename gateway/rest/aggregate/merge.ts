import { partOf, valueAt } from './reference.ts';
import type { PartSettings } from './settings.ts';

type Fields = Record<string, unknown>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Makes one answer of what the parts gave: joins lists, picks and renames fields, and puts each part in its place. */
export function merge(parts: Readonly<Record<string, PartSettings>>, values: ReadonlyMap<string, unknown>): Fields {
  const shaped = new Map<string, unknown>();
  const shape = (name: string): unknown => {
    if (shaped.has(name)) return shaped.get(name);
    const { pick, rename } = parts[name]!;
    const value = values.get(name) ?? null;
    // What others put into its items is picked and renamed like all else of them.
    for (const [other, { join }] of Object.entries(parts)) {
      if (join && partOf(join.to) === name) attach(value, join, values.get(other), shape(other));
    }
    const picked = pick ? pickFields(value, treeOf(pick)) : value;
    for (const [path, to] of Object.entries(rename)) renameField(picked, path.split('.'), to);
    shaped.set(name, picked);
    return picked;
  };
  const answer: Fields = {};
  for (const [name, { into, join }] of Object.entries(parts)) {
    const value = shape(name);
    const place = into ?? (join ? false : name);
    if (place === '.') Object.assign(answer, isObject(value) ? value : undefined);
    else if (place !== false) put(answer, place.split('.'), value);
  }
  return answer;
}

/** Gives each item of a list what of another part has the same key. */
function attach(target: unknown, join: NonNullable<PartSettings['join']>, raw: unknown, items: unknown): void {
  const list = valueAt(target, join.to.split('.').slice(1));
  if (!Array.isArray(list)) return;
  const found = new Map<unknown, unknown[]>();
  if (Array.isArray(raw) && Array.isArray(items)) {
    for (const [index, item] of raw.entries()) {
      const key = isObject(item) ? keyOf(item[join.key]) : undefined;
      if (key === undefined) continue;
      const others = found.get(key);
      if (others) others.push(items[index]);
      else found.set(key, [items[index]]);
    }
  }
  for (const item of list) {
    if (!isObject(item)) continue;
    const matches = found.get(keyOf(item[join.on])) ?? [];
    item[join.as] = join.many ? matches : (matches[0] ?? null);
  }
}

/** Services write the same id now as a text, now as a number. */
function keyOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

/** Fields that are kept, and of each those below it; none below means all of it. */
interface Tree {
  readonly below: Map<string, Tree>;
}

function treeOf(paths: readonly string[]): Tree {
  const root: Tree = { below: new Map() };
  for (const path of paths) {
    let at = root;
    for (const name of path.split('.')) {
      let next = at.below.get(name);
      if (!next) at.below.set(name, (next = { below: new Map() }));
      at = next;
    }
  }
  return root;
}

/** The fields of a tree, in the order they are named; a leaf is kept whole. */
function pickFields(value: unknown, tree: Tree): unknown {
  if (tree.below.size === 0) return value;
  if (Array.isArray(value)) return value.map((item) => pickFields(item, tree));
  if (!isObject(value)) return value;
  const picked: Fields = {};
  for (const [name, below] of tree.below) if (Object.hasOwn(value, name)) picked[name] = pickFields(value[name], below);
  return picked;
}

function renameField(value: unknown, [name = '', ...rest]: readonly string[], to: string): void {
  if (Array.isArray(value)) {
    for (const item of value) renameField(item, [name, ...rest], to);
  } else if (isObject(value) && Object.hasOwn(value, name)) {
    if (rest.length > 0) {
      renameField(value[name], rest, to);
    } else {
      const moved = value[name];
      Reflect.deleteProperty(value, name);
      value[to] = moved;
    }
  }
}

function put(answer: Fields, path: readonly string[], value: unknown): void {
  let at = answer;
  for (const name of path.slice(0, -1)) {
    const next = Object.hasOwn(at, name) ? at[name] : undefined;
    at = isObject(next) ? next : (at[name] = {} as Fields);
  }
  at[path.at(-1)!] = value;
}
