import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { Relay, type ResponseSink } from '#upstreams/call.ts';
import type { Endpoint } from '#upstreams/endpoint.ts';
import type { Layer } from '#upstreams/layer.ts';
import type { Clock } from '#core/clock.ts';

/**
 * Chooses the endpoint of an attempt by smooth weighted round-robin. A retry avoids the endpoint that just failed, where
 * there is another. With no healthy endpoint left all of them are used: an answer from a service that fails its health
 * check beats none.
 */
export const balancer: Layer = {
  name: 'balancer',
  over: (upstream, next) => (call, sink) => {
    const endpoint = call.pinned ?? choose(upstream.endpoints, call.endpoint);
    call.endpoint = endpoint;
    endpoint.active++;
    return next(call, new EndpointWatch(endpoint, upstream.surroundings.clock, sink));
  },
};

function choose(endpoints: readonly Endpoint[], failed: Endpoint | undefined): Endpoint {
  if (endpoints.length === 1) return endpoints[0]!;
  return (
    pick(endpoints, (endpoint) => endpoint.healthy && endpoint !== failed) ??
    pick(endpoints, (endpoint) => endpoint.healthy) ??
    pick(endpoints, (endpoint) => endpoint !== failed) ??
    endpoints[0]!
  );
}

/** nginx's smooth weighted round-robin: interleaves instead of sending an endpoint its whole share in one run. */
function pick(endpoints: readonly Endpoint[], usable: (endpoint: Endpoint) => boolean): Endpoint | undefined {
  let total = 0;
  let best: Endpoint | undefined;
  for (const endpoint of endpoints) {
    if (endpoint.weight === 0 || !usable(endpoint)) continue;
    total += endpoint.weight;
    endpoint.current += endpoint.weight;
    if (!best || endpoint.current > best.current) best = endpoint;
  }
  if (best) best.current -= total;
  return best;
}

class EndpointWatch extends Relay {
  readonly #endpoint: Endpoint;
  readonly #clock: Clock;

  constructor(endpoint: Endpoint, clock: Clock, sink: ResponseSink) {
    super(sink);
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  override onEnd(trailers: Headers | undefined): void {
    this.#endpoint.release();
    this.sink.onEnd(trailers);
  }

  override onError(error: WeirError): void {
    this.#endpoint.release();
    if (error.fault === 'upstream') this.#endpoint.lastError = { code: error.code, atMs: this.#clock.epochMs() };
    this.sink.onError(error);
  }
}
