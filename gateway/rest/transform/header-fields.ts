import type { RequestContext } from '#core/context.ts';
import type { Headers } from '#core/headers.ts';
import { isNegotiating } from '#upstreams/canonical.ts';
import { Template } from '../template.ts';
import type { HeaderChanges } from './settings.ts';

/** What a header can hold so that every recipient reads it alike (RFC 9110 §5.5). */
const sendable = /^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/;

/** Renames, removes and sets headers, in this order. Names are in lower case. */
export class HeaderTransform {
  readonly #rename: readonly (readonly [string, string])[];
  readonly #remove: readonly string[];
  readonly #set: readonly (readonly [string, Template])[];
  /** Names of fields that tell something of who asks. */
  readonly shows: readonly string[];
  /** Names of the others, by which one URI of the upstream may give one route this, another that. */
  readonly keyed: readonly string[];

  constructor({ rename, remove, set }: HeaderChanges) {
    this.#rename = Object.entries(rename).map(([from, to]) => [from.toLowerCase(), to]);
    this.#remove = remove;
    this.#set = Object.entries(set).map(([name, value]) => [name.toLowerCase(), new Template(value)]);
    this.shows = this.#set.flatMap(([name, template]) => (template.readsIdentity ? [name] : []));
    this.keyed = this.#set.flatMap(([name, template]) =>
      template.readsIdentity || template.isStamp || isNegotiating(name) ? [] : [name],
    );
  }

  apply(headers: Headers, context: RequestContext): void {
    for (const [from, to] of this.#rename) {
      const value = headers[from];
      Reflect.deleteProperty(headers, from);
      // What came under the new name was not meant by whoever named it so.
      if (value === undefined) Reflect.deleteProperty(headers, to);
      else headers[to] = value;
    }
    for (const name of this.#remove) Reflect.deleteProperty(headers, name);
    for (const [name, template] of this.#set) {
      const value = template.fill(context);
      // A client cannot stand in for a value that is not there.
      if (value !== undefined && sendable.test(value)) headers[name] = value;
      else Reflect.deleteProperty(headers, name);
    }
  }
}
