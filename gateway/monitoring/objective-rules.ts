import { formatDuration } from '#core/duration.ts';
import { failedBy, oneOf, quoted, type Alert, type Recording, type Scope } from './rules.ts';
import type { Objective } from './settings.ts';

/**
 * Several burn rates, each over a long window and a short one (Google, "The Site Reliability Workbook", chapter 5): the
 * long one says that it matters, the short one that it still goes on. At a burn rate of 1 the budget lasts exactly for the
 * objective's window.
 */
interface Burn {
  readonly rate: number;
  readonly long: Window;
  readonly short: Window;
}

const fast: readonly Burn[] = [
  { rate: 14.4, long: '1h', short: '5m' },
  { rate: 6, long: '6h', short: '30m' },
];
const slow: readonly Burn[] = [
  { rate: 3, long: '1d', short: '2h' },
  { rate: 1, long: '3d', short: '6h' },
];

type Window = '5m' | '30m' | '1h' | '2h' | '6h' | '1d' | '3d';

/** Besides that of the rates themselves. */
const windows: readonly Window[] = ['30m', '1h', '2h', '6h', '1d', '3d'];

/** What an objective is measured by: the requests that count, and those of them that break it, each as a rate. */
interface Indicator {
  readonly sli: 'availability' | 'latency';
  readonly target: number;
  readonly requests: string;
  readonly failures: string;
  /** What broken ones do. */
  readonly broken: string;
}

/**
 * Series for the alerts, in the order in which they are made from each other: every longer window is summed up from the
 * rates, so that the many series of the histogram are read for five minutes only.
 */
export function objectiveRecordings(scope: Scope): readonly Recording[] {
  const rates = scope.config.slo.flatMap((objective) =>
    indicatorsOf(objective, scope).flatMap(({ sli, requests, failures }) => {
      const labels = { job: scope.job, slo: objective.name, sli };
      return [
        { record: 'weir:slo_requests:rate5m', expr: requests, labels },
        { record: 'weir:slo_failures:rate5m', expr: failures, labels },
      ];
    }),
  );
  if (rates.length === 0) return [];
  const [requests, failures] = recorded(scope);
  return [
    ...rates,
    { record: seriesOf('5m'), expr: `${failures} / ${requests}` },
    ...windows.map((window) => ({ record: seriesOf(window), expr: shareOver(window, scope) })),
  ];
}

/** What is left of each budget: 1 is all of it, and below 0 more has failed than may. */
export function budgetRecordings(scope: Scope): readonly Recording[] {
  return scope.config.slo.flatMap((objective) =>
    indicatorsOf(objective, scope).map(({ sli, target }) => ({
      record: 'weir:slo_budget_left:ratio',
      expr: `1 - ${shareOver(formatDuration(objective.window), scope, ...of(objective, sli))} / (1 - ${target})`,
      labels: { job: scope.job, slo: objective.name, sli },
    })),
  );
}

export function objectiveAlerts(scope: Scope): readonly Alert[] {
  return scope.config.slo.flatMap((objective) =>
    indicatorsOf(objective, scope).flatMap((indicator) => [
      ...alertOf('WeirErrorBudgetBurnsFast', 'page', fast, objective, indicator, scope),
      ...alertOf('WeirErrorBudgetBurnsSlowly', 'ticket', slow, objective, indicator, scope),
    ]),
  );
}

function alertOf(
  name: string,
  severity: Alert['severity'],
  burns: readonly Burn[],
  objective: Objective,
  { sli, target, broken }: Indicator,
  { select }: Scope,
): Alert[] {
  // More than all cannot fail, so that a budget this large cannot be burnt this fast.
  const possible = burns.filter(({ rate }) => rate * (1 - target) < 1);
  const slowest = possible.at(-1);
  if (!slowest) return [];
  const over = (window: Window, rate: number) =>
    `${select(seriesOf(window), ...of(objective, sli))} > ${rate} * (1 - ${target})`;
  const days = formatDuration(objective.window);
  return [
    {
      name,
      expr: possible.map(({ rate, long, short }) => `(${over(long, rate)} and ${over(short, rate)})`).join('\nor\n'),
      severity,
      labels: { slo: objective.name, sli },
      summary: `The ${sli} of ${objective.name} falls short of ${percent(target)}`,
      description:
        `{{ $value | humanizePercentage }} of the requests ${broken}; ${percent(1 - target)} may. ` +
        `At this rate the budget of ${days} is used up in ${wholeHours(objective.window / slowest.rate)} or less.`,
    },
  ];
}

function indicatorsOf({ routes, graphql, availability, latency }: Objective, { select, config }: Scope): Indicator[] {
  const names = [...(routes ?? []), ...(graphql ? [config.graphql.path] : [])];
  const served = names.length === 0 ? [] : [oneOf('http_route', names)];
  const rateOf = (series: 'count' | 'bucket', ...matchers: readonly string[]) =>
    `sum(rate(${select(`http_server_request_duration_seconds_${series}`, ...served, ...matchers)}[5m]))`;
  const indicators: Indicator[] = [
    {
      sli: 'availability',
      target: availability,
      requests: rateOf('count'),
      // None where no such series was ever seen.
      failures: `${rateOf('count', failedBy(['gateway', 'upstream']))} or vector(0)`,
      broken: 'fail by the fault of the gateway or an upstream',
    },
  ];
  if (!latency) return indicators;
  // Answers, and requests that their clients gave up. What failed is the other indicator's.
  const answered = ['error_type=~"|CLIENT_CLOSED_REQUEST"', 'weir_stream=""'];
  const requests = rateOf('count', ...answered);
  indicators.push({
    sli: 'latency',
    target: latency.target,
    requests,
    failures: `${requests} - ${rateOf('bucket', ...answered, `le=${quoted(String(latency.under / 1000))}`)}`,
    broken: `take longer than ${formatDuration(latency.under)}`,
  });
  return indicators;
}

/** As Prometheus advises: level, metric, operations. */
function seriesOf(window: Window): string {
  return `weir:slo_errors:ratio${window}`;
}

function shareOver(window: string, scope: Scope, ...matchers: readonly string[]): string {
  const [requests, failures] = recorded(scope, ...matchers);
  return `sum_over_time(${failures}[${window}]) / sum_over_time(${requests}[${window}])`;
}

function recorded({ select }: Scope, ...matchers: readonly string[]): [requests: string, failures: string] {
  return [select('weir:slo_requests:rate5m', ...matchers), select('weir:slo_failures:rate5m', ...matchers)];
}

function of({ name }: Objective, sli: Indicator['sli']): string[] {
  return [`slo=${quoted(name)}`, `sli=${quoted(sli)}`];
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(6))} %`;
}

function wholeHours(ms: number): string {
  return formatDuration(Math.round(ms / 3_600_000) * 3_600_000);
}
