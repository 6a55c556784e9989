import type { DebugLog } from '#core/debug.ts';
import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { Relay, type ResponseSink, type UpstreamCall } from '#upstreams/call.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';

/** Tells each attempt of a request that an operator asked to see: where it goes, with which headers, what comes back and when. */
export const debug: Layer = {
  name: 'debug',
  over: (upstream, next) => (call, sink) =>
    upstream.debug.on && upstream.debug.wants(call.context)
      ? next(call, new AttemptLog(upstream, call, sink))
      : next(call, sink),
};

class AttemptLog extends Relay {
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  /** The call's may be another one by the time this attempt ends. */
  readonly #endpoint: string | undefined;
  readonly #startedMs: number;

  constructor(upstream: Upstream, call: UpstreamCall, sink: ResponseSink) {
    super(sink);
    this.#upstream = upstream;
    this.#call = call;
    this.#endpoint = call.endpoint?.origin;
    this.#startedMs = upstream.surroundings.clock.monotonicMs();
    const { method, path, headers } = call;
    this.#tell({ method, path, headers }, 'attempt');
  }

  #tell(fields: Parameters<DebugLog['write']>[1], message: string): void {
    const { debug: log, name } = this.#upstream;
    log.write(this.#call.context, { upstream: name, endpoint: this.#endpoint, ...fields }, message);
  }

  get #ms(): number {
    return this.#upstream.surroundings.clock.monotonicMs() - this.#startedMs;
  }

  override onHead(status: number, headers: Headers): void {
    this.#tell({ status, ms: this.#ms, headers }, 'attempt answered');
    this.sink.onHead(status, headers);
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#tell({ ms: this.#ms }, 'attempt ended');
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    const fields = { error: error.code, why: error.message, cause: causeOf(error), ms: this.#ms };
    // The retry's own word for an attempt whose answer it throws away.
    this.#tell(fields, error.code === 'UPSTREAM_ERROR' ? 'attempt given up' : 'attempt failed');
    this.sink.onError(error);
  }
}

/** Node's word for it, such as ECONNREFUSED. */
function causeOf({ cause }: WeirError): string | undefined {
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : undefined;
}
