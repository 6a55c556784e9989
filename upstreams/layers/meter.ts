import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Span } from '#core/trace.ts';
import type { Counter, Gauge, Histogram } from '#core/meter.ts';
import { Relay, type ResponseSink } from '#upstreams/call.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/**
 * Counts calls. It stands above retry, so a call is one however many attempts it takes, and below collapse, so a read that
 * rode on another's is none: what it writes into the request's ledger is what the budget will charge.
 */
export const meter: Layer = {
  name: 'meter',
  over: (upstream, next) => {
    const instruments = new Instruments(upstream);
    return (call, sink) => {
      if (!call.own) call.context.calls.send(upstream.name);
      instruments.active.add(1);
      call.span = call.context.span.child(upstream.name, 'internal');
      return next(call, new Measurement(instruments, call.span, upstream.surroundings.clock.monotonicMs(), sink));
    };
  },
};

/** Bound once per upstream and outcome; the outcomes are statuses and error codes, so there are few. */
class Instruments {
  readonly upstream: Upstream;
  readonly active: Gauge;
  readonly #durations: ReturnType<Upstream['surroundings']['meter']['histogram']>;
  readonly #errors: ReturnType<Upstream['surroundings']['meter']['counter']>;
  readonly #byStatus: (Histogram | undefined)[] = [];
  readonly #byCode = new Map<string, { duration: Histogram; errors: Counter }>();

  constructor(upstream: Upstream) {
    const { meter: meters } = upstream.surroundings;
    this.upstream = upstream;
    this.active = meters
      .gauge('weir.upstream.active_calls', { unit: '{call}', description: 'Calls under way, retries and all.' })
      .with({ 'weir.upstream': upstream.name });
    this.#durations = meters.histogram('weir.upstream.call.duration', {
      unit: 's',
      description: 'From the start of a call to its last byte, retries and all, by status or error.',
    });
    this.#errors = meters.counter('weir.upstream.call.errors', {
      unit: '{call}',
      description: 'Calls that ended without a whole answer, by error code.',
    });
  }

  ofStatus(status: number): Histogram {
    return (this.#byStatus[status] ??= this.#durations.with({
      'weir.upstream': this.upstream.name,
      'http.response.status_code': status,
    }));
  }

  ofCode(code: string): { duration: Histogram; errors: Counter } {
    let bound = this.#byCode.get(code);
    if (!bound) {
      const attributes = { 'weir.upstream': this.upstream.name, 'error.type': code };
      bound = { duration: this.#durations.with(attributes), errors: this.#errors.with(attributes) };
      this.#byCode.set(code, bound);
    }
    return bound;
  }
}

class Measurement extends Relay {
  readonly #instruments: Instruments;
  readonly #span: Span;
  readonly #startedMs: number;
  #status = 0;

  constructor(instruments: Instruments, span: Span, startedMs: number, sink: ResponseSink) {
    super(sink);
    this.#instruments = instruments;
    this.#span = span;
    this.#startedMs = startedMs;
  }

  #seconds(): number {
    return (this.#instruments.upstream.surroundings.clock.monotonicMs() - this.#startedMs) / 1000;
  }

  override onHead(status: number, headers: Headers): void {
    this.#status = status;
    this.sink.onHead(status, headers);
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#instruments.active.add(-1);
    this.#instruments.ofStatus(this.#status).record(this.#seconds());
    this.#span.end();
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    this.#instruments.active.add(-1);
    const bound = this.#instruments.ofCode(error.code);
    bound.duration.record(this.#seconds());
    bound.errors.add(1);
    this.#span.fail(error.code);
    this.#span.end();
    this.sink.onError(error);
  }
}
