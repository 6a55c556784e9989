import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { NextFunction, Request, Response } from 'express';
import type { AdminSettings } from '#gateway/http/settings.ts';
import type { AuditLog } from '#gateway/telemetry/audit-log.ts';
import { fromOf } from './operator-requests.ts';
import { sendProblem, type Problem } from './problem.ts';

/**
 * Keeps web pages out that an operator's browser shows. Such a page can reach an address that its visitor can reach:
 *
 * - By a request to it (CSRF). Browsers say where a request comes from (Fetch §3.2, Fetch Metadata §2): none is taken from
 *   another origin. A link to here may be followed, since its page reads nothing of what it leads to.
 * - By a name of its own that it lets mean that address (DNS rebinding). Without a token only addresses, `localhost` and the
 *   name of `admin.host` are taken for this listener; a page has no token.
 */
export function guardOrigin({ host, token }: AdminSettings, audit: AuditLog) {
  const deny = denier(audit);
  return (request: Request, response: Response, next: NextFunction): void => {
    const { headers, method } = request;
    if (token === '' && !isOurs(headers.host, host)) {
      deny(request, response, {
        status: 421,
        title: 'The host is not known here',
        detail:
          'Without admin.token this listener answers to its address, to localhost and to the name in admin.host. ' +
          'Ask by its address, or set admin.token.',
      });
    } else if (isForeign(headers, method)) {
      deny(request, response, {
        status: 403,
        title: 'The request comes from another site',
        detail: 'Pages of other origins may not ask here. Use weir, curl, or a page that is served under this host.',
      });
    } else {
      next();
    }
  };
}

/** An address cannot be another's name. */
function isOurs(authority: string | undefined, own: string): boolean {
  // HTTP/1.0 may leave it out; no browser does.
  if (authority === undefined) return true;
  const hostname = URL.parse(`http://${authority}`)?.hostname.replaceAll(/^\[|\]$/g, '');
  if (hostname === undefined) return false;
  return isIP(hostname) !== 0 || hostname === 'localhost' || hostname === own.toLowerCase();
}

function isForeign(headers: Request['headers'], method: string): boolean {
  const { origin, host = '' } = headers;
  if (origin !== undefined && URL.parse(origin)?.host !== host.toLowerCase()) return true;
  const site = headers['sec-fetch-site'];
  if (site !== 'cross-site' && site !== 'same-site') return false;
  const follows = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  return !follows || (method !== 'GET' && method !== 'HEAD');
}

/** Asks for the token where there is one. */
export function authorize({ token }: AdminSettings, audit: AuditLog) {
  const deny = denier(audit);
  const wanted = digest(`Bearer ${token}`);
  return (request: Request, response: Response, next: NextFunction): void => {
    // Digests are of one length, so comparing them tells nothing of the token's.
    if (token === '' || timingSafeEqual(digest(request.headers.authorization ?? ''), wanted)) next();
    else
      deny(request, response.set('www-authenticate', 'Bearer'), {
        status: 401,
        title: 'The admin token is missing or wrong',
        detail: 'Send it as Authorization: Bearer TOKEN; it is what admin.token of the running gateway says.',
      });
  };
}

/** Answers no, and has it written down. */
function denier(audit: AuditLog) {
  return (request: Request, response: Response, problem: Problem): void => {
    audit.adminDenied({ why: problem.title, method: request.method, path: request.path, from: fromOf(request) });
    sendProblem(response, problem);
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
