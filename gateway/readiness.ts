import type { Upstream } from '#upstreams/upstream.ts';

export type Phase = 'starting' | 'ready' | 'draining' | 'stopped';

/** Whether this process wants traffic. Only its own phase decides: one sick upstream must not drain the fleet. */
export class Readiness {
  phase: Phase = 'starting';

  report(upstreams: Iterable<Upstream>): object {
    const detail: Record<string, object> = {};
    for (const upstream of upstreams) {
      detail[upstream.name] = {
        breaker: upstream.breaker.state,
        endpoints: upstream.endpoints.length,
        healthy: upstream.endpoints.filter((endpoint) => endpoint.healthy).length,
      };
    }
    return { status: this.phase, upstreams: detail };
  }
}
