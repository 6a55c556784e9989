import type { RequestContext } from '#core/context.ts';
import { readerOf, splitTemplate } from '../template.ts';

/** What the parts of an aggregate have given so far, by name. */
export type Values = ReadonlyMap<string, unknown>;

type Read = (context: RequestContext, values: Values) => unknown;

/** A text of a part with values of the request, or of other parts, in it: `/users/{order.userId}`. */
export class PartTemplate {
  readonly #names: readonly string[];
  readonly #texts: readonly string[];
  readonly #reads: readonly Read[];
  /** Other parts that it names. */
  readonly parts: readonly string[];
  /** Parameters of the route's path that it names. */
  readonly params: readonly string[];

  /** @throws {TypeError} for what is no template, or names what there is not */
  constructor(text: string, parts: readonly string[]) {
    const split = splitTemplate(text);
    if ('problem' in split) throw new TypeError(split.problem);
    const names = split.parts.filter((_, index) => index % 2 === 1);
    const strange = names.find((name) => !parts.includes(partOf(name)) && !readerOf(name));
    if (strange !== undefined)
      throw new TypeError(
        `names {${strange.slice(0, 64)}}, which is neither of a part (${parts.join(', ')}) nor of the request; write {PART.FIELD}, {params.NAME}, {query.NAME} or another name of transforms.md`,
      );
    this.#names = names;
    this.#texts = split.parts.filter((_, index) => index % 2 === 0);
    this.#reads = names.map((name) => (parts.includes(partOf(name)) ? readPart(name) : readerOf(name)!));
    this.parts = [...new Set(names.map(partOf).filter((name) => parts.includes(name)))];
    this.params = names.flatMap((name) => (name.startsWith('params.') ? [name.slice('params.'.length)] : []));
  }

  /** @returns undefined where a value is not there, or is no text, number or boolean */
  path(context: RequestContext, values: Values): string | undefined {
    let text = this.#texts[0]!;
    for (let index = 0; index < this.#reads.length; index++) {
      const segment = scalar(this.#reads[index]!(context, values));
      // RFC 3986 §5.2.4: these would make it another path.
      if (segment === undefined || segment === '' || segment === '.' || segment === '..') return undefined;
      text += encodeURIComponent(segment) + this.#texts[index + 1]!;
    }
    return text;
  }

  /** The same for a query; of a list all its values, each once. */
  query(context: RequestContext, values: Values): readonly string[] | undefined {
    const found = this.keys(context, values);
    return typeof found === 'string' ? [found] : found;
  }

  /** Of a template that is one name and nothing else, the value as it is; else the text. */
  value(context: RequestContext, values: Values): unknown {
    const alone = this.#reads.length === 1 && this.#texts[0] === '' && this.#texts[1] === '';
    return alone ? this.#reads[0]!(context, values) : this.keys(context, values);
  }

  /** The names in it, with dots, as they are written. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** One text, or of a list all its values, each once; undefined where a value is not there. */
  keys(context: RequestContext, values: Values): string | readonly string[] | undefined {
    if (this.#reads.length === 1 && this.#texts[0] === '' && this.#texts[1] === '') {
      const value = this.#reads[0]!(context, values);
      if (Array.isArray(value)) return [...new Set(value.flatMap((item) => scalar(item) ?? []))];
    }
    let text = this.#texts[0]!;
    for (let index = 0; index < this.#reads.length; index++) {
      const value = scalar(this.#reads[index]!(context, values));
      if (value === undefined) return undefined;
      text += value + this.#texts[index + 1]!;
    }
    return text;
  }
}

export function partOf(name: string): string {
  return name.split('.', 1)[0]!;
}

function readPart(name: string): Read {
  const [part = '', ...path] = name.split('.');
  return (_, values) => valueAt(values.get(part), path);
}

/** What lies at a path of names. On its way through lists it gathers what lies there in each item. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  if (path.length === 0) return value;
  if (Array.isArray(value)) return value.flatMap((item: unknown) => valueAt(item, path) ?? []);
  const [name = '', ...rest] = path;
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return valueAt((value as Readonly<Record<string, unknown>>)[name], rest);
}

function scalar(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}
