import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { balancingOf } from '#upstreams/balancing/balancing.ts';
import { endedHandle, Relay, type CallHandle, type ResponseSink, type UpstreamCall } from '#upstreams/call.ts';
import { FirstAnswer } from '#upstreams/discovery/first-answer.ts';
import type { Endpoint } from '#upstreams/endpoint.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { convincedAfterBytes, isEndless, isFailure } from '#upstreams/verdict.ts';

/**
 * Chooses the endpoint of an attempt, as `balance` says, among those that calls may go to. A retry avoids the endpoints
 * that have failed the call, as long as there are others. How the attempt ends tells the ejection how the endpoint does.
 */
export const balancer: Layer = {
  name: 'balancer',
  over: (upstream, next) => {
    const choose = balancingOf(upstream.settings.balance);
    const failing = new Set(upstream.settings.breaker.on);
    const attempt = (call: UpstreamCall, sink: ResponseSink): CallHandle => {
      const among = call.pinned ? noEndpoints : candidates(upstream, call);
      if (!call.pinned && among.length === 0) {
        sink.onError(unlabelled(upstream, call));
        return endedHandle;
      }
      const endpoint = call.pinned ?? choose(among, call);
      call.endpoint = endpoint;
      endpoint.active++;
      return next(call, new EndpointWatch(upstream, failing, endpoint, call.pinned === undefined, sink));
    };
    return (call, sink) =>
      upstream.endpoints.length > 0 ? attempt(call, sink) : new FirstAnswer(upstream, attempt, call, sink);
  },
};

const noEndpoints: readonly Endpoint[] = [];

/** Discovery has found none with the labels that the route asks for. */
function unlabelled({ name }: Upstream, { labels }: UpstreamCall): WeirError {
  return new WeirError('UPSTREAM_UNREACHABLE', {
    detail: `No address of '${name}' that is meant is known.`,
    upstream: name,
    cause: new Error(`no endpoint of '${name}' has the labels ${JSON.stringify(labels)}`),
  });
}

function candidates({ rotation }: Upstream, call: UpstreamCall): readonly Endpoint[] {
  const all = call.labels === undefined ? rotation.candidates : rotation.within(call.labels);
  const last = call.endpoint;
  if (last === undefined || all.length === 1) return all;
  const failed = (call.failed ??= []);
  failed.push(last);
  const untried = all.filter((endpoint) => !failed.includes(endpoint));
  return untried.length > 0 ? untried : all.filter((endpoint) => endpoint !== last);
}

class EndpointWatch extends Relay {
  readonly #upstream: Upstream;
  readonly #failing: ReadonlySet<number>;
  readonly #endpoint: Endpoint;
  /** A health check is judged by who asked. */
  #decided: boolean;
  #bytes = 0;

  constructor(
    upstream: Upstream,
    failing: ReadonlySet<number>,
    endpoint: Endpoint,
    judged: boolean,
    sink: ResponseSink,
  ) {
    super(sink);
    this.#upstream = upstream;
    this.#failing = failing;
    this.#endpoint = endpoint;
    this.#decided = !judged;
  }

  #decide(good: boolean): void {
    if (this.#decided) return;
    this.#decided = true;
    this.#upstream.ejection.judge(this.#endpoint, good);
  }

  #note(code: WeirError['code'], status?: number): void {
    const atMs = this.#upstream.surroundings.clock.epochMs();
    this.#endpoint.lastError = status === undefined ? { code, atMs } : { code, status, atMs };
  }

  override onHead(status: number, headers: Headers): void {
    if (this.#failing.has(status)) {
      this.#note('UPSTREAM_ERROR', status);
      this.#decide(false);
    } else if (isEndless(status, headers)) {
      this.#decide(true);
    }
    this.sink.onHead(status, headers);
  }

  override onData(chunk: Buffer): void {
    if (!this.#decided) {
      this.#bytes += chunk.length;
      if (this.#bytes > convincedAfterBytes) this.#decide(true);
    }
    this.sink.onData(chunk);
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#endpoint.release();
    this.#decide(true);
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    this.#endpoint.release();
    // The retry's own word for an attempt that it gave up says nothing that the status has not said; a deadline may be the
    // client's.
    if (error.fault === 'upstream' && error.code !== 'UPSTREAM_ERROR' && error.code !== 'DEADLINE_EXCEEDED')
      this.#note(error.code);
    if (isFailure(error)) this.#decide(false);
    this.sink.onError(error);
  }
}
