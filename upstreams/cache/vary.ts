import type { Headers } from '#core/headers.ts';
import { stamped } from '#upstreams/forwarding.ts';

/** Answers that depend on more fields than this are for nobody else. */
const maxFields = 16;

/** The lower-case names that a `Vary` field lists; undefined where no other request can be told to match (RFC 9111 §4.1). */
export function variedBy(vary: string | string[] | undefined): readonly string[] | undefined {
  if (vary === undefined) return nothing;
  const names = new Set<string>();
  for (const part of String(vary).toLowerCase().split(',')) {
    const name = part.trim();
    if (name === '' || ofEveryKey.has(name)) continue;
    // What differs for every request is no better than `*`.
    if (name === '*' || stamped.has(name)) return undefined;
    names.add(name);
  }
  return names.size > maxFields ? undefined : names.size === 0 ? nothing : [...names].toSorted();
}

/** What the upstream is told of the host and the scheme of the request is part of every key. */
const ofEveryKey: ReadonlySet<string> = new Set(['x-forwarded-host', 'x-forwarded-proto']);

const nothing: readonly string[] = Object.freeze([]);

/** Fields whose values are lists in which neither case nor order means anything, but for the weights (RFC 9110 §12.4, §12.5). */
const unordered: ReadonlySet<string> = new Set(['accept-language', 'accept-encoding', 'accept-charset']);

/** The values of a request for these fields, in a form in which equal ones are equal (RFC 9111 §4.1). */
export function selecting(names: readonly string[], request: Headers): string {
  let key = '';
  // A name may be that of something which all objects have.
  for (const name of names) key += `${normalized(name, Object.hasOwn(request, name) ? request[name] : undefined)}\n`;
  return key;
}

function normalized(name: string, value: string | string[] | undefined): string {
  // A control character cannot stand in a header value, so that no value is like none.
  if (value === undefined) return '\0';
  const text = Array.isArray(value) ? value.join(',') : value;
  if (!unordered.has(name)) return text.includes(',') ? members(text).join(',') : text.trim();
  return members(text.toLowerCase().replaceAll(' ', '')).toSorted().join(',');
}

function members(text: string): string[] {
  // A quoted string may hold commas; whatever has one is taken as it is.
  if (text.includes('"')) return [text.trim()];
  return text.split(',').map((member) => member.trim());
}
