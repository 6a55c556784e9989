import type { Cancellation } from '#core/cancellation.ts';
import { RequestContext } from '#core/context.ts';
import type { Headers } from '#core/headers.ts';
import { settle } from '#policies/limits/stages.ts';

export interface OwnFacts {
  readonly id?: string;
  /** Where it begins later than the request, with a deadline to be set anew. */
  readonly startedMs?: number;
  readonly cancellation?: Cancellation;
  /** Where some of the request's fields are about that request alone. */
  readonly headers?: Headers;
}

/**
 * The context of one operation among several that came by one request: an entry of a batch, an operation on a WebSocket,
 * an event of a subscription. Its calls, its degraded fields and its error are its own, everything else is the request's.
 */
export function operationContext(parent: RequestContext, own: OwnFacts): RequestContext {
  const context = new RequestContext({
    id: own.id ?? parent.id,
    startedMs: own.startedMs ?? parent.startedMs,
    method: parent.method,
    target: parent.target,
    scheme: parent.scheme,
    host: parent.host,
    headers: own.headers ?? parent.headers,
    httpVersion: parent.httpVersion,
    peerIp: parent.peerIp,
    clientIp: parent.clientIp,
    forwarded: parent.forwarded,
    clientCertificate: parent.clientCertificate,
    span: parent.span,
    incoming: parent.incoming,
    reply: parent.reply,
    cancellation: own.cancellation ?? parent.cancellation,
  });
  context.identity = parent.identity;
  context.identified = parent.identified;
  context.atDoor = parent.atDoor;
  context.operation = parent.operation;
  context.development = parent.development;
  context.withheld = parent.withheld;
  context.route = parent.route;
  context.pathParts = parent.pathParts;
  context.leftOut = parent.leftOut;
  context.calls.trace = parent.calls.trace;
  if (own.startedMs === undefined) {
    context.deadlineMs = parent.deadlineMs;
    context.clientDeadline = parent.clientDeadline;
  }
  return context;
}

/** Adds what an operation called and met to the account of the request that it came by. */
export function account(parent: RequestContext, own: RequestContext): void {
  const { calls, errorCode, denial, fallback } = own;
  settle(own);
  const { sent } = parent.calls;
  for (const [upstream, count] of calls.sent) sent.set(upstream, (sent.get(upstream) ?? 0) + count);
  parent.calls.total += calls.total;
  parent.calls.unsent += calls.unsent;
  parent.calls.spent += calls.spent;
  parent.calls.collapsed += calls.collapsed;
  parent.calls.cached += calls.cached;
  parent.reservation?.progress(parent.calls.spent);
  parent.errorCode ??= errorCode;
  parent.denial ??= denial;
  parent.allowanceTold ||= own.allowanceTold;
  parent.fallback ||= fallback;
}
