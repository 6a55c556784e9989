import { randomUUID } from 'node:crypto';
import { Cancellation } from '#core/cancellation.ts';
import type { Clock } from '#core/clock.ts';
import { RequestContext } from '#core/context.ts';
import type { Reply } from '#core/reply.ts';
import type { Span } from '#core/trace.ts';

const unanswered: Reply = {
  headers: {},
  started: false,
  finished: true,
  status: 0,
  bytes: 0,
  endless: false,
  information() {},
  head() {},
  write: () => true,
  onDrain() {},
  end() {},
  destroy() {},
};

const untraced: Span = {
  traceId: '0'.repeat(32),
  spanId: '0'.repeat(16),
  sampled: false,
  flags: 0,
  traceState: undefined,
  child: () => untraced,
  set() {},
  fail() {},
  end() {},
};

/** The context of a copy of a request: the same caller, to whom nothing of it gets back, and whom it does not wait for. */
export function copyContext(of: RequestContext, clock: Clock): RequestContext {
  const context = new RequestContext({
    id: of.id,
    startedMs: clock.monotonicMs(),
    method: of.method,
    target: of.target,
    scheme: of.scheme,
    host: of.host,
    headers: of.headers,
    httpVersion: of.httpVersion,
    peerIp: of.peerIp,
    clientIp: of.clientIp,
    forwarded: of.forwarded,
    clientCertificate: of.clientCertificate,
    span: of.span,
    incoming: { length: 0, read: () => Promise.resolve(Buffer.alloc(0)) },
    reply: unanswered,
    cancellation: new Cancellation(),
  });
  context.identity = of.identity;
  context.route = of.route;
  context.pathParts = of.pathParts;
  return context;
}

/** The context of a call that the gateway makes for itself: nobody waits for it, nobody pays for it. */
export function ownContext(clock: Clock): RequestContext {
  return new RequestContext({
    id: randomUUID(),
    startedMs: clock.monotonicMs(),
    method: 'GET',
    target: '/',
    scheme: 'http',
    host: '',
    headers: {},
    httpVersion: '1.1',
    peerIp: '',
    clientIp: '',
    forwarded: { for: '', proto: '', host: '' },
    clientCertificate: undefined,
    span: untraced,
    incoming: { length: 0, read: () => Promise.resolve(Buffer.alloc(0)) },
    reply: unanswered,
    cancellation: new Cancellation(),
  });
}
