import { of, quantiles, rate, type Dashboard } from './dashboard.ts';

const count = 'http_server_request_duration_seconds_count';
const requests = `sum(${rate(count)})`;
const noStream = 'weir_stream=""';
const failures = 'error_type!~"|CLIENT_CLOSED_REQUEST"';

/** Whether clients are served well, and if not, where to look next. */
export const overview: Dashboard = {
  name: 'overview',
  title: 'Weir: overview',
  rows: [
    {
      title: 'Now',
      panels: [
        {
          title: 'Requests',
          description: 'Requests a second, whatever became of them.',
          kind: 'stat',
          unit: 'reqps',
          queries: [{ expr: requests, legend: 'requests' }],
        },
        {
          title: 'Failing',
          description: 'Share of the requests that fail by the fault of the gateway or an upstream.',
          kind: 'stat',
          unit: 'percentunit',
          queries: [{ expr: `(sum(${rate(count, failures)}) or vector(0)) / ${requests}`, legend: 'failing' }],
        },
        {
          title: 'p99',
          description: 'The time that one answer in a hundred takes longer than; streams aside.',
          kind: 'stat',
          unit: 's',
          queries: quantiles('http_server_request_duration_seconds', [], noStream).slice(-1),
        },
        {
          title: 'In flight',
          description: 'Requests under way.',
          kind: 'stat',
          unit: 'short',
          queries: [{ expr: `sum(${of('http_server_active_requests')})`, legend: 'in flight' }],
        },
        {
          title: 'Breakers open',
          description: 'Upstreams that an instance refuses to call.',
          kind: 'stat',
          unit: 'short',
          queries: [{ expr: `sum(${of('weir_upstream_breaker_state', 'weir_breaker_state="open"')})`, legend: 'open' }],
        },
        {
          title: 'Instances',
          description: 'Gateways that Prometheus can read.',
          kind: 'stat',
          unit: 'short',
          queries: [{ expr: `sum(${of('up')})`, legend: 'up' }],
        },
      ],
    },
    {
      title: 'Requests',
      panels: [
        {
          title: 'By route',
          description: 'Requests a second by route; those without one were refused before any was found.',
          unit: 'reqps',
          stacked: true,
          queries: [{ expr: `sum by (http_route) (${rate(count)})`, legend: '{{http_route}}' }],
        },
        {
          title: 'By status',
          description: 'Answers a second by status; those without one were never answered.',
          unit: 'reqps',
          stacked: true,
          queries: [
            {
              expr: `sum by (http_response_status_code) (${rate(count)})`,
              legend: '{{http_response_status_code}}',
            },
          ],
        },
        {
          title: 'Errors',
          description:
            'Requests a second that failed, by error code (docs/runbook.md has a section for each) or passed-on status.',
          unit: 'reqps',
          stacked: true,
          queries: [
            {
              expr: `sum by (error_type, http_route) (${rate(count, 'error_type!=""')})`,
              legend: '{{error_type}} {{http_route}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Time',
      panels: [
        {
          title: 'All routes',
          description: 'Time from a request to the end of its answer; streams aside.',
          unit: 's',
          queries: quantiles('http_server_request_duration_seconds', [], noStream),
        },
        {
          title: 'p99 of the slowest routes',
          description: 'The ten routes whose slowest hundredth is slowest.',
          unit: 's',
          queries: [
            {
              expr: `topk(10, histogram_quantile(0.99, sum by (http_route, le) (${rate('http_server_request_duration_seconds_bucket', noStream)})))`,
              legend: '{{http_route}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Load',
      panels: [
        {
          title: 'Refused for load',
          description: 'Requests and operations a second that were answered with 503, by criticality and reason.',
          unit: 'reqps',
          stacked: true,
          queries: [
            {
              expr: `sum by (weir_criticality, weir_shed_reason) (${rate('weir_shed_total')})`,
              legend: '{{weir_criticality}} {{weir_shed_reason}}',
            },
          ],
        },
        {
          title: 'Share refused for event-loop lag',
          description: 'What is refused of each class just now, to keep the event loop in time.',
          unit: 'percentunit',
          max: 1,
          queries: [
            {
              expr: `max by (weir_criticality) (${of('weir_shed_share_ratio')})`,
              legend: '{{weir_criticality}}',
            },
          ],
        },
        {
          title: 'Connections',
          description: 'Open client connections by instance, and those closed at once because there were too many.',
          unit: 'short',
          queries: [
            { expr: of('weir_server_connections'), legend: '{{instance}}' },
            {
              expr: `sum by (weir_connections_refused_reason) (${rate('weir_connections_refused_total')})`,
              legend: 'refused a second: {{weir_connections_refused_reason}}',
            },
          ],
        },
        {
          title: 'In flight',
          description: 'Requests under way by instance and method.',
          unit: 'short',
          stacked: true,
          queries: [
            {
              expr: `sum by (instance, http_request_method) (${of('http_server_active_requests')})`,
              legend: '{{instance}} {{http_request_method}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Objectives',
      panels: [
        {
          title: 'Error budget left',
          description: 'Of what may fail in the window of each objective (slo); at 0 it is used up.',
          unit: 'percentunit',
          max: 1,
          queries: [{ expr: 'weir:slo_budget_left:ratio{job="$job"}', legend: '{{slo}} {{sli}}' }],
        },
        {
          title: 'Errors of the last hour',
          description: 'Share of the requests that broke each objective.',
          unit: 'percentunit',
          queries: [{ expr: 'weir:slo_errors:ratio1h{job="$job"}', legend: '{{slo}} {{sli}}' }],
        },
        {
          title: 'Alerts',
          description: 'What fires now.',
          kind: 'table',
          unit: 'short',
          queries: [{ expr: 'ALERTS{job="$job", alertstate="firing"}', legend: '{{alertname}}', instant: true }],
        },
      ],
    },
    {
      title: 'What runs',
      panels: [
        {
          title: 'Versions',
          description: 'Of Weir and of Node, by instance.',
          kind: 'table',
          unit: 'short',
          queries: [{ expr: of('weir_build_info'), legend: '{{instance}}', instant: true }],
        },
        {
          title: 'Configuration in force since',
          description: 'By instance and hash; they differ where a reload did not reach all.',
          kind: 'table',
          unit: 'dateTimeAsIso',
          queries: [
            { expr: `${of('weir_config_applied_time_seconds')} * 1000`, legend: '{{instance}}', instant: true },
          ],
        },
        {
          title: 'Reloads',
          description:
            'Attempts to load the configuration in the last hour, by outcome; and 0 where the last one was refused.',
          unit: 'short',
          queries: [
            {
              expr: `sum by (weir_reload_outcome) (increase(${of('weir_config_reloads_total')}[1h]))`,
              legend: '{{weir_reload_outcome}}',
            },
            { expr: of('weir_config_last_reload_successful'), legend: 'last one good: {{instance}}' },
          ],
        },
      ],
    },
    {
      title: 'Limits',
      panels: [
        {
          title: 'Decisions',
          description: 'Requests and operations a second by limit and what was decided.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (weir_limit, weir_limit_outcome) (${rate('weir_limits_decisions_total')})`,
              legend: '{{weir_limit}} {{weir_limit_outcome}}',
            },
          ],
        },
        {
          title: 'Smaller than written',
          description: 'How many times what is written a limit is, while services fail or an operator holds it.',
          unit: 'percentunit',
          queries: [{ expr: `min by (weir_limit) (${of('weir_limits_scale')} != 1)`, legend: '{{weir_limit}}' }],
        },
        {
          title: 'Redis',
          description: 'Time that a decision takes there.',
          unit: 's',
          queries: quantiles('weir_limits_store_duration_seconds', []),
        },
        {
          title: 'Without Redis',
          description: 'Processes that do not count there now, and questions that it did not answer in time.',
          unit: 'short',
          queries: [
            { expr: `count(${of('weir_limits_store_shared')} == 0)`, legend: 'processes' },
            { expr: `sum(${rate('weir_limits_store_failures_total')})`, legend: 'unanswered a second' },
          ],
        },
      ],
    },
  ],
};
