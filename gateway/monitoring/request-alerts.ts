import { failedBy, type Alert, type Scope } from './rules.ts';

/** The histogram counts every request at its end, so that its count is theirs. */
const requests = 'http_server_request_duration_seconds_count';

/** Fewer prove nothing: in a quiet hour one error is a large share. */
const leastErrors = 10;
const leastRequests = 100;

/** What clients notice, by whose fault it is. Objectives of one's own say it better; these need none. */
export function requestAlerts({ select, config }: Scope): readonly Alert[] {
  const byGateway = failedBy(['gateway'], ['OVERLOADED']);
  const byUpstream = failedBy(['upstream']);
  const answers = [
    select(requests, 'weir_stream=""'),
    select('http_server_request_duration_seconds_bucket', 'weir_stream=""'),
  ];
  const maxOpen = config.graphql.subscriptions.maxOpen;
  return [
    {
      name: 'WeirGatewayErrors',
      expr: `sum by (job) (rate(${select(requests, byGateway)}[5m]))
  / sum by (job) (rate(${select(requests)}[5m])) > 0.01
and
sum by (job) (increase(${select(requests, byGateway)}[5m])) >= ${leastErrors}`,
      for: '2m',
      severity: 'page',
      summary: '{{ $labels.job }} fails requests by its own fault',
      description:
        '{{ $value | humanizePercentage }} of the requests of the last 5 minutes failed by a defect of the gateway or of a module.',
    },
    {
      name: 'WeirUpstreamErrors',
      expr: `sum by (job, http_route) (rate(${select(requests, byUpstream)}[5m]))
  / sum by (job, http_route) (rate(${select(requests)}[5m])) > 0.05
and
sum by (job, http_route) (increase(${select(requests, byUpstream)}[5m])) >= ${leastErrors}`,
      for: '2m',
      severity: 'page',
      summary: 'An upstream behind {{ $labels.http_route }} fails',
      description:
        '{{ $value | humanizePercentage }} of the requests to {{ $labels.http_route }} in the last 5 minutes failed by the fault of an upstream.',
    },
    {
      name: 'WeirLatency',
      expr: `histogram_quantile(0.99, sum by (job, http_route, le) (rate(${answers[1]}[10m]))) > 2.5
and
sum by (job, http_route) (increase(${answers[0]}[10m])) >= ${leastRequests}`,
      for: '10m',
      severity: 'ticket',
      summary: '{{ $labels.http_route }} is slow',
      description:
        'One in a hundred answers of {{ $labels.http_route }} takes longer than {{ $value | humanizeDuration }}.',
    },
    {
      name: 'WeirShedding',
      expr: `sum by (job) (rate(${select('weir_shed_total', 'weir_criticality!="sheddable"')}[5m]))
  / sum by (job) (rate(${select(requests)}[5m])) > 0.01`,
      for: '2m',
      severity: 'page',
      summary: '{{ $labels.job }} refuses requests for load',
      description:
        '{{ $value | humanizePercentage }} of the requests of the last 5 minutes were refused with 503, though nobody called them sheddable.',
    },
    {
      name: 'WeirSheddingSheddable',
      expr: `sum by (job) (rate(${select('weir_shed_total', 'weir_criticality="sheddable"')}[5m])) > 0`,
      for: '15m',
      severity: 'ticket',
      summary: '{{ $labels.job }} has had no room for sheddable requests for a while',
      description: '{{ $value | humanize }} sheddable requests a second are refused with 503.',
    },
    ...(maxOpen === 0
      ? []
      : [
          {
            name: 'WeirSubscriptionsNearLimit',
            expr: `${select('weir_graphql_subscriptions_open')} > ${0.8 * maxOpen}`,
            for: '5m',
            severity: 'ticket',
            summary: '{{ $labels.instance }} has nearly as many subscriptions as it takes',
            description: `{{ $value }} GraphQL subscriptions are open; from ${maxOpen} on (graphql.subscriptions.maxOpen) further ones are refused.`,
          } as const,
        ]),
  ];
}
