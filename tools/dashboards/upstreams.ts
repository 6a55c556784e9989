import { of, quantiles, rate, type Dashboard } from './dashboard.ts';

const chosen = 'weir_upstream=~"$upstream"';
const reads = 'weir_cache_reads_total';

/** Which upstream is sick, how, and what the gateway does about it. */
export const upstreams: Dashboard = {
  name: 'upstreams',
  title: 'Weir: upstreams',
  upstreams: true,
  rows: [
    {
      title: 'Health',
      panels: [
        {
          title: 'Breakers',
          description: 'Where an instance refuses calls (open), or tries whether it should go on to (half-open).',
          kind: 'state-timeline',
          unit: 'short',
          queries: [
            {
              expr: `max by (instance, weir_upstream) (${of('weir_upstream_breaker_state', chosen, 'weir_breaker_state="open"')} * 2 or ${of('weir_upstream_breaker_state', chosen, 'weir_breaker_state="half-open"')})`,
              legend: '{{weir_upstream}} {{instance}}',
            },
          ],
        },
        {
          title: 'Endpoints with failing health checks',
          description: '1 where the active checks of an endpoint fail.',
          kind: 'state-timeline',
          unit: 'short',
          queries: [
            {
              expr: `1 - ${of('weir_upstream_endpoint_healthy', chosen)}`,
              legend: '{{weir_upstream}} {{server_address}} {{instance}}',
            },
          ],
        },
        {
          title: 'Ejected endpoints',
          description: '1 where an endpoint is left out because calls to it failed.',
          kind: 'state-timeline',
          unit: 'short',
          queries: [
            {
              expr: of('weir_upstream_endpoint_ejected', chosen),
              legend: '{{weir_upstream}} {{server_address}} {{instance}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Calls',
      panels: [
        {
          title: 'By upstream',
          description: 'Calls a second, each counted once whatever its attempts.',
          unit: 'reqps',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_upstream) (${rate('weir_upstream_call_duration_seconds_count', chosen)})`,
              legend: '{{weir_upstream}}',
            },
          ],
        },
        {
          title: 'By status',
          description: 'Answers a second by status.',
          unit: 'reqps',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_upstream, http_response_status_code) (${rate('weir_upstream_call_duration_seconds_count', chosen, 'http_response_status_code!=""')})`,
              legend: '{{weir_upstream}} {{http_response_status_code}}',
            },
          ],
        },
        {
          title: 'Errors',
          description: 'Calls a second without a whole answer, by error code.',
          unit: 'reqps',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_upstream, error_type) (${rate('weir_upstream_call_errors_total', chosen)})`,
              legend: '{{weir_upstream}} {{error_type}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Time',
      panels: [
        {
          title: 'Duration',
          description: 'From the start of a call to its last byte, retries and all.',
          unit: 's',
          queries: quantiles('weir_upstream_call_duration_seconds', ['weir_upstream'], chosen),
        },
        {
          title: 'Under way',
          description: 'Calls in flight; maxInFlight of the upstream bounds them.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (weir_upstream, instance) (${of('weir_upstream_active_calls', chosen)})`,
              legend: '{{weir_upstream}} {{instance}}',
            },
          ],
        },
        {
          title: 'Connections',
          description: 'In use, and calls that wait for one; maxConnections of the upstream bounds them.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (weir_upstream, weir_connection_state) (${of('weir_upstream_connections', chosen)})`,
              legend: '{{weir_upstream}} {{weir_connection_state}}',
            },
          ],
        },
      ],
    },
    {
      title: 'What the gateway does about it',
      panels: [
        {
          title: 'Retries',
          description: 'Attempts after the first, as a share of the calls; retry.budget bounds it.',
          unit: 'percentunit',
          queries: [
            {
              expr: `sum by (weir_upstream) (${rate('weir_upstream_retries_total', chosen)}) / sum by (weir_upstream) (${rate('weir_upstream_call_duration_seconds_count', chosen)})`,
              legend: '{{weir_upstream}}',
            },
          ],
        },
        {
          title: 'Ejections',
          description: 'Endpoints left out in the last hour because calls to them failed.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (weir_upstream) (increase(${of('weir_upstream_ejections_total', chosen)}[1h]))`,
              legend: '{{weir_upstream}}',
            },
          ],
        },
        {
          title: 'Panic',
          description: '1 where too few endpoints are up, so that all are called, well or not.',
          kind: 'state-timeline',
          unit: 'short',
          queries: [{ expr: of('weir_upstream_panic', chosen), legend: '{{weir_upstream}} {{instance}}' }],
        },
        {
          title: 'Fallbacks',
          description: 'Static fallbacks a second that stood in for what the upstream did not give, by route or field.',
          unit: 'ops',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_upstream, http_route, weir_field) (${rate('weir_fallbacks_total', chosen)})`,
              legend: '{{weir_upstream}} {{http_route}}{{weir_field}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Discovery',
      panels: [
        {
          title: 'Endpoints',
          description: 'As they are written down or were discovered, well or not.',
          unit: 'short',
          queries: [
            {
              expr: `max by (weir_upstream, instance) (${of('weir_upstream_endpoints', chosen)})`,
              legend: '{{weir_upstream}} {{instance}}',
            },
          ],
        },
        {
          title: 'Look-ups that failed',
          description: 'In the last hour; until one succeeds the gateway goes on with the endpoints that it knows.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (weir_upstream, instance) (increase(${of('weir_upstream_discovery_errors_total', chosen)}[1h]))`,
              legend: '{{weir_upstream}} {{instance}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Cache',
      panels: [
        {
          title: 'Answered from the store',
          description: 'Share of the reads that were looked up; stale, revalidated and collapsed ones among them.',
          unit: 'percentunit',
          max: 1,
          queries: [
            {
              expr: `sum by (weir_upstream) (${rate(reads, chosen, 'weir_cache_outcome!~"miss|bypass"')}) / sum by (weir_upstream) (${rate(reads, chosen, 'weir_cache_outcome!="bypass"')})`,
              legend: '{{weir_upstream}}',
            },
          ],
        },
        {
          title: 'Reads by outcome',
          description: 'Reads a second; of a bypass nothing is looked up or stored.',
          unit: 'reqps',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_upstream, weir_cache_outcome) (${rate(reads, chosen)})`,
              legend: '{{weir_upstream}} {{weir_cache_outcome}}',
            },
          ],
        },
        {
          title: 'Content from the store',
          description: 'Bytes a second that came from there instead of an upstream.',
          unit: 'Bps',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_upstream, http_route) (${rate('weir_cache_served_bytes_total', chosen)})`,
              legend: '{{weir_upstream}} {{http_route}}',
            },
          ],
        },
        {
          title: 'Size',
          description:
            'What the stored answers of all upstreams take, by instance; cache.memory bounds it in each process.',
          unit: 'bytes',
          queries: [{ expr: of('weir_cache_size_bytes'), legend: '{{instance}}' }],
        },
        {
          title: 'Entries',
          description: 'Stored answers of all upstreams, and those a second that made room for others.',
          unit: 'short',
          queries: [
            { expr: of('weir_cache_entries'), legend: '{{instance}}' },
            { expr: rate('weir_cache_evictions_total'), legend: 'evicted a second: {{instance}}' },
          ],
        },
      ],
    },
    {
      title: 'Contracts',
      panels: [
        {
          title: 'Not as documented',
          description:
            'Findings of the last hour, the most frequent 20, by route and place, of routes with validate; the log says what was found there instead.',
          unit: 'short',
          queries: [
            {
              expr: `topk(20, sum by (http_route, weir_message, weir_contract_place) (increase(${of('weir_contract_drift_total')}[1h])))`,
              legend: '{{http_route}} {{weir_message}} {{weir_contract_place}}',
            },
          ],
        },
        {
          title: 'Copies',
          description:
            'Copies of requests a second, of routes with mirror, by the upstream that gets them and what came of them.',
          unit: 'reqps',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_upstream, weir_mirror_outcome) (${rate('weir_mirror_requests_total', chosen)})`,
              legend: '{{weir_upstream}} {{weir_mirror_outcome}}',
            },
          ],
        },
      ],
    },
  ],
};
