import type { Alert, Scope } from './rules.ts';

/** Of a limit, from where on somebody should think about it. */
const near = 0.8;
const mebibyte = 1024 ** 2;

/** What is wrong with the gateway's processes themselves, and with what they were told. */
export function processAlerts({ select, config }: Scope): readonly Alert[] {
  const { maxConnections } = config.listen;
  const memory = `min_over_time(${select('process_memory_usage_bytes')}`;
  return [
    {
      name: 'WeirDown',
      expr: `${select('up')} == 0`,
      for: '2m',
      severity: 'page',
      summary: '{{ $labels.instance }} does not answer',
      description:
        'Prometheus cannot read the metrics of {{ $labels.instance }}: it is down, cut off, or refuses the token.',
    },
    {
      name: 'WeirAbsent',
      expr: `absent(${select('up')})`,
      for: '5m',
      severity: 'page',
      summary: 'Prometheus knows of no gateway {{ $labels.job }}',
      description: 'No target has this job, so that none of these alerts can fire.',
    },
    {
      name: 'WeirRestarts',
      expr: `max by (job, instance) (resets(${select('process_uptime_seconds')}[15m])) >= 2
or
sum by (job, instance) (increase(${select('weir_worker_restarts_total')}[15m])) >= 2`,
      severity: 'page',
      summary: '{{ $labels.instance }} restarts again and again',
      description: '{{ $value | humanize }} restarts of the process or one of its workers in 15 minutes.',
    },
    {
      name: 'WeirWorkersMissing',
      // How many there should be can be told only by how many there were; with one process there is no such series.
      expr: `${select('weir_workers')} < max_over_time(${select('weir_workers')}[6h])`,
      for: '5m',
      severity: 'ticket',
      summary: '{{ $labels.instance }} has fewer workers than before',
      description: '{{ $value }} workers serve; the others do not start, or do not answer.',
    },
    {
      name: 'WeirEventLoopLag',
      expr: `avg_over_time(${select('nodejs_eventloop_delay_p99_seconds')}[5m]) > 0.1`,
      for: '5m',
      severity: 'ticket',
      summary: 'The event loop of {{ $labels.instance }} lags',
      description: 'One in a hundred of its turns is {{ $value | humanizeDuration }} late, and whatever waits for it.',
    },
    {
      name: 'WeirMemoryGrowth',
      // From least to least, which garbage does not move, and to the same hours of the day before, which traffic does not;
      // of processes that are old enough to have filled what a start fills once.
      expr: `${memory}[6h]) > 1.3 * ${memory}[6h] offset 1d)
and
${memory}[6h]) - ${memory}[6h] offset 1d) > ${64 * mebibyte}
and
${select('process_uptime_seconds')} > 32 * 3600`,
      for: '1h',
      severity: 'ticket',
      summary: 'The memory of {{ $labels.instance }} grows',
      description: '{{ $value | humanize1024 }}B at the least, a third more than in the same hours of the day before.',
    },
    {
      name: 'WeirConnectionsNearLimit',
      expr: `${select('weir_server_connections')} > ${near * maxConnections}`,
      for: '5m',
      severity: 'ticket',
      summary: '{{ $labels.instance }} has nearly as many connections as it takes',
      description: `{{ $value }} connections are open; from ${maxConnections} on (listen.maxConnections) further ones are closed at once.`,
    },
    {
      name: 'WeirConnectionsRefused',
      expr: `sum by (job, instance, weir_connections_refused_reason) (rate(${select('weir_connections_refused_total')}[5m])) > 1`,
      for: '2m',
      severity: 'page',
      summary: '{{ $labels.instance }} closes connections at once',
      description:
        '{{ $value | humanize }} a second, for there are too many: {{ $labels.weir_connections_refused_reason }}.',
    },
    {
      name: 'WeirReloadRefused',
      expr: `${select('weir_config_last_reload_successful')} == 0`,
      severity: 'ticket',
      summary: '{{ $labels.instance }} refuses its configuration file',
      description: 'It goes on with the one before. A restart would fail.',
    },
    {
      name: 'WeirConfigurationsDiffer',
      expr: `count by (job) (count by (job, weir_config_hash) (${select('weir_config_applied_time_seconds')})) > 1`,
      for: '30m',
      severity: 'ticket',
      summary: 'Instances of {{ $labels.job }} run different configurations',
      description: '{{ $value }} configurations are in force at once.',
    },
  ];
}
