const dot = 0x2e;
const slash = 0x2f;
const percent = 0x25;
const semicolon = 0x3b;
const backslash = 0x5c;

/** How often an upstream behind proxies of its own might decode a path: once where it is right, and where it is not. */
const maxDecodings = 3;

/**
 * A path, or a target with its query, in which what need not be encoded is not (RFC 3986 §6.2.2.2): `/%61dmin` is `/admin`
 * to every service, so it must be to the route table. What is reserved stays as it was sent, `%2F` too, and so does the
 * query. A path whose encoding is broken is left alone; {@link pathProblem} refuses it.
 */
export function normalTarget(target: string): string {
  const first = target.indexOf('%');
  if (first < 0) return target;
  const question = target.indexOf('?');
  const end = question < 0 ? target.length : question;
  if (first >= end) return target;
  let normal = '';
  let copied = 0;
  for (let index = first; index < end; index++) {
    if (target.charCodeAt(index) !== percent) continue;
    const high = hexDigit(target.charCodeAt(index + 1));
    const low = hexDigit(target.charCodeAt(index + 2));
    if (high < 0 || low < 0 || index + 2 >= end) return target;
    const code = high * 16 + low;
    if (isUnreserved(code)) {
      normal += target.slice(copied, index) + String.fromCharCode(code);
      copied = index + 3;
    }
    index += 2;
  }
  return copied === 0 ? target : normal + target.slice(copied);
}

/**
 * What of a path an upstream might take for another path, a separator or an end (RFC 3986 §3.3, §5.2.4, §6.2.2.3), in words;
 * undefined when there is nothing. One pass without allocation, since most paths have nothing that needs a closer look.
 */
export function pathProblem(path: string): string | undefined {
  // RFC 3986 §4.2: a reference that begins with two slashes begins with a host.
  if (path.charCodeAt(1) === slash) return 'The path begins with two slashes.';
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code === backslash) return 'The path has a backslash.';
    if (code <= 0x20 || code >= 0x7f) return 'The path has a character that must be percent-encoded.';
    if (code === percent || (code === dot && path.charCodeAt(index - 1) === slash)) return closerLook(path);
  }
  return undefined;
}

function closerLook(path: string): string | undefined {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code === backslash) return 'The path has a backslash.';
    if (code <= 0x20 || code >= 0x7f) return 'The path has a character that must be percent-encoded.';
  }
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return 'The path has a broken percent-encoding.';
  }
  for (let index = 0; index < decoded.length; index++) {
    const code = decoded.charCodeAt(index);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return 'The path has an encoded control character.';
    if (code === backslash) return 'The path has an encoded backslash.';
  }
  // Once more for those who decode twice. What then does not decode was not encoded twice.
  for (let times = 1; ; times++) {
    if (climbs(decoded)) return 'The path has a dot segment.';
    if (times === maxDecodings || !decoded.includes('%')) return undefined;
    try {
      decoded = decodeURIComponent(decoded);
    } catch {
      return undefined;
    }
  }
}

/** Whether a segment is `.` or `..`, also with parameters behind a semicolon, which some services cut off before they look. */
function climbs(path: string): boolean {
  for (const segment of path.split(/[/\\]/)) {
    const end = segment.indexOf(';');
    const name = end < 0 ? segment : segment.slice(0, end);
    if (name === '.' || name === '..') return true;
  }
  return false;
}

/**
 * The path as a service may read it that decodes slashes, takes several for one, or cuts off what stands behind a semicolon.
 * It may be passed on as it was sent, but not past a narrower route that this reading of it would take.
 * @returns undefined when it is the same
 */
export function otherReading(path: string): string | undefined {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code === percent || code === semicolon || (code === slash && path.charCodeAt(index + 1) === slash)) {
      const other = path
        .replace(/%2f/gi, '/')
        .replace(/;[^/]*/g, '')
        .replace(/\/{2,}/g, '/');
      return other === path ? undefined : other;
    }
  }
  return undefined;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** RFC 3986 §2.3: letters, digits, `-`, `.`, `_`, `~`. */
function isUnreserved(code: number): boolean {
  const letter = code | 0x20;
  if (letter >= 0x61 && letter <= 0x7a) return true;
  return (code >= 0x30 && code <= 0x39) || code === 0x2d || code === dot || code === 0x5f || code === 0x7e;
}
