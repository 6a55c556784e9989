import type { Headers } from '#core/headers.ts';

/** An answer has no more tags than this, and no longer ones: more are left out. */
const maxTags = 64;
const maxLength = 256;

/** The names under which an answer can be found: of the configuration, of `Surrogate-Key`, of `Cache-Groups` (RFC 9875 §2). */
export function tagsOf(headers: Headers, configured: readonly string[] = nothing): readonly string[] {
  const keys = headers['surrogate-key'];
  const groups = headers['cache-groups'];
  if (keys === undefined && groups === undefined) return configured;
  const tags = new Set(configured);
  if (keys !== undefined) for (const key of String(keys).split(/[ ,]+/, maxTags)) if (key !== '') tags.add(key);
  for (const group of groupsOf(groups)) tags.add(group);
  return [...tags].filter(({ length }) => length <= maxLength).slice(0, maxTags);
}

const nothing: readonly string[] = Object.freeze([]);

/**
 * The strings of a structured list (RFC 9651 §3.1), in which RFC 9875 names groups. What is no such list names none; parameters
 * are left out.
 */
export function groupsOf(value: string | string[] | undefined): readonly string[] {
  if (value === undefined) return nothing;
  const text = Array.isArray(value) ? value.join(',') : value;
  const member = /[ \t]*"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"(?:;[^,"]*|[ \t]*)(?:,|$)/y;
  const groups: string[] = [];
  while (member.lastIndex < text.length) {
    const match = member.exec(text);
    if (!match || groups.length === maxTags) return match ? groups : nothing;
    groups.push(match[1]!.replaceAll(/\\(.)/g, '$1'));
  }
  return groups;
}
