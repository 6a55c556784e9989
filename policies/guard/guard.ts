import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';

/** Longest request target that is read (RFC 9110 §4.1 asks for 8000 octets at least). */
const maxTargetLength = 8192;

/**
 * Refuses what could be read in two ways, before anything is matched against it: a target that is not plain origin form,
 * paths that climb, methods that a gateway must not pass on, and reads with a body.
 */
export function guard(context: RequestContext): void {
  const { target, path, method } = context;
  if (target.length > maxTargetLength) throw new WeirError('URI_TOO_LONG');
  // RFC 9112 §3.2: only origin form is served; absolute form was reduced to it on arrival.
  if (target.charCodeAt(0) !== slash) throw refuse('The request target must start with a slash.');
  if (target.includes('#')) throw refuse('The request target has a fragment.');
  checkHost(context);
  if (method === 'TRACE' || method === 'CONNECT') {
    // RFC 9110 §9.3.8: TRACE echoes what the client must not see of what proxies added.
    throw new WeirError('METHOD_NOT_ALLOWED', {
      detail: `${method} is not served.`,
      headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' },
    });
  }
  const { expect } = context.headers;
  if (expect !== undefined && String(expect).toLowerCase() !== '100-continue')
    throw new WeirError('EXPECTATION_FAILED');
  if ((method === 'GET' || method === 'HEAD') && context.incoming.length !== 0) {
    // RFC 9110 §9.3.1: content in a GET has no defined meaning and is a means of request smuggling.
    throw refuse(`${method} with a body is not served.`);
  }
  if (suspicious(path)) checkSegments(path);
}

/**
 * RFC 9112 §3.2: one Host field, and in it a host. Several come joined with a comma, which is no part of any; HTTP/1.0 may
 * do without.
 */
function checkHost({ host, headers, httpVersion }: RequestContext): void {
  if (headers.host === undefined && httpVersion !== '1.0') throw refuse('The Host header is missing.');
  for (let index = 0; index < host.length; index++) {
    const code = host.charCodeAt(index);
    // RFC 3986 §3.2: what ends an authority, or comes before its host.
    const delimiter = code === 0x2c || code === slash || code === 0x5c || code === 0x3f || code === 0x40;
    if (code <= 0x20 || code >= 0x7f || delimiter) throw refuse('The Host header is not one host.');
  }
}

const slash = 0x2f;
const dot = 0x2e;
const percent = 0x25;

/** One pass without allocation: most paths have nothing that needs a closer look. */
function suspicious(path: string): boolean {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code === percent || code === 0x5c || code <= 0x20 || code >= 0x7f) return true;
    if (code === dot && path.charCodeAt(index - 1) === slash) return true;
  }
  return false;
}

/** RFC 3986 §3.3 and §6.2.2.3: what an upstream might take for another path, a separator or an end. */
function checkSegments(path: string): void {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index);
    if (code === 0x5c) throw refuse('The path has a backslash.');
    if (code <= 0x20 || code >= 0x7f) throw refuse('The path has a character that must be percent-encoded.');
  }
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    throw refuse('The path has a broken percent-encoding.');
  }
  for (let index = 0; index < decoded.length; index++) {
    const code = decoded.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) throw refuse('The path has an encoded control character.');
    if (code === 0x5c) throw refuse('The path has an encoded backslash.');
  }
  for (const segment of decoded.split('/')) {
    if (segment === '.' || segment === '..') throw refuse('The path has a dot segment.');
  }
}

function refuse(detail: string): WeirError {
  return new WeirError('BAD_REQUEST', { detail });
}
