import type { RequestContext } from '#core/context.ts';
import { redactQuery } from './redaction.ts';

/** Completes the root span of a request that is over, after the HTTP semantic conventions. */
export function endServerSpan(context: RequestContext): void {
  const { span, reply } = context;
  if (span.sampled) {
    if (context.routeName !== undefined) span.set('http.route', context.routeName);
    span.set('url.path', context.path);
    if (context.query !== '') span.set('url.query', redactQuery(context.query));
    span.set('url.scheme', context.scheme);
    span.set('server.address', context.host);
    span.set('client.address', context.clientIp);
    span.set('network.peer.address', context.peerIp);
    span.set('network.protocol.version', context.httpVersion);
    span.set('weir.request.id', context.id);
    if (reply.status !== 0) span.set('http.response.status_code', reply.status);
    if (context.errorCode !== undefined) span.set('error.type', context.errorCode);
    if (context.fallback) span.set('weir.fallback', true);
    // Server spans fail by what the server did: a 4xx is the client's.
    if (reply.status >= 500) span.fail(context.errorCode ?? `status ${reply.status}`);
  }
  span.end();
}
