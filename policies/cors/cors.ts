import type { RequestContext } from '#core/context.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import type { CrossOrigin } from '#core/route.ts';
import { originMatcher } from './origins.ts';
import type { CorsSettings } from './settings.ts';

const off: CrossOrigin = () => undefined;

/**
 * CORS as the Fetch standard says (§3.2). An origin is never reflected unless it is listed. A request without `Origin`, or
 * from another one, is served as if CORS did not exist: what keeps it from scripts is the missing header.
 */
export function cors(settings: CorsSettings): CrossOrigin {
  if (settings.origins.length === 0) return off;
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
    if (allowHeaders !== '') {
      answer['access-control-allow-headers'] = allowHeaders;
    } else if (asked !== undefined) {
      answer['access-control-allow-headers'] = asked;
      answer.vary = 'Access-Control-Request-Headers';
    }
    context.reply.head(204, answer);
    context.reply.end();
  };
}

/** The stage: what the route says of CORS, or what is said for all. */
export function corsOfRoute(general: CrossOrigin): CrossOrigin {
  return (context) => (context.route?.cors ?? general)(context);
}

function isPreflight(context: RequestContext): boolean {
  return context.method === 'OPTIONS' && context.headers['access-control-request-method'] !== undefined;
}
