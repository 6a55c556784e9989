import type { RequestContext } from '#core/context.ts';
import { errorRow, WeirError } from '#core/errors.ts';
import type { Counter } from '#core/meter.ts';
import type { Headers } from '#core/headers.ts';
import { Relay, type CallHandle, type ResponseSink, type Send, type UpstreamCall } from '#upstreams/call.ts';
import { fallbackCounter } from '#upstreams/fallbacks.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import {
  encodeFallback,
  methodsWithFallback,
  type FallbackAnswer,
  type FallbackSettings,
} from './fallback-settings.ts';

/**
 * What a route answers where its upstream fails: the same bytes for everyone, made once at boot. It says in `Proxy-Status`
 * what it stands in for, and no cache keeps it.
 */
export class Fallback {
  readonly #answer: FallbackAnswer;
  readonly #methods: ReadonlySet<string>;
  readonly #upstream: Upstream;
  readonly #served: Counter;

  /**
   * @param route the route's name
   * @param methods those that the route names, if any
   */
  constructor(settings: FallbackSettings, route: string, methods: readonly string[] | undefined, upstream: Upstream) {
    this.#answer = encodeFallback(settings);
    this.#methods = new Set(methodsWithFallback(settings.status, methods));
    this.#upstream = upstream;
    this.#served = fallbackCounter(upstream, { 'http.route': route });
  }

  takes(method: string): boolean {
    return this.#methods.has(method);
  }

  /** A status that counts as a failure of the upstream (`breaker.on`), as an error; undefined for an answer to pass on. */
  failureOf(status: number): WeirError | undefined {
    const { name, settings } = this.#upstream;
    if (status < 400 || !settings.breaker.on.includes(status)) return undefined;
    return new WeirError('UPSTREAM_ERROR', {
      upstream: name,
      cause: new Error(`'${name}' answered with status ${status}`),
      extensions: { upstreamStatus: status },
    });
  }

  /** Whether a call failed for the upstream's fault, before any of its answer went out. */
  standsInFor(error: WeirError, { context, deadlineMs }: UpstreamCall): boolean {
    if (error.fault !== 'upstream' || context.reply.started || context.reply.finished) return false;
    // Time that the client did not give is no failure of the upstream's.
    return error.code !== 'DEADLINE_EXCEEDED' || !context.clientDeadline || deadlineMs < context.deadlineMs;
  }

  answer(context: RequestContext, error: WeirError): void {
    const { status, headers, body } = this.#answer;
    context.errorCode = error.code;
    context.errorCause = error.cause;
    context.fallback = true;
    this.#served.add(1);
    context.reply.head(status, {
      // RFC 9110 §10.2.3: the one status with which the time to wait is about this resource.
      ...(status === 503 && error.retryAfterS !== undefined && { 'retry-after': String(error.retryAfterS) }),
      ...headers,
      'proxy-status': proxyStatus(error),
      'cache-control': 'no-store',
    });
    context.reply.end(context.method === 'HEAD' ? undefined : body);
  }
}

/** RFC 9209 §2: why the answer is the gateway's own: an error (§2.1.1), or the status that was received (§2.1.4). */
function proxyStatus({ code, extensions }: WeirError): string {
  const received = extensions?.upstreamStatus;
  const { proxyStatus: type = 'proxy_internal_response' } = errorRow(code);
  return `weir; ${typeof received === 'number' ? `received-status=${received}` : `error=${type}`}; details="fallback"`;
}

/** Sends a call whose failure the fallback stands in for; everything else goes on to `sink`. */
export function sendWithFallback(send: Send, call: UpstreamCall, sink: ResponseSink, fallback: Fallback): CallHandle {
  const watch = new FailureWatch(call, sink, fallback);
  return watch.follow(send(call, watch));
}

class FailureWatch extends Relay {
  readonly #call: UpstreamCall;
  readonly #fallback: Fallback;
  #handle: CallHandle | undefined;
  /** What the fallback has answered in place of; nothing that still comes is for the client. */
  #failure: WeirError | undefined;

  constructor(call: UpstreamCall, sink: ResponseSink, fallback: Fallback) {
    super(sink);
    this.#call = call;
    this.#fallback = fallback;
  }

  follow(handle: CallHandle): CallHandle {
    this.#handle = handle;
    // It may have failed while it was being sent.
    if (this.#failure) handle.abort(this.#failure);
    return handle;
  }

  #standIn(failure: WeirError): boolean {
    if (!this.#fallback.standsInFor(failure, this.#call)) return false;
    this.#failure = failure;
    this.#fallback.answer(this.#call.context, failure);
    return true;
  }

  override onHead(status: number, headers: Headers): void {
    const failure = this.#fallback.failureOf(status);
    // Nobody reads the rest, and a sick upstream might take its time over it.
    if (failure && this.#standIn(failure)) this.#handle?.abort(failure);
    else this.sink.onHead(status, headers);
  }

  override onData(chunk: Buffer): void {
    if (!this.#failure) this.sink.onData(chunk);
  }

  override onEnd(trailers: Headers | undefined): void {
    if (!this.#failure) this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    if (!this.#failure && !this.#standIn(error)) this.sink.onError(error);
  }
}
