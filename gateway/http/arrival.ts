import type { IncomingMessage, ServerResponse } from 'node:http';
import { Cancellation } from '#core/cancellation.ts';
import type { Clock } from '#core/clock.ts';
import { RequestContext } from '#core/context.ts';
import { firstValue } from '#core/headers.ts';
import type { Span } from '#core/trace.ts';
import { randomHex } from '#gateway/telemetry/ids.ts';
import { formatTraceparent } from '#gateway/telemetry/trace-context.ts';
import type { ClientAddresses } from './client-address.ts';
import { NodeBody } from './node-body.ts';
import { NodeReply, type Listener } from './node-reply.ts';

export interface ServerSpanRequest {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly trustedPeer: boolean;
  readonly name: string;
}

export interface Arrivals {
  readonly clock: Clock;
  readonly addresses: ClientAddresses;
  readonly bodyTimeoutMs: number;
  readonly startServerSpan: (request: ServerSpanRequest) => Span;
}

/** Makes Weir's context of a request to node:http: from here on nothing knows of the host, but for the doors that stream. */
export function arrive(
  request: IncomingMessage,
  response: ServerResponse,
  arrivals: Arrivals,
  listener: Listener,
): RequestContext {
  const { headers, socket } = request;
  const method = request.method ?? '';
  const scheme = 'encrypted' in socket ? 'https' : 'http';
  const { target, authority } = originForm(request.url ?? '');
  // RFC 9112 §3.2.2: the authority of an absolute-form target replaces the Host field.
  const host = (authority ?? headers.host ?? '').toLowerCase();
  const address = arrivals.addresses.resolve(socket.remoteAddress ?? '', headers, scheme, host);
  const id = requestId(firstValue(headers['x-request-id']));
  const span = arrivals.startServerSpan({ method, headers, trustedPeer: address.trustedPeer, name: method });
  const reply = new NodeReply(response, listener);
  reply.headers['x-request-id'] = id;
  reply.headers.traceparent = formatTraceparent(span.traceId, span.spanId, span.flags);
  return new RequestContext({
    id,
    startedMs: arrivals.clock.monotonicMs(),
    method,
    target,
    scheme,
    host,
    headers,
    httpVersion: request.httpVersion,
    peerIp: address.peerIp,
    clientIp: address.clientIp,
    forwarded: address.forwarded,
    span,
    incoming: new NodeBody(request, response, arrivals.bodyTimeoutMs),
    reply,
    cancellation: new Cancellation(),
  });
}

/** RFC 9112 §3.2.2: a server must take absolute form, though only proxies are sent it. */
function originForm(url: string): { target: string; authority: string | undefined } {
  if (url.charCodeAt(0) === 0x2f) return { target: url, authority: undefined };
  const match = /^https?:\/\/([^/?#@]+)(\/[^#]*)?$/i.exec(url);
  return match ? { target: match[2] ?? '/', authority: match[1] } : { target: url, authority: undefined };
}

/** The caller's id if it is plain enough to stand in any log, or one of our own. */
function requestId(given: string | undefined): string {
  return given !== undefined && given.length <= 128 && /^[\w.:-]+$/.test(given) ? given : randomHex(32);
}
