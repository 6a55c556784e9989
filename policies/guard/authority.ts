import { isIPv6 } from 'node:net';

/** A host name has at most 253 characters (RFC 1035 §2.3.4), a port five digits. */
const maxLength = 253 + 6;
const maxPort = 65_535;

/** Found good; most ask for one host. */
let last: string | undefined;

/**
 * Whether a text is one host with or without a port, as `Host` and the authority of a target have it (RFC 9110 §7.2,
 * RFC 3986 §3.2.2). Of what a registered name may have, only what names have in fact: a percent sign, a comma or a bracket
 * means something else to somebody.
 */
export function isAuthority(text: string): boolean {
  if (text === last) return true;
  if (!readsAsAuthority(text)) return false;
  last = text;
  return true;
}

function readsAsAuthority(text: string): boolean {
  if (text.length > maxLength) return false;
  if (text.charCodeAt(0) === openBracket) {
    const end = text.indexOf(']');
    return end > 0 && isIPv6(text.slice(1, end)) && !text.includes('%') && isPort(text, end + 1);
  }
  let index = 0;
  while (index < text.length && isNameCharacter(text.charCodeAt(index))) index++;
  return index > 0 && isPort(text, index);
}

/** From `start` on nothing, or a colon and a port, which may be left out (RFC 3986 §3.2.3). */
function isPort(text: string, start: number): boolean {
  if (start === text.length) return true;
  if (text.charCodeAt(start) !== colon || text.length > start + 6) return false;
  let port = 0;
  for (let index = start + 1; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= maxPort;
}

const openBracket = 0x5b;
const colon = 0x3a;

/** RFC 3986 §2.3, which is what RFC 1123 §2.1 takes and the underscore that many names have. */
function isNameCharacter(code: number): boolean {
  const letter = code | 0x20;
  if (letter >= 0x61 && letter <= 0x7a) return true;
  return (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2e || code === 0x5f || code === 0x7e;
}
