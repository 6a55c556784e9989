import type { RequestContext } from '#core/context.ts';
import type { Attributes, Counter, Family, Gauge, Histogram, Meter } from '#core/meter.ts';
import { knownMethod, knownMethods } from './methods.ts';
import { errorType } from './outcome.ts';

/** Too many connections in all, or from one address. */
export type ConnectionRefusal = 'total' | 'per_ip';

interface Exchange {
  readonly method: string;
  readonly scheme: string;
  /** 0 where there was no answer. */
  readonly status: number;
  /** It lasted as long as either side liked: server-sent events, a WebSocket. */
  readonly stream?: boolean;
}

interface Unrouted extends Exchange {
  readonly error: string;
}

/** `http.server.*` of the HTTP semantic conventions, with instruments bound once per route, method and outcome. */
export class HttpMetrics {
  /** Connections that clients have open. */
  readonly connections: Gauge;
  readonly refusedConnections: Readonly<Record<ConnectionRefusal, Counter>>;
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
    const refused = meter.counter('weir.connections.refused', {
      unit: '{connection}',
      description: 'Connections closed at once, for there were too many: in `total`, or from one address (`per_ip`).',
    });
    this.refusedConnections = {
      total: refused.with({ 'weir.connections.refused.reason': 'total' }),
      per_ip: refused.with({ 'weir.connections.refused.reason': 'per_ip' }),
    };
  }

  started({ method, scheme }: Pick<RequestContext, 'method' | 'scheme'>): void {
    this.#activeOf(method, scheme).add(1);
  }

  /** To be called once for each request that has {@link started}, when its answer is over or broken off. */
  ended(context: RequestContext, durationMs: number): void {
    const { method, scheme, reply } = context;
    this.#activeOf(method, scheme).add(-1);
    const exchange = { method, scheme, status: reply.status, stream: reply.endless || reply.status === 101 };
    this.#durationOf(context.route?.name, exchange, errorType(context)).record(durationMs / 1000);
  }

  /** Instead of both, for a request that was answered before it had a context. */
  refused({ method, scheme, status, error }: Unrouted): void {
    this.#durationOf(undefined, { method, scheme, status }, status >= 500 ? error : undefined).record(0);
  }

  #durationOf(route: string | undefined, exchange: Exchange, error: string | undefined): Histogram {
    const key = (variant(exchange.method, exchange.scheme) * 1000 + exchange.status) * 2 + (exchange.stream ? 1 : 0);
    const bound = this.#bound.get(route)?.get(error)?.get(key);
    if (bound) return bound;
    const ofRoute = this.#bound.get(route) ?? new Map<string | undefined, Map<number, Histogram>>();
    const ofError = ofRoute.get(error) ?? new Map<number, Histogram>();
    const duration = this.#bind(route, exchange, error);
    this.#bound.set(route, ofRoute.set(error, ofError.set(key, duration)));
    return duration;
  }

  #bind(route: string | undefined, exchange: Exchange, error: string | undefined): Histogram {
    const { method, scheme, status, stream } = exchange;
    return this.#durations.with({
      ...variantAttributes(method, scheme),
      ...(route !== undefined && { 'http.route': route }),
      ...(status !== 0 && { 'http.response.status_code': status }),
      ...(error !== undefined && { 'error.type': error }),
      // Their durations would drown those of answers.
      ...(stream && { 'weir.stream': true }),
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
