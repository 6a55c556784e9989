import type { BreakerState } from '#upstreams/breaker.ts';
import type { SharedLimits } from '#policies/limits/limits.ts';
import type { Upstream } from '#upstreams/upstream.ts';

export type Phase = 'starting' | 'ready' | 'draining' | 'stopped';

export interface ReadinessReport {
  readonly status: Phase;
  /** For who looks closer; none of it decides. */
  readonly upstreams: Readonly<
    Record<string, { readonly breaker: BreakerState; readonly endpoints: number; readonly healthy: number }>
  >;
  /** Whether limits are counted in Redis; left out where none is configured. */
  readonly limits?: SharedLimits;
}

/** Whether this process wants traffic. Only its own phase decides: one sick upstream must not drain the fleet. */
export class Readiness {
  phase: Phase = 'starting';

  report(upstreams: Iterable<Upstream>, limits?: SharedLimits): ReadinessReport {
    const detail: Record<string, ReadinessReport['upstreams'][string]> = {};
    for (const { name, breaker, endpoints } of upstreams) {
      detail[name] = {
        breaker: breaker.state,
        endpoints: endpoints.length,
        healthy: endpoints.filter((endpoint) => endpoint.healthy).length,
      };
    }
    return { status: this.phase, upstreams: detail, ...(limits && { limits }) };
  }
}
