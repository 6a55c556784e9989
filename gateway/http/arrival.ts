import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Cancellation } from '#core/cancellation.ts';
import type { Clock } from '#core/clock.ts';
import { RequestContext } from '#core/context.ts';
import { firstValue } from '#core/headers.ts';
import type { Span } from '#core/trace.ts';
import { normalTarget } from '#policies/guard/path.ts';
import { randomHex } from '#gateway/telemetry/ids.ts';
import { formatTraceparent } from '#gateway/telemetry/trace-context.ts';
import { plainIp, type ClientAddresses } from './client-address.ts';
import { clientCertificateOf } from './tls.ts';
import { NodeBody } from './node-body.ts';
import { NodeReply, type Connection } from './node-reply.ts';
import type { PaceSettings } from './pace.ts';

export interface ServerSpanRequest {
  readonly method: string;
  readonly headers: IncomingMessage['headers'];
  readonly trustedPeer: boolean;
  readonly name: string;
}

export interface Arrivals {
  readonly clock: Clock;
  readonly addresses: ClientAddresses;
  readonly bodyPace: PaceSettings;
  readonly startServerSpan: (request: ServerSpanRequest) => Span;
}

/**
 * Makes Weir's context of a request to node:http: from here on nothing knows of the host, but for the doors that stream.
 * @param url the request target as it came, in whatever form
 * @param startedMs when it came, by the monotonic clock
 */
export function arrive(
  request: IncomingMessage,
  response: ServerResponse,
  arrivals: Arrivals,
  connection: Connection,
  url: string,
  startedMs: number,
): RequestContext {
  const { headers, socket } = request;
  const method = request.method ?? '';
  const scheme = schemeOf(socket);
  const { target, authority } = originForm(url, request, arrivals.addresses);
  // RFC 9112 §3.2.2: the authority of an absolute-form target replaces the Host field.
  const host = (authority ?? headers.host ?? '').toLowerCase();
  const address = arrivals.addresses.resolve(socket.remoteAddress ?? '', headers, scheme, host);
  const id = requestId(firstValue(headers['x-request-id']));
  const span = arrivals.startServerSpan({ method, headers, trustedPeer: address.trustedPeer, name: method });
  const reply = new NodeReply(response, connection);
  reply.headers['x-request-id'] = id;
  reply.headers.traceparent = formatTraceparent(span.traceId, span.spanId, span.flags);
  const cancellation = new Cancellation();
  const context = new RequestContext({
    id,
    startedMs,
    method,
    target: normalTarget(target),
    scheme,
    host,
    headers,
    httpVersion: request.httpVersion,
    peerIp: address.peerIp,
    clientIp: address.clientIp,
    forwarded: address.forwarded,
    clientCertificate: clientCertificateOf(socket),
    span,
    incoming: new NodeBody(request, response, arrivals.bodyPace, cancellation),
    reply,
    cancellation,
  });
  context.fieldLines = request.rawHeaders.length / 2;
  return context;
}

export function schemeOf(socket: Socket): 'http' | 'https' {
  return 'encrypted' in socket ? 'https' : 'http';
}

interface OriginForm {
  readonly target: string;
  readonly authority?: string | undefined;
}

/**
 * RFC 9112 §3.2.2: a server must take absolute form, though only proxies are sent it. What is not that of an http or https
 * URI of this server, as far as the connection can tell, stays as it is, for the guard to refuse.
 */
function originForm(url: string, { method, socket }: IncomingMessage, addresses: ClientAddresses): OriginForm {
  if (url.charCodeAt(0) === 0x2f) return { target: url };
  const match = /^http(s?):\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(url);
  if (!match) return { target: url };
  const [, secure, authority, rest] = match;
  // RFC 9110 §7.4: an https resource is served over a secured connection alone, here or at a proxy that is trusted with it.
  if (secure !== '' && schemeOf(socket) === 'http' && !addresses.trusts(plainIp(socket.remoteAddress ?? ''))) {
    return { target: url };
  }
  // RFC 9112 §3.2.4: without any path an OPTIONS is about the server as a whole.
  if (rest === undefined) return { target: method === 'OPTIONS' ? '*' : '/', authority };
  return { target: rest.startsWith('/') ? rest : `/${rest}`, authority };
}

/** The caller's id if it is plain enough to stand in any log, or one of our own. */
export function requestId(given: string | undefined): string {
  return given !== undefined && given.length <= 128 && /^[\w.:-]+$/.test(given) ? given : randomHex(32);
}
