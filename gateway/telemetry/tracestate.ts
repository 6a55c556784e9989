import type { Headers } from '#core/headers.ts';

const maxMembers = 32;
const maxLength = 512;
const longMember = 128;
const maxPart = 256;

/**
 * The `tracestate` to send on (Trace Context 2 §3.3.2): fields that come in several lines are one list, empty members go, and
 * a list with an invalid member or more than 32 of them is discarded whole. Only to be asked once `traceparent` is valid.
 */
export function parseTracestate(value: Headers[string]): string | undefined {
  if (value === undefined || value === '') return undefined;
  const members: string[] = [];
  for (const part of (typeof value === 'string' ? value : value.join(',')).split(',')) {
    const member = trim(part);
    if (member === '') continue;
    if (members.length === maxMembers || !isMember(member)) return undefined;
    members.push(member);
  }
  // One member may be too long by itself.
  return shorten(members) || undefined;
}

/** §3.3.3.1: whole members go, those above 128 characters first, then from the end. */
function shorten(members: string[]): string {
  let list = members.join(',');
  for (const limit of [longMember, 0]) {
    for (let i = members.length - 1; i >= 0 && list.length > maxLength; i--) {
      if (members[i]!.length <= limit) continue;
      members.splice(i, 1);
      list = members.join(',');
    }
  }
  return list;
}

/** Spaces and tabs around a member are not part of it (§3.3.2); `String.trim` would take more. */
function trim(part: string): string {
  let from = 0;
  let to = part.length;
  while (from < to && isBlank(part.charCodeAt(from))) from++;
  while (to > from && isBlank(part.charCodeAt(to - 1))) to--;
  return part.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** §3.3.2: `key = ( lcalpha / DIGIT ) 0*255 ( keychar )`, `value = 0*255(chr) nblk-chr`. */
function isMember(member: string): boolean {
  const equals = member.indexOf('=');
  const valueLength = member.length - equals - 1;
  if (equals < 1 || equals > maxPart || valueLength < 1 || valueLength > maxPart) return false;
  if (!isAlphanumeric(member.charCodeAt(0))) return false;
  for (let i = 1; i < equals; i++) {
    const code = member.charCodeAt(i);
    if (!isAlphanumeric(code) && !keyMarks.has(code)) return false;
  }
  for (let i = equals + 1; i < member.length; i++) {
    const code = member.charCodeAt(i);
    if (code < 0x20 || code > 0x7e || code === 0x3d) return false;
  }
  return true;
}

function isAlphanumeric(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
}

const keyMarks: ReadonlySet<number> = new Set(Array.from('_-*/@', (mark) => mark.charCodeAt(0)));
