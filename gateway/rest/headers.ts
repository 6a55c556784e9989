import type { RequestContext } from '#core/context.ts';
import { connectionTokens, hopByHop, type Headers } from '#core/headers.ts';
import { appendVia } from '#upstreams/forwarding.ts';
import { canonicalAccept, canonicalAcceptEncoding } from '#upstreams/canonical.ts';
import { isOurs } from './own-headers.ts';
import { RestRoute } from './route.ts';

/** Of answers: `Via` is made anew, the others name software. */
const inside: ReadonlySet<string> = new Set(['via', 'server', 'x-powered-by']);

/** RFC 9110 §7.6.1: what goes on to an upstream: end-to-end fields, less those that the gateway sets or keeps. */
export function requestHeaders(context: RequestContext, streamed: boolean): Headers {
  const received = context.headers;
  const named = connectionTokens(received.connection);
  const accept = named.includes('accept') ? undefined : received.accept;
  const headers: Headers = { accept: canonicalAccept(accept), 'accept-encoding': canonicalAcceptEncoding };
  for (const name in received) {
    if (name === context.withheld) continue;
    // Many a service reads its fields as CGI variables (RFC 3875 §4.1.18), to which x_weir_tier and x-weir-tier are the same.
    const plain = name.includes('_') ? name.replaceAll('_', '-') : name;
    // Each hop says itself how long what it sends is.
    if (hopByHop.has(plain) || isOurs(plain) || plain === 'content-length') continue;
    if (named.length > 0 && (named.includes(name) || named.includes(plain))) continue;
    headers[name] = received[name];
  }
  // A body that is held gets its length from the exchange; of a streamed one it is known if the client's parser knew it.
  const { length } = context.incoming;
  if (streamed && length !== undefined) headers['content-length'] = String(length);
  return headers;
}

/** The same on the way back; what names the upstream's software stays inside. */
export function responseHeaders(context: RequestContext, received: Headers): Headers {
  const headers = endToEnd(context, received);
  headers.via = appendVia(received.via);
  return headers;
}

export function endToEnd({ decidesCors, route }: RequestContext, received: Headers): Headers {
  const removes = route instanceof RestRoute ? route.removes : undefined;
  const named = connectionTokens(received.connection);
  const headers: Headers = {};
  for (const name in received) {
    if (hopByHop.has(name) || inside.has(name) || name.startsWith('x-weir-')) continue;
    if (removes?.(name) === true) continue;
    if (decidesCors && name.startsWith('access-control-')) continue;
    if (named.length > 0 && named.includes(name)) continue;
    headers[name] = received[name];
  }
  return headers;
}

/**
 * RFC 9110 §6.5.1: fields that a recipient has to know before the content, or acts on before it looks for their like in a
 * trailer section: routing, authentication, controls of cache and of the response. Framing and format go by their families.
 */
const headOnly: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'cache-control',
  'cookie',
  'date',
  'expect',
  'expires',
  'host',
  'location',
  'max-forwards',
  'pragma',
  'range',
  'retry-after',
  'set-cookie',
  'vary',
  'warning',
  'www-authenticate',
]);

const headOnlyFamilies = /^(access-control-|content-|if-|x-forwarded-)/;

/** What may come after the content: nothing that belongs in the head, nor what the gateway itself has said there. */
function mayTrail({ reply }: RequestContext, name: string): boolean {
  return !headOnly.has(name) && !headOnlyFamilies.test(name) && reply.headers[name] === undefined;
}

/** Of a trailer section what may be merged by whoever reads it (RFC 9110 §6.5.2). */
export function responseTrailers(context: RequestContext, received: Headers): Headers {
  const kept = endToEnd(context, received);
  const trailers: Headers = {};
  for (const name in kept) if (mayTrail(context, name)) trailers[name] = kept[name];
  return trailers;
}

/** RFC 9110 §6.6.2: of the names that an upstream announces, those that will be passed on. */
export function announcedTrailers(context: RequestContext, trailer: string | string[]): string {
  const names = String(trailer).split(',', maxAnnounced);
  return names
    .map((name) => name.trim())
    .filter((name) => token.test(name) && name.toLowerCase() in responseTrailers(context, { [name.toLowerCase()]: '' }))
    .join(', ');
}

/** More trailer fields are not worth announcing. */
const maxAnnounced = 64;

/** RFC 9110 §5.6.2. */
const token = /^[!#$%&'*+.^_`|~\w-]+$/;
