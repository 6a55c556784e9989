import type { RequestContext } from '#core/context.ts';
import { Template } from '../template.ts';
import type { QueryChanges } from './settings.ts';

/** Renames, removes and sets parameters of a query, in this order. All others go on byte for byte. */
export class QueryTransform {
  readonly #rename: ReadonlyMap<string, string>;
  readonly #remove: ReadonlySet<string>;
  readonly #set: readonly (readonly [string, Template])[];

  constructor({ rename, remove, set }: QueryChanges) {
    this.#rename = new Map(Object.entries(rename));
    this.#remove = new Set([...remove, ...Object.keys(set)]);
    this.#set = Object.entries(set).map(([name, value]) => [name, new Template(value)]);
  }

  /** @param query without its `?` @returns the same with it, or nothing */
  apply(query: string, context: RequestContext): string {
    const kept: string[] = [];
    for (const pair of query === '' ? [] : query.split('&')) {
      const equals = pair.indexOf('=');
      const name = nameOf(equals < 0 ? pair : pair.slice(0, equals));
      const renamed = this.#rename.get(name);
      if (this.#remove.has(renamed ?? name)) continue;
      kept.push(renamed === undefined ? pair : encodeURIComponent(renamed) + (equals < 0 ? '' : pair.slice(equals)));
    }
    for (const [name, template] of this.#set) {
      const value = template.fill(context);
      if (value !== undefined) kept.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
    }
    return kept.length === 0 ? '' : `?${kept.join('&')}`;
  }
}

/** As services read it, forms among them (URL Standard §5.1). */
function nameOf(raw: string): string {
  try {
    return decodeURIComponent(raw.replaceAll('+', ' '));
  } catch {
    return raw;
  }
}
