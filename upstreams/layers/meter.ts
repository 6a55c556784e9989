import type { TracedCalls } from '#core/call-trace.ts';
import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Span } from '#core/trace.ts';
import type { Counter, Gauge, Histogram } from '#core/meter.ts';
import { Relay, type ResponseSink, type Tally, type UpstreamCall } from '#upstreams/call.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/**
 * Counts calls. It stands above retry, so a call is one however many attempts it takes, and below collapse, so a read that
 * rode on another's is none: what it writes into the request's ledger is what the budget will charge. A call counts from its
 * beginning, so that who leaves early has paid, and is taken back if it ends before anything of it was sent: refused by the
 * breaker or the bulkhead, out of time in a queue, without a connection.
 */
export const meter: Layer = {
  name: 'meter',
  over: (upstream, next) => {
    const instruments = new Instruments(upstream);
    return (call, sink) => {
      instruments.active.add(1);
      call.span = call.context.span.child(upstream.name, 'internal');
      const measurement = new Measurement(instruments, call, upstream.surroundings.clock.monotonicMs(), sink);
      if (measurement.paid) call.tally = measurement;
      return next(call, measurement);
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

class Measurement extends Relay implements Tally {
  readonly #instruments: Instruments;
  readonly #call: UpstreamCall;
  readonly #span: Span;
  readonly #startedMs: number;
  /** Somebody pays for it: it is neither the gateway's own nor a copy. */
  readonly paid: boolean;
  /** Thousandths of a call. */
  readonly #price: number;
  /** In the trace of the request, where it has one. */
  readonly #traced: TracedCalls | undefined;
  #sent = false;
  #status = 0;
  /** It stands among the recent calls. */
  #counted = false;

  constructor(instruments: Instruments, call: UpstreamCall, startedMs: number, sink: ResponseSink) {
    super(sink);
    this.#instruments = instruments;
    this.#call = call;
    this.#span = call.span;
    this.#startedMs = startedMs;
    const { name, settings } = instruments.upstream;
    this.paid = !call.own && !call.mirrored;
    // A reload may change it before the end.
    this.#price = this.paid ? settings.weight : 0;
    if (!this.paid) return;
    const { calls } = call.context;
    calls.send(name, this.#price);
    this.#traced = calls.trace?.calls(name);
  }

  sent(): void {
    if (this.#sent) return;
    this.#sent = true;
    const { name, surroundings } = this.#instruments.upstream;
    surroundings.spent?.(this.#call.context, name, this.#price);
  }

  override onHead(status: number, headers: Headers): void {
    this.#status = status;
    // What stands beside the upstream's `timeout` is what that bounds: the head, or the whole of a buffered answer.
    if (!this.#call.buffered) this.#answered(this.#now());
    this.sink.onHead(status, headers);
  }

  override onEnd(trailers: Headers | undefined): void {
    const now = this.#now();
    this.#answered(now);
    this.#instruments.active.add(-1);
    this.#instruments.ofStatus(this.#status).record((now - this.#startedMs) / 1000);
    this.#span.end();
    this.#trace(now, this.#status >= 500);
    if (this.#debugged) this.#tell(now, { status: this.#status });
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    const now = this.#now();
    if (!this.#sent && this.paid) {
      this.#call.context.calls.takeBack(this.#price);
      // A probe of the breaker may go on without its client, for the gateway's own sake.
      this.#call.tally = undefined;
    }
    this.#failed(now, error);
    this.#instruments.active.add(-1);
    const bound = this.#instruments.ofCode(error.code);
    bound.duration.record((now - this.#startedMs) / 1000);
    bound.errors.add(1);
    this.#span.fail(error.code);
    this.#span.end();
    this.#trace(now, true);
    if (this.#debugged) this.#tell(now, { error: error.code });
    this.sink.onError(error);
  }

  #trace(now: number, failed: boolean): void {
    const traced = this.#traced;
    if (!traced) return;
    if (!this.#sent) {
      traced.refused++;
      return;
    }
    const ms = now - this.#startedMs;
    traced.calls++;
    traced.spent += this.#price;
    traced.ms += ms;
    traced.slowestMs = Math.max(traced.slowestMs, ms);
    if (failed) traced.failed++;
  }

  /** A health check, of one endpoint; look-ups of the gateway's own are calls like others. */
  get #isCheck(): boolean {
    return this.#call.own && this.#call.pinned !== undefined;
  }

  #now(): number {
    return this.#instruments.upstream.surroundings.clock.monotonicMs();
  }

  #answered(now: number): void {
    if (this.#counted || this.#isCheck) return;
    this.#counted = true;
    const { upstream } = this.#instruments;
    const failed = this.#status >= 500;
    upstream.recent.took(now, now - this.#startedMs, failed);
    if (failed) upstream.noteError('UPSTREAM_ERROR', this.#call.endpoint, this.#status);
  }

  #failed(now: number, error: WeirError): void {
    if (this.#isCheck) return;
    const { recent } = this.#instruments.upstream;
    // What is open or full already says why it refuses: the error before.
    if (error.code === 'UPSTREAM_UNAVAILABLE' || error.code === 'UPSTREAM_OVERLOADED') {
      recent.refused(now);
      return;
    }
    if (error.fault !== 'upstream' || this.#impatient(error)) {
      if (!this.#counted) recent.abandoned(now);
      return;
    }
    if (this.#counted) recent.brokeOff(now);
    else if (error.code === 'UPSTREAM_TIMEOUT' || error.code === 'DEADLINE_EXCEEDED')
      recent.took(now, now - this.#startedMs, true);
    else recent.failed(now);
    this.#instruments.upstream.noteError(error.code, this.#call.endpoint);
  }

  /** The client's own deadline was the shorter one. */
  #impatient({ code }: WeirError): boolean {
    const { context, deadlineMs } = this.#call;
    return code === 'DEADLINE_EXCEEDED' && context.clientDeadline && deadlineMs === context.deadlineMs;
  }

  get #debugged(): boolean {
    const { debug } = this.#instruments.upstream;
    return debug.on && debug.wants(this.#call.context);
  }

  #tell(now: number, outcome: { readonly status: number } | { readonly error: string }): void {
    const { debug, name } = this.#instruments.upstream;
    const { context, method, path } = this.#call;
    debug.write(context, { upstream: name, method, path, ...outcome, ms: now - this.#startedMs }, 'upstream call');
  }
}
