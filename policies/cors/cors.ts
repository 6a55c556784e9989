import type { RequestContext } from '#core/context.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import type { CorsSettings } from './settings.ts';

/**
 * CORS as the Fetch standard says (§3.2). An origin is never reflected unless it is listed. A request without `Origin`, or
 * from another one, is served as if CORS did not exist: what keeps it from scripts is the missing header.
 */
export function cors(settings: CorsSettings): (context: RequestContext) => void {
  if (settings.origins.length === 0) return () => undefined;
  const any = settings.origins.includes('*');
  const allowed = originMatcher(settings.origins);
  const expose = settings.exposeHeaders.join(', ');
  const methods = settings.methods.join(', ');
  const allowHeaders = settings.allowHeaders.join(', ');
  const maxAge = String(Math.floor(settings.maxAge / 1000));

  return (context: RequestContext) => {
    const { headers } = context.reply;
    context.decidesCors = true;
    // Caches must tell answers to different origins apart, even those that were not allowed.
    if (!any) headers.vary = 'Origin';
    const origin = firstValue(context.headers.origin);
    if (origin === undefined || !(any || allowed(origin))) return;
    headers['access-control-allow-origin'] = any ? '*' : origin;
    if (settings.credentials) headers['access-control-allow-credentials'] = 'true';
    if (!isPreflight(context)) {
      if (expose !== '') headers['access-control-expose-headers'] = expose;
      return;
    }
    const answer: Headers = {
      'access-control-allow-methods': methods,
      'access-control-max-age': maxAge,
    };
    const asked = context.headers['access-control-request-headers'];
    if (allowHeaders !== '') answer['access-control-allow-headers'] = allowHeaders;
    else if (asked !== undefined) answer['access-control-allow-headers'] = asked;
    context.reply.head(204, answer);
    context.reply.end();
  };
}

function isPreflight(context: RequestContext): boolean {
  return context.method === 'OPTIONS' && context.headers['access-control-request-method'] !== undefined;
}

/** Origins are compared as text; one that ends in `:*` takes any port, and none. */
function originMatcher(origins: readonly string[]): (origin: string) => boolean {
  const exact = new Set(origins);
  const anyPort = new Set(origins.filter((origin) => origin.endsWith(':*')).map((origin) => origin.slice(0, -2)));
  return (origin) => {
    if (exact.has(origin) || anyPort.has(origin)) return true;
    const colon = origin.lastIndexOf(':');
    return anyPort.has(origin.slice(0, colon)) && isPort(origin.slice(colon + 1));
  };
}

function isPort(text: string): boolean {
  const port = Number(text);
  return text !== '' && Number.isInteger(port) && port > 0 && port < 65_536;
}
