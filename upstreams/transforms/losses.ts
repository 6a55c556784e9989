import { isDeepStrictEqual } from 'node:util';
import { step, type JsonSchema, type Resolve } from './json-schema.ts';
import { madeUp, type Draw } from './made-up.ts';

/** Attempts at another value for a leaf; one that has no other, such as an enum of one, tells nothing and loses nothing. */
const attempts = 12;

/**
 * Finds what a function loses: a leaf of its input that can be changed without any change of the result. One look may be
 * misled, since a field can matter for some values alone; so the looks are counted, and lost is what no look has seen matter.
 */
export class Losses {
  readonly #seen = new Map<string, boolean>();

  /**
   * Looks at one input.
   * @param place a JSON pointer of the whole, such as `/response/body`
   * @param run gives the result, as plain data, for an input of the same form; what throws tells nothing
   */
  look(
    place: string,
    input: unknown,
    schema: JsonSchema,
    resolve: Resolve,
    draw: Draw,
    run: (input: unknown) => unknown,
  ): void {
    const result = run(input);
    walk(input, schema, resolve, place, (leaf) => {
      const other = another(leaf.value, leaf.schema, resolve, draw);
      if (other === undefined) return;
      let changed: boolean;
      try {
        changed = !isDeepStrictEqual(run(replaced(input, leaf.path, other.value)), result);
      } catch {
        changed = true;
      }
      this.#seen.set(leaf.pointer, changed || this.#seen.get(leaf.pointer) === true);
    });
  }

  /** The pointers of what is lost, less what may be; items of lists as `*`. */
  lost(lossy: readonly string[]): string[] {
    const allowed = lossy.map((pointer) => pointer.split('/'));
    return [...this.#seen].flatMap(([pointer, mattered]) =>
      mattered || allowed.some((pattern) => covers(pattern, pointer.split('/'))) ? [] : [pointer],
    );
  }
}

interface Leaf {
  readonly value: unknown;
  readonly schema: JsonSchema;
  /** In the pointer, items of lists are all the same. */
  readonly pointer: string;
  readonly path: readonly (string | number)[];
}

function walk(
  value: unknown,
  stated: JsonSchema,
  resolve: Resolve,
  pointer: string,
  visit: (leaf: Leaf) => void,
  path: readonly (string | number)[] = [],
): void {
  const schema = resolve(stated);
  const forms = [...(schema.allOf ?? []), ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  if (Array.isArray(value)) {
    const { items } = [schema, ...forms.map(resolve)].find((form) => form.items) ?? {};
    for (const [index, item] of value.entries())
      walk(item, items ?? {}, resolve, `${pointer}/*`, visit, [...path, index]);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      const found = [schema, ...forms.map(resolve)].find(({ properties }) => properties?.[name])?.properties?.[name];
      walk(member, found ?? {}, resolve, step(pointer, name), visit, [...path, name]);
    }
  } else {
    visit({ value, schema, pointer, path });
  }
}

function another(
  value: unknown,
  schema: JsonSchema,
  resolve: Resolve,
  draw: Draw,
): { readonly value: unknown } | undefined {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const other = madeUp(schema, draw, resolve);
    if (!isDeepStrictEqual(other, value)) return { value: other };
  }
  return undefined;
}

function replaced(value: unknown, [key, ...rest]: readonly (string | number)[], other: unknown): unknown {
  if (key === undefined) return other;
  if (Array.isArray(value))
    return value.map((item, index) => (index === key ? replaced(item, rest, other) : (item as unknown)));
  const members = value as Readonly<Record<string, unknown>>;
  return { ...members, [key]: replaced(members[key], rest, other) };
}

/** `*` stands for one step, `**` for any number. */
function covers([first, ...pattern]: readonly string[], steps: readonly string[]): boolean {
  if (first === undefined) return steps.length === 0;
  if (first === '**') return covers(pattern, steps) || (steps.length > 0 && covers(['**', ...pattern], steps.slice(1)));
  return steps.length > 0 && (first === '*' || first === steps[0]) && covers(pattern, steps.slice(1));
}
