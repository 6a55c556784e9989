import type { RequestContext } from '#core/context.ts';
import type { Attributes, Family, Gauge, Histogram, Meter } from '#core/meter.ts';
import { knownMethod, knownMethods } from './methods.ts';
import { errorType } from './outcome.ts';

/** `http.server.*` of the HTTP semantic conventions, with instruments bound once per route, method and outcome. */
export class HttpMetrics {
  /** Connections that clients have open. */
  readonly connections: Gauge;
  readonly #durations: Family<Histogram>;
  readonly #active: Family<Gauge>;
  readonly #activeBound: (Gauge | undefined)[] = [];
  /** By route, by error, by method, scheme and status. */
  readonly #bound = new Map<string | undefined, Map<string | undefined, Map<number, Histogram>>>();

  constructor(meter: Meter) {
    this.#durations = meter.histogram('http.server.request.duration', {
      unit: 's',
      description: 'From a request to the end of its answer.',
    });
    this.#active = meter.gauge('http.server.active_requests', {
      unit: '{request}',
      description: 'Requests under way.',
    });
    this.connections = meter
      .gauge('weir.server.connections', { unit: '{connection}', description: 'Connections that clients have open.' })
      .with({});
  }

  started({ method, scheme }: Pick<RequestContext, 'method' | 'scheme'>): void {
    this.#activeOf(method, scheme).add(1);
  }

  /** To be called once for each request that has {@link started}, when its answer is over or broken off. */
  ended(context: RequestContext, durationMs: number): void {
    this.#activeOf(context.method, context.scheme).add(-1);
    this.#durationOf(context, errorType(context)).record(durationMs / 1000);
  }

  #durationOf(context: RequestContext, error: string | undefined): Histogram {
    const key = variant(context.method, context.scheme) * 1000 + context.reply.status;
    const bound = this.#bound.get(context.route?.name)?.get(error)?.get(key);
    if (bound) return bound;
    const ofRoute = this.#bound.get(context.route?.name) ?? new Map<string | undefined, Map<number, Histogram>>();
    const ofError = ofRoute.get(error) ?? new Map<number, Histogram>();
    const duration = this.#bind(context, error);
    this.#bound.set(context.route?.name, ofRoute.set(error, ofError.set(key, duration)));
    return duration;
  }

  #bind({ method, scheme, route, reply }: RequestContext, error: string | undefined): Histogram {
    return this.#durations.with({
      ...variantAttributes(method, scheme),
      ...(route && { 'http.route': route.name }),
      ...(reply.status !== 0 && { 'http.response.status_code': reply.status }),
      ...(error !== undefined && { 'error.type': error }),
    });
  }

  #activeOf(method: string, scheme: string): Gauge {
    return (this.#activeBound[variant(method, scheme)] ??= this.#active.with(variantAttributes(method, scheme)));
  }
}

/** A small number for method and scheme. */
function variant(method: string, scheme: string): number {
  return (knownMethods.indexOf(method) + 1) * 2 + (scheme === 'https' ? 1 : 0);
}

function variantAttributes(method: string, scheme: string): Attributes {
  return { 'http.request.method': knownMethod(method), 'url.scheme': scheme };
}
