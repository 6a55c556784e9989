import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { isAuthority } from './authority.ts';
import { checkForwards } from './forwards.ts';
import { checkFraming } from './framing.ts';
import { pathProblem } from './path.ts';
import { refuse } from './refuse.ts';

/** Longest request target that is read (RFC 9110 §4.1 asks for 8000 octets at least). */
const maxTargetLength = 8192;

/** Most lines of a header section; its bytes are `listen.maxHeaderBytes`'s. */
const maxFieldLines = 128;

const servedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/**
 * Refuses what could be read in two ways, before anything is matched against it: framing, host and target that are not plain,
 * paths that climb, methods that a gateway must not pass on, and reads with a body. Such a refusal ends the connection, since
 * nobody knows where on it the next request begins (RFC 9112 §9.6).
 */
export function guard(context: RequestContext): void {
  const { target, method, httpVersion } = context;
  if (target.length > maxTargetLength) throw new WeirError('URI_TOO_LONG');
  if (context.fieldLines > maxFieldLines) {
    throw new WeirError('HEADERS_TOO_LARGE', { detail: `A request may have at most ${maxFieldLines} header lines.` });
  }
  // RFC 9110 §2.5: Node's parser also takes 0.9 and 2.0 for its own.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw refuse('The request is not HTTP/1.1.');
  checkHost(context);
  checkFraming(context);
  if (method === 'TRACE' || method === 'CONNECT') {
    // RFC 9110 §9.3.8: TRACE echoes what the client must not see of what proxies added; §9.3.6: a gateway makes no tunnels.
    throw new WeirError('METHOD_NOT_ALLOWED', {
      detail: `${method} is not served.`,
      headers: { allow: servedMethods },
    });
  }
  // RFC 9112 §3.2.4: asterisk form asks about the server as a whole.
  const server = target === '*' && method === 'OPTIONS';
  if (!server) checkTarget(context);
  if (method === 'OPTIONS' && (server || !checkForwards(context))) {
    context.reply.head(204, { allow: servedMethods });
    context.reply.end();
  }
}

function checkTarget({ target, path }: RequestContext): void {
  // RFC 9112 §3.2: only origin form is served; absolute form was reduced to it on arrival, where it is one of this server.
  if (target.charCodeAt(0) !== slash)
    throw refuse('The request target is neither a path nor an http URI of this server.');
  if (target.includes('#')) throw refuse('The request target has a fragment.');
  const problem = pathProblem(path);
  if (problem !== undefined) throw refuse(problem);
}

/**
 * RFC 9112 §3.2: one Host field, and in it a host. Several come joined with a comma, which is no part of any; HTTP/1.0 may
 * do without. The field must be right also where the authority of the target replaces it.
 */
function checkHost({ host, headers, httpVersion }: RequestContext): void {
  const field = headers.host;
  if (field === undefined) {
    if (httpVersion !== '1.0') throw refuse('The Host header is missing.');
    if (host === '') return;
  }
  if (!isAuthority(host) || (field !== undefined && field !== host && !isAuthority(String(field)))) {
    throw refuse('The Host header, or the authority of the target, is not one host.');
  }
}

const slash = 0x2f;
