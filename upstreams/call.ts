import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestContext } from '#core/context.ts';
import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Span } from '#core/trace.ts';
import type { CacheRules } from './cache/settings.ts';
import type { Endpoint } from './endpoint.ts';
import type { Purpose } from './purpose.ts';
import type { Labels } from './rotation.ts';
import type { Transform } from './transforms/transform.ts';

/** A request body too large or too open-ended to hold, or an upgrade: handed to the exchange as the host has it. */
export type ClientStream =
  | {
      readonly kind: 'body';
      readonly request: IncomingMessage;
      readonly response: ServerResponse;
      readonly maxBytes: number;
      /** Asks a client that waits for it to send the body (RFC 9110 §10.1.1). */
      readonly invite: () => void;
    }
  | {
      readonly kind: 'upgrade';
      readonly request: IncomingMessage;
      readonly socket: Socket;
      readonly head: Buffer;
      /**
       * Called with the upstream's 101, before the sockets are joined, and with what says goodbye to both sides, for when
       * the gateway stops. @returns the head that the client gets
       */
      readonly switching: (headers: Headers, leave: () => void) => Headers;
    };

/** Who counts a call. */
export interface Tally {
  /** One of its attempts is on the wire, or was; said once or more often. */
  sent(): void;
}

/** One call to an upstream, on its way down the layers. The call owns its headers; layers may change them. */
export interface UpstreamCall {
  readonly context: RequestContext;
  /** As the caller has it; below the transform layer, as the upstream gets it. So are path and body. */
  method: string;
  /** Origin form: path and query as they go on the wire. */
  path: string;
  readonly headers: Headers;
  /** A body that is held whole, so that it can be sent again. */
  body: Uint8Array | undefined;
  readonly stream: ClientStream | undefined;
  /** The caller reads the whole answer before it uses any of it, so the deadline covers the body too. */
  readonly buffered: boolean;
  /** The gateway's own call (health, discovery): costs nothing and is nobody's. */
  readonly own: boolean;
  /** A copy of a request: nobody pays for it, it is shared with nobody, and tried once. */
  readonly mirrored: boolean;
  /** The one endpoint that the call is for, such as a health check's; retry, breaker and bulkhead let it by. */
  readonly pinned: Endpoint | undefined;
  /** Milliseconds that the route allows instead of the upstream's `timeout`. */
  readonly timeoutMs: number | undefined;
  /** How answers may be stored, by the route; undefined for what the upstream's settings say, false for not at all. */
  readonly cache: CacheRules | false | undefined;
  /** Of the endpoints that it may go to; undefined means all. */
  readonly labels: Labels | undefined;
  /** Between the version that the caller speaks and the upstream's. */
  readonly transform: Transform | undefined;
  /** What a resolver makes it for; undefined for any other caller. */
  readonly purpose: Purpose | undefined;
  /** The parent of the attempts' spans: the request's, then the call's. */
  span: Span;
  /** Monotonic; set by the deadline layer. */
  deadlineMs: number;
  /**
   * Names of fields by which the upstream is told something of who asks, besides what its `identity` shows: a route's template
   * or a module has set them.
   */
  readonly shows: readonly string[];
  /** Names of the other fields that a route has set: the same URI, asked for in other words. */
  readonly keyed: readonly string[];
  /** Set by the identity layer: exactly what of the caller the upstream is shown, as part of the collapse and cache key. */
  identityKey: string;
  /** Set by the cache: the last write to the path that it had seen. Who asked before it does not share with who asked after. */
  writes: number;
  /** Set by the meter, told by the exchange: what never leaves the gateway costs nothing. */
  tally: Tally | undefined;
  /** Set by the collapse layer: the answer is that of another's call. */
  collapsed: boolean;
  /** Set by the balancer for the attempt at hand; still set while a retry chooses another. */
  endpoint: Endpoint | undefined;
  /** Set by the balancer once there is a retry: where attempts have failed. */
  failed: Endpoint[] | undefined;
}

export interface CallOptions {
  readonly body?: Uint8Array | undefined;
  readonly stream?: ClientStream | undefined;
  readonly buffered?: boolean;
  readonly own?: boolean;
  readonly mirrored?: boolean;
  readonly pinned?: Endpoint;
  readonly timeoutMs?: number | undefined;
  readonly cache?: CacheRules | false | undefined;
  readonly labels?: Labels | undefined;
  readonly transform?: Transform | undefined;
  readonly purpose?: Purpose | undefined;
  readonly shows?: readonly string[] | undefined;
  readonly keyed?: readonly string[] | undefined;
}

const nothing: readonly string[] = Object.freeze([]);

export function newCall(
  context: RequestContext,
  method: string,
  path: string,
  headers: Headers,
  options: CallOptions,
): UpstreamCall {
  return {
    context,
    method,
    path,
    headers,
    body: options.body,
    stream: options.stream,
    buffered: options.buffered ?? false,
    own: options.own ?? false,
    mirrored: options.mirrored ?? false,
    pinned: options.pinned,
    timeoutMs: options.timeoutMs,
    cache: options.cache,
    labels: options.labels,
    transform: options.transform,
    purpose: options.purpose,
    shows: options.shows ?? nothing,
    keyed: options.keyed ?? nothing,
    span: context.span,
    deadlineMs: Number.POSITIVE_INFINITY,
    identityKey: '',
    writes: 0,
    tally: undefined,
    collapsed: false,
    endpoint: undefined,
    failed: undefined,
  };
}

/**
 * Where an answer goes. A call ends in exactly one `onEnd` or `onError`, an aborted one in `onError` with the reason of
 * the abort. `onHead` comes at most once; an error after it means the body broke off. Headers that come up are read, not
 * changed, since other readers may share them.
 */
export interface ResponseSink {
  onInformation(status: number, headers: Headers): void;
  onHead(status: number, headers: Headers): void;
  onData(chunk: Buffer): void;
  onEnd(trailers: Headers | undefined): void;
  onError(error: WeirError): void;
}

/** The caller's hold on a call under way. Aborting one that has ended does nothing. */
export interface CallHandle {
  pause(): void;
  resume(): void;
  abort(reason: WeirError): void;
}

export const endedHandle: CallHandle = { pause() {}, resume() {}, abort() {} };

/** Sends a call. May answer, even end, before it returns. */
export type Send = (call: UpstreamCall, sink: ResponseSink) => CallHandle;

/** A sink that hands everything on; layers override what they watch. */
export class Relay implements ResponseSink {
  protected readonly sink: ResponseSink;

  constructor(sink: ResponseSink) {
    this.sink = sink;
  }

  onInformation(status: number, headers: Headers): void {
    this.sink.onInformation(status, headers);
  }

  onHead(status: number, headers: Headers): void {
    this.sink.onHead(status, headers);
  }

  onData(chunk: Buffer): void {
    this.sink.onData(chunk);
  }

  onEnd(trailers: Headers | undefined): void {
    this.sink.onEnd(trailers);
  }

  onError(error: WeirError): void {
    this.sink.onError(error);
  }
}
