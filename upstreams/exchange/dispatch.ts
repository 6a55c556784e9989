import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { WeirError } from '#core/errors.ts';
import type { CallHandle, ResponseSink, UpstreamCall } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { broken, misframed, wireFailure } from './failure.ts';
import { traceOf } from './wire.ts';

/** The buffered form: undici's `dispatch`, the cheapest way to the wire that Node has. */
export function dispatch(upstream: Upstream, call: UpstreamCall, sink: ResponseSink): CallHandle {
  const exchange = new Dispatched(upstream.name, call, sink);
  call.endpoint!.connections.pool.dispatch(
    {
      method: call.method,
      path: call.path,
      headers: call.headers as Record<string, string | string[]>,
      body: call.body ?? null,
      // Retrying is a layer above; undici shall neither queue behind a running request nor send again.
      idempotent: false,
      blocking: false,
    },
    exchange,
  );
  return exchange;
}

class Dispatched implements Dispatcher.DispatchHandler, CallHandle {
  readonly #upstream: string;
  readonly #call: UpstreamCall;
  readonly #sink: ResponseSink;
  #controller: Dispatcher.DispatchController | undefined;
  #headSeen = false;
  #ended = false;
  #reason: WeirError | undefined;

  constructor(upstream: string, call: UpstreamCall, sink: ResponseSink) {
    this.#upstream = upstream;
    this.#call = call;
    this.#sink = sink;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#reason) {
      controller.abort(this.#reason);
      return;
    }
    this.#controller = controller;
    this.#call.tally?.sent();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#ended) return;
    if (status < 200) {
      this.#sink.onInformation(status, headers);
      return;
    }
    this.#headSeen = true;
    // Of HTTP/1.0 the connection has been watched for it.
    const unreadable = misframed(headers, '1.1');
    if (unreadable) this.abort(broken(this.#upstream, unreadable, false));
    else this.#sink.onHead(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#ended) this.#sink.onData(chunk);
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const _ in trailers) {
      this.#sink.onEnd(trailers);
      return;
    }
    this.#sink.onEnd(undefined);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    const trace = traceOf(error);
    this.#sink.onError(
      wireFailure(this.#upstream, error, {
        sent: this.#controller !== undefined,
        reused: trace?.reused ?? false,
        heard: this.#headSeen ? 'head' : trace?.answered ? 'something' : 'nothing',
      }),
    );
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(reason: WeirError): void {
    if (this.#ended) return;
    this.#ended = true;
    // Before it has started there is no controller: undici still connects or queues, and is told when it begins.
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#sink.onError(reason);
  }
}
