import { ROOT_CONTEXT, SpanKind as OtelKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Span as OtelSpan, SpanContext, Tracer as OtelTracer } from '@opentelemetry/api';
import { TraceState } from '@opentelemetry/core';
import type { Headers } from '#core/headers.ts';
import type { Propagate, Span, SpanKind } from '#core/trace.ts';
import { debugFlag, parseB3, removeB3, writeB3, writeSingleB3 } from './b3.ts';
import { randomSpanId, randomTraceId } from './ids.ts';
import { knownMethod } from './methods.ts';
import type { TelemetrySettings } from './settings.ts';
import { formatTraceparent, parseTraceparent, randomFlag, sampledFlag, type RemoteContext } from './trace-context.ts';
import { parseTracestate } from './tracestate.ts';

interface ServerRequest {
  readonly method: string;
  readonly headers: Headers;
  /** The peer is one of `listen.trustedProxies`: its decision to sample is obeyed. */
  readonly trustedPeer: boolean;
  /** The span's name until its route is known. */
  readonly name: string;
}

export interface Tracing {
  startServerSpan(request: ServerRequest): Span;
  readonly propagate: Propagate;
}

/** Records spans through the SDK; the id of a trace that starts here is ours, because sampling is decided by it. */
export interface Recorder {
  readonly tracer: OtelTracer;
  /** Makes the SDK give the next root span this trace id. */
  readonly nextTraceId: (traceId: string) => void;
}

/**
 * Server spans and trace headers. `recorder` is missing where nothing is exported: the sampling decision is then still made
 * and sent on, for services that record.
 */
export function createTracing(
  { propagation, sampleRatio }: Pick<TelemetrySettings, 'propagation' | 'sampleRatio'>,
  recorder: Recorder | undefined,
): Tracing {
  const w3c = propagation.includes('tracecontext');
  const multi = propagation.includes('b3');
  const single = propagation.includes('b3-single');
  const b3 = multi || single;
  const inRatio = ratioSampler(sampleRatio);
  return {
    startServerSpan({ method, headers, trustedPeer, name }) {
      let remote: RemoteContext | undefined;
      let traceState: string | undefined;
      let sampled: boolean | undefined;
      let debug = false;
      if (w3c && headers.traceparent !== undefined) {
        remote = parseTraceparent(headers.traceparent);
        // §4.1: a tracestate without a valid traceparent is dropped.
        if (remote) {
          traceState = parseTracestate(headers.tracestate);
          sampled = (remote.flags & sampledFlag) !== 0;
        }
      } else if (b3) {
        ({ remote, sampled, debug } = parseB3(headers));
      }
      const traceId = remote ? remote.traceId : randomTraceId();
      if (!trustedPeer || sampled === undefined) {
        sampled = inRatio(traceId);
        debug = false;
      }
      // §3.2.2.5.2: the random flag of a trace that is continued stays as it came; that of one we start says what is so.
      const flags =
        ((remote ? remote.flags : randomFlag) & randomFlag) | (sampled ? sampledFlag : 0) | (debug ? debugFlag : 0);
      if (!sampled || !recorder) return new PassingSpan(traceId, randomSpanId(), flags, traceState);
      const root = recordRoot(recorder, name, traceId, remote, flags, traceState);
      const known = knownMethod(method);
      const span = new RecordedSpan(recorder.tracer, root, flags, traceState, known === method ? method : 'HTTP');
      span.set('http.request.method', known);
      if (known !== method) span.set('http.request.method_original', method);
      return span;
    },
    propagate(span, headers) {
      // §4.1: each outgoing request has a parent-id of its own, also where no span is recorded for it.
      const spanId = span.sampled ? span.spanId : randomSpanId();
      if (w3c) {
        headers.traceparent = formatTraceparent(span.traceId, spanId, span.flags);
        if (span.traceState !== undefined) headers.tracestate = span.traceState;
        else if (headers.tracestate !== undefined) delete headers.tracestate;
      }
      if (!b3) return;
      const sampled = (span.flags & sampledFlag) !== 0;
      const debug = (span.flags & debugFlag) !== 0;
      removeB3(headers);
      if (multi) writeB3(headers, span.traceId, spanId, sampled, debug);
      if (single) writeSingleB3(headers, span.traceId, spanId, sampled, debug);
    },
  };
}

/**
 * Decides by the right-most 56 bits of the trace id, which level 2 asks to be random, as OpenTelemetry's probability
 * sampling does (recorded where R >= T): all hops with one ratio agree. 52 of the bits fit a number's precision.
 */
function ratioSampler(ratio: number): (traceId: string) => boolean {
  if (ratio <= 0) return () => false;
  if (ratio >= 1) return () => true;
  const threshold = (1 - ratio) * 2 ** 52;
  return (traceId) => Number.parseInt(traceId.slice(18, 31), 16) >= threshold;
}

function recordRoot(
  { tracer, nextTraceId }: Recorder,
  name: string,
  traceId: string,
  remote: RemoteContext | undefined,
  traceFlags: number,
  traceState: string | undefined,
): OtelSpan {
  if (!remote) {
    nextTraceId(traceId);
    return tracer.startSpan(name, { kind: OtelKind.SERVER }, ROOT_CONTEXT);
  }
  const parent: SpanContext = {
    traceId,
    spanId: remote.parentId,
    traceFlags: traceFlags & (sampledFlag | randomFlag),
    isRemote: true,
  };
  if (traceState !== undefined) parent.traceState = new TraceState(traceState);
  return tracer.startSpan(name, { kind: OtelKind.SERVER }, trace.setSpanContext(ROOT_CONTEXT, parent));
}

/** Of a request that is not recorded: only what is logged and sent on. */
class PassingSpan implements Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled = false;
  readonly flags: number;
  readonly traceState: string | undefined;

  constructor(traceId: string, spanId: string, flags: number, traceState: string | undefined) {
    this.traceId = traceId;
    this.spanId = spanId;
    this.flags = flags;
    this.traceState = traceState;
  }

  child(): this {
    return this;
  }

  set(): void {}

  fail(): void {}

  end(): void {}
}

const kinds = { server: OtelKind.SERVER, client: OtelKind.CLIENT, internal: OtelKind.INTERNAL } as const;

class RecordedSpan implements Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled = true;
  readonly flags: number;
  readonly traceState: string | undefined;
  readonly #tracer: OtelTracer;
  readonly #span: OtelSpan;
  /** The first half of a server span's name, which its route completes. */
  readonly #method: string | undefined;

  constructor(tracer: OtelTracer, span: OtelSpan, flags: number, traceState: string | undefined, method?: string) {
    const context = span.spanContext();
    this.traceId = context.traceId;
    this.spanId = context.spanId;
    this.flags = flags;
    this.traceState = traceState;
    this.#tracer = tracer;
    this.#span = span;
    this.#method = method;
  }

  child(name: string, kind: SpanKind): Span {
    const parent = trace.setSpanContext(ROOT_CONTEXT, this.#span.spanContext());
    const span = this.#tracer.startSpan(name, { kind: kinds[kind] }, parent);
    return new RecordedSpan(this.#tracer, span, this.flags, this.traceState);
  }

  set(key: string, value: string | number | boolean): void {
    this.#span.setAttribute(key, value);
    // HTTP semantic conventions, "Name": `{method} {http.route}`, and the route is found after the span has begun.
    if (key === 'http.route' && this.#method !== undefined) this.#span.updateName(`${this.#method} ${value}`);
  }

  fail(message: string): void {
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
  }

  end(): void {
    this.#span.end();
  }
}
