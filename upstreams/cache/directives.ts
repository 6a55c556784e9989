import type { Headers } from '#core/headers.ts';

/** RFC 9111 §1.2.2: what is longer counts as this; about 68 years. */
const longestS = 2 ** 31;

/**
 * The directives of a `Cache-Control` field or of one like it, by lower-case name. Of a directive that comes twice the first
 * counts (RFC 9111 §4.2.1).
 */
export class Directives {
  readonly #byName: ReadonlyMap<string, string>;

  constructor(byName: ReadonlyMap<string, string>) {
    this.#byName = byName;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** The argument; empty where the directive has none, undefined where it is not there. */
  argument(name: string): string | undefined {
    return this.#byName.get(name);
  }

  /** An argument in seconds. What is no number of seconds makes an answer stale (RFC 9111 §4.2.1): 0. */
  seconds(name: string): number | undefined {
    const argument = this.#byName.get(name);
    if (argument === undefined) return undefined;
    return deltaSeconds(argument) ?? 0;
  }

  /** The lower-case names that the qualified form lists, such as `no-cache="set-cookie"` (RFC 9111 §5.2.2.4). */
  fields(name: string): readonly string[] {
    const argument = this.#byName.get(name);
    if (argument === undefined || argument === '') return [];
    return argument
      .toLowerCase()
      .split(',')
      .map((field) => field.trim())
      .filter((field) => field !== '');
  }

  /** The directive without an argument: it is about the answer as a whole. */
  whole(name: string): boolean {
    return this.#byName.get(name) === '';
  }
}

/** RFC 9111 §1.2.2; undefined for anything else. */
export function deltaSeconds(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  return Math.min(Number(text), longestS);
}

const none = new Directives(new Map());

const comma = 0x2c;
const quote = 0x22;
const backslash = 0x5c;

/** One directive, without the space around it. There is one way only to read it, so that it takes no longer than it is long. */
const directive = /^([^\s=,"]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?$/;

/**
 * RFC 9111 §5.2: names without regard to case, arguments as tokens or quoted. A member that does not fit the grammar is left
 * out. Clients send what they like, so that the time it takes is in proportion to its length at the worst.
 */
export function cacheControl(value: string | string[] | undefined): Directives {
  if (value === undefined) return none;
  const byName = new Map<string, string>();
  const text = Array.isArray(value) ? value.join(',') : value;
  for (let start = 0, end; start < text.length; start = end + 1) {
    end = memberEnd(text, start);
    if (end < 0) {
      // A quotation without an end: what it hides may be what forbids to store the answer.
      byName.set('no-store', '');
      break;
    }
    const match = directive.exec(text.slice(start, end).trim());
    if (!match) continue;
    const [, name, quoted, token] = match;
    const key = name!.toLowerCase();
    if (!byName.has(key)) byName.set(key, quoted === undefined ? (token ?? '') : quoted.replaceAll(/\\(.)/g, '$1'));
  }
  return new Directives(byName);
}

/** Where a member of a list ends: at the next comma outside of quotations, or with the text; -1 where a quotation has no end. */
function memberEnd(text: string, start: number): number {
  let quoted = false;
  for (let index = start; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === quote) quoted = !quoted;
    else if (quoted && code === backslash) index++;
    else if (!quoted && code === comma) return index;
  }
  return quoted ? -1 : text.length;
}

/** Directives whose argument is a number of seconds. */
const durations: ReadonlySet<string> = new Set(['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error']);

/** A structured dictionary's member (RFC 9651 §3.2). Parameters are left out as one text: there is one way only to read them. */
const targetedMember =
  /[ \t]*([a-z*][a-z0-9_\-.*]*)(?:=(?:(-?\d{1,15}(?:\.\d{1,3})?)|"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"|([A-Za-z*][\w!#$%&'*+.^`|~:/-]*)|\?([01])))?(?:;[^,"]*|[ \t]*)(?:,|$)/y;

/**
 * RFC 9213: a field that is meant for caches such as this one. It is a structured dictionary, and one that cannot be read is as
 * if it were not there. Empty, it is not there either (§2.1).
 */
export function targetedControl(value: string | string[] | undefined): Directives | undefined {
  if (value === undefined) return undefined;
  const text = Array.isArray(value) ? value.join(',') : value;
  const byName = new Map<string, string>();
  targetedMember.lastIndex = 0;
  while (targetedMember.lastIndex < text.length) {
    const match = targetedMember.exec(text);
    if (!match) return undefined;
    const [, name, number, string, token, boolean] = match;
    // A directive of the wrong type is left out, such as seconds in quotes (RFC 9213 §2.1); a false one was not said.
    if (boolean === '0' || (durations.has(name!) && number === undefined)) byName.delete(name!);
    else byName.set(name!, number ?? string ?? token ?? '');
  }
  return byName.size === 0 ? undefined : new Directives(byName);
}

/** The fields of an answer that rule this cache, the most particular first (RFC 9213 §2.2). */
export function ruling(headers: Headers): { readonly control: Directives; readonly targeted: boolean } {
  const targeted = targetedControl(headers['cdn-cache-control']);
  return targeted
    ? { control: targeted, targeted: true }
    : { control: cacheControl(headers['cache-control']), targeted: false };
}
