/** Grafana's dashboard model (schema 39), as far as these dashboards need it. */

type Kind = 'timeseries' | 'stat' | 'table' | 'state-timeline' | 'heatmap';

/** Grafana's names of units. */
type Unit = 'reqps' | 'percentunit' | 's' | 'bytes' | 'Bps' | 'short' | 'ops' | 'dateTimeAsIso';

export interface Query {
  readonly expr: string;
  /** Of each series, with `{{label}}`. */
  readonly legend: string;
  /** One value instead of a curve. */
  readonly instant?: boolean;
}

export interface Panel {
  readonly title: string;
  /** What to read from it. */
  readonly description: string;
  readonly kind?: Kind;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  readonly stacked?: boolean;
  /** Upper end of the axis; as the data is when left out. */
  readonly max?: number;
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  /** Of the file, and of the URL after `weir-`. */
  readonly name: string;
  readonly title: string;
  readonly rows: readonly Row[];
  /** A choice of upstreams, besides those of job and instance. */
  readonly upstreams?: boolean;
}

/** A selector of the chosen gateway's series. */
export function of(metric: string, ...matchers: readonly string[]): string {
  return `${metric}{${['job="$job"', 'instance=~"$instance"', ...matchers].join(', ')}}`;
}

/** Per second, over a span that fits the resolution of the graph. */
export function rate(metric: string, ...matchers: readonly string[]): string {
  return `rate(${of(metric, ...matchers)}[$__rate_interval])`;
}

/** A curve for each of these quantiles of a histogram. */
export function quantiles(metric: string, by: readonly string[], ...matchers: readonly string[]): Query[] {
  const names = by.map((label) => `{{${label}}} `).join('');
  return [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (${[...by, 'le'].join(', ')}) (${rate(`${metric}_bucket`, ...matchers)}))`,
    legend: `${names}p${quantile * 100}`,
  }));
}

const width = 24;
const source = { type: 'prometheus', uid: '${datasource}' };
const curves = {
  legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'], showLegend: true },
  tooltip: { mode: 'multi', sort: 'desc' },
};
const options: Readonly<Record<Kind, object>> = {
  timeseries: curves,
  heatmap: { calculate: false, yAxis: { unit: 's' }, cellGap: 1 },
  'state-timeline': { showValue: 'never', mergeValues: true, legend: { displayMode: 'list', showLegend: false } },
  stat: { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, graphMode: 'area' },
  table: { showHeader: true },
};
/** In what form a panel wants what Prometheus answers; curves are the default. */
const formats: Readonly<Partial<Record<Kind, string>>> = { table: 'table', heatmap: 'heatmap' };
const heights: Readonly<Record<Kind, number>> = { timeseries: 8, heatmap: 8, 'state-timeline': 8, table: 6, stat: 4 };

/** The file that Grafana loads. */
export function render({ name, title, rows, upstreams = false }: Dashboard): string {
  const panels: object[] = [];
  let top = 0;
  for (const row of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y: top++, w: width, h: 1 },
      panels: [],
    });
    const each = width / row.panels.length;
    const height = Math.max(...row.panels.map(({ kind = 'timeseries' }) => heights[kind]));
    row.panels.forEach((panel, index) => {
      const left = Math.round(index * each);
      const gridPos = { x: left, y: top, w: Math.round((index + 1) * each) - left, h: height };
      panels.push(renderPanel(panel, panels.length + 1, gridPos));
    });
    top += height;
  }
  const model = {
    uid: `weir-${name}`,
    title,
    tags: ['weir'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    links: [{ type: 'dashboards', title: 'Weir', tags: ['weir'], asDropdown: true, includeVars: true, keepTime: true }],
    annotations: { list: [reloads] },
    templating: { list: [...variables, ...(upstreams ? [upstreamVariable] : [])] },
    panels,
  };
  return `${JSON.stringify(model, undefined, 2)}\n`;
}

function renderPanel(panel: Panel, id: number, gridPos: object): object {
  const { title, description, kind = 'timeseries', unit, queries, stacked = false, max } = panel;
  return {
    id,
    type: kind,
    title,
    description,
    datasource: source,
    gridPos,
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(max !== undefined && { max }),
        ...(kind === 'timeseries' && {
          custom: {
            lineWidth: 1,
            fillOpacity: stacked ? 30 : 0,
            stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
          },
        }),
      },
      overrides: [],
    },
    options: options[kind],
    targets: queries.map(({ expr, legend, instant = false }, index) => ({
      refId: String.fromCodePoint(65 + index),
      datasource: source,
      expr,
      legendFormat: legend,
      ...(instant ? { instant: true, range: false } : { range: true }),
      ...(formats[kind] !== undefined && { format: formats[kind] }),
    })),
    ...(kind === 'table' && {
      transformations: [{ id: 'organize', options: { excludeByName: { Time: true, __name__: true, job: true } } }],
    }),
  };
}

const variables = [
  { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
  variable('job', 'Gateway', 'label_values(weir_build_info, job)', false),
  variable('instance', 'Instance', 'label_values(weir_build_info{job="$job"}, instance)', true),
];

const upstreamVariable = variable(
  'upstream',
  'Upstream',
  'label_values(weir_upstream_breaker_state{job="$job"}, weir_upstream)',
  true,
);

function variable(name: string, label: string, query: string, multi: boolean): object {
  return {
    name,
    label,
    type: 'query',
    datasource: source,
    definition: query,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    multi,
    includeAll: multi,
    ...(multi && { current: { text: 'All', value: '$__all' }, allValue: '.*' }),
  };
}

/** A line wherever another configuration took over, since that is what most sudden changes are. */
const reloads = {
  name: 'Configuration',
  datasource: source,
  enable: true,
  iconColor: 'blue',
  expr: 'weir_config_applied_time_seconds{job="$job", instance=~"$instance"} * 1000',
  useValueForTime: 'on',
  titleFormat: 'Configuration {{weir_config_hash}}',
  textFormat: '{{instance}}',
};
