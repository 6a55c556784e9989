import type { Alert, Scope } from './rules.ts';

/** What is wrong behind the gateway, by upstream. */
export function upstreamAlerts({ select }: Scope): readonly Alert[] {
  const healthy = select('weir_upstream_endpoint_healthy');
  const ejected = select('weir_upstream_endpoint_ejected');
  const byUpstream = 'job, instance, weir_upstream';
  return [
    {
      name: 'WeirBreakerOpen',
      // Over a minute, since it is half-open between two rests; once and for half a minute is no reason to wake anybody.
      expr: `max by (${byUpstream}) (max_over_time(${select('weir_upstream_breaker_state', 'weir_breaker_state="open"')}[1m])) == 1`,
      for: '2m',
      severity: 'page',
      summary: 'The breaker of {{ $labels.weir_upstream }} is open',
      description:
        '{{ $labels.instance }} answers calls to {{ $labels.weir_upstream }} with UPSTREAM_UNAVAILABLE, for they kept failing.',
    },
    {
      name: 'WeirNoEndpoint',
      expr: `max by (${byUpstream}) (${healthy}) == 0 or max by (${byUpstream}) (${select('weir_upstream_endpoints')}) == 0`,
      for: '1m',
      severity: 'page',
      summary: '{{ $labels.weir_upstream }} has no healthy endpoint',
      description:
        'For {{ $labels.instance }} every endpoint of {{ $labels.weir_upstream }} fails its health checks, and is called all the same; or none was discovered.',
    },
    {
      name: 'WeirEndpointOut',
      expr: `count by (${byUpstream}, server_address) (${healthy} == 0 or ${ejected} == 1) > 0`,
      for: '5m',
      severity: 'ticket',
      summary: '{{ $labels.server_address }} of {{ $labels.weir_upstream }} is left out',
      description:
        '{{ $labels.instance }} sends {{ $labels.server_address }} no calls while enough others are up: its health checks fail, or calls to it did.',
    },
    {
      name: 'WeirDiscoveryErrors',
      expr: `sum by (${byUpstream}) (increase(${select('weir_upstream_discovery_errors_total')}[10m])) > 0`,
      for: '10m',
      severity: 'ticket',
      summary: 'The endpoints of {{ $labels.weir_upstream }} cannot be looked up',
      description: '{{ $labels.instance }} goes on with the endpoints that it knows of, which may be gone.',
    },
    {
      name: 'WeirUpstreamSaturated',
      expr: `sum by (${byUpstream}) (rate(${select('weir_upstream_call_errors_total', 'error_type="UPSTREAM_OVERLOADED"')}[5m])) > 0`,
      for: '5m',
      severity: 'ticket',
      summary: '{{ $labels.weir_upstream }} gets as many calls as it may',
      description:
        '{{ $labels.instance }} refuses {{ $value | humanize }} calls a second with UPSTREAM_OVERLOADED, for maxInFlight or maxConnections is reached.',
    },
    {
      name: 'WeirFallbacks',
      expr: `sum by (job, weir_upstream) (rate(${select('weir_fallbacks_total')}[5m])) > 0`,
      for: '10m',
      severity: 'ticket',
      summary: 'Static fallbacks stand in for {{ $labels.weir_upstream }}',
      description:
        '{{ $value | humanize }} times a second clients get a fallback in place of what {{ $labels.weir_upstream }} did not give.',
    },
  ];
}
