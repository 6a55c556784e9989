import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { load } from '../config/problems.ts';
import { section } from '../support/markdown.ts';
import { exposition } from '../telemetry/exposition.ts';
import { namesOf } from './promql.ts';
import { promtoolOver } from './promtool.ts';
import { alertsIn, allRules } from './rule-files.ts';
import { dashboardQueries, dashboardsIn } from './dashboard-files.ts';
import { Scraped } from './scraped.ts';
import { metricsOfAllTraffic } from './traffic.ts';

const rules = readFileSync('deploy/prometheus/weir.rules.yml', 'utf8');
const dashboards = dashboardsIn('deploy/grafana/dashboards');
const queries = dashboards.flatMap(({ name, model }) => dashboardQueries(name, model));

let shown: readonly string[];
let scraped: Scraped;

beforeAll(async () => {
  shown = await metricsOfAllTraffic();
  scraped = new Scraped();
  for (const text of shown) scraped.read(text);
  // What Prometheus itself adds, and what the rules record.
  scraped.add('up', {}).add('ALERTS', { alertname: '', alertstate: 'firing', severity: '' });
  const { groups } = parse(rules) as {
    readonly groups: readonly { readonly rules: readonly { record?: string; labels?: Record<string, string> }[] }[];
  };
  const recordings = groups.flatMap((group) => group.rules.filter(({ record }) => record !== undefined));
  // Those without labels of their own keep those of the series they are made from.
  for (const { record } of recordings) for (const { labels } of recordings) if (labels) scraped.add(record!, labels);
}, 120_000);

/** Labels that a query leaves on its series: those it groups by, else those of what it selects. */
function labelsLeftBy(expr: string): ReadonlySet<string> {
  const { selectors, groupings } = namesOf(expr);
  return new Set(groupings.length > 0 ? groupings : selectors.flatMap(({ metric }) => [...scraped.labelsOf(metric)]));
}

describe('What dashboards and alerts ask for is there', () => {
  test.each(dashboards)('on the dashboard $name', ({ name }) => {
    const own = queries.filter(({ dashboard }) => dashboard === name);
    expect(own.length).toBeGreaterThan(5);
    for (const { where, expr, legend } of own) {
      expect(scraped.missingOf(expr), where).toEqual([]);
      const left = [...labelsLeftBy(expr)];
      for (const [, label] of legend.matchAll(/\{\{(\w+)\}\}/g)) expect(left, `${where}: its legend`).toContain(label);
    }
  });

  test('in the rules', () => {
    for (const { name, expr } of allRules(rules)) expect(scraped.missingOf(expr), name).toEqual([]);
  });

  test('in the words of the alerts', () => {
    for (const { alert, expr, labels, annotations } of alertsIn(rules)) {
      const left = [...labelsLeftBy(expr), ...Object.keys(labels)];
      for (const [, label] of Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g))
        expect(left, alert).toContain(label);
    }
  });

  test.each([
    ['a metric', 'rate(weir_shedd_total[5m])', 'there is no metric weir_shedd_total'],
    ['a part of a histogram', 'http_server_request_duration_seconds_total', 'there is no metric'],
    ['a label', 'weir_shed_total{weir_criticalty="default"}', 'weir_shed_total has no label weir_criticalty'],
    ['a value', 'weir_shed_total{weir_criticality="defalt"}', 'no weir_shed_total has weir_criticality="defalt"'],
    ['a pattern of values', 'weir_shed_total{weir_criticality=~"defalt|x"}', 'no weir_shed_total has'],
    ['a grouping', 'sum by (http_rout) (http_server_active_requests)', 'nothing here has a label http_rout'],
    ['a label of another metric', 'sum by (weir_upstream) (weir_shed_total)', 'nothing here has a label weir_upstream'],
    ['what a rule records', 'weir:slo_errors:ratio4h', 'there is no metric weir:slo_errors:ratio4h'],
  ])('%s that is misspelt would be found', (_what, expr, found) => {
    expect(scraped.missingOf(expr)).toEqual([expect.stringContaining(found)]);
  });

  test('promtool can read every query of the dashboards', async () => {
    const text = JSON.stringify({
      groups: [
        {
          name: 'dashboards',
          rules: queries.map(({ expr }, index) => ({
            record: `query:${index}`,
            expr: expr.replaceAll('$__rate_interval', '5m'),
          })),
        },
      ],
    });
    expect(await promtoolOver(text, 'check', 'rules')).toMatchObject({ status: 0 });
    expect(queries.length).toBeGreaterThan(40);
  });
});

describe('deploy/grafana/dashboards', () => {
  test.each(dashboards)('$name has panels side by side, each with an id and a text of its own', ({ name, model }) => {
    expect(model.uid).toBe(`weir-${name}`);
    const ids = model.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const taken = new Set<string>();
    for (const { title, type, description = '', gridPos } of model.panels) {
      if (type !== 'row') expect(description, title).toMatch(/\.$/);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(x, title).toBeLessThan(24);
          expect(taken.has(`${x},${y}`), title).toBe(false);
          taken.add(`${x},${y}`);
        }
    }
  });
});

describe('docs/metrics.md', () => {
  const page = readFileSync('docs/metrics.md', 'utf8');

  /** The rows of a section's table, cell by cell. */
  function tableOf(heading: string): string[][] {
    const lines = section(page, heading).split('\n');
    return lines.filter((line) => line.startsWith('| `')).map((line) => line.slice(2, -2).split(' | '));
  }

  function words(cell: string): string[] {
    return [...cell.matchAll(/`(\w+)`/g)].map(([, word]) => word!);
  }

  const rows = tableOf('Metrics').map(([name = '', , kind = '', labels = '', text = '']) => {
    return { name: words(name)[0]!, kind, labels: words(labels), text };
  });

  function families() {
    const all = shown.flatMap((text) => [...exposition(text)]).filter(([name]) => name !== 'target_info');
    return new Map(
      all.map(([name, { type, help }]) => {
        const samples = all.filter(([other]) => other === name).flatMap(([, family]) => family.samples);
        const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
        labels.delete('le');
        return [name, { kind: type, help, labels: [...labels].toSorted() }];
      }),
    );
  }

  test('has every metric that gateways show, with its kind and meaning, and no other', () => {
    expect(rows.map(({ name, kind }) => `${name} ${kind}`).toSorted()).toEqual(
      [...families()].map(([name, { kind }]) => `${name} ${kind}`).toSorted(),
    );
    const help = families();
    for (const { name, text } of rows) expect(text, name).toBe(`${help.get(name)?.help.replace(/\.$/, '')}.`);
  });

  test('has the labels of each, and says what they mean', () => {
    const meanings = tableOf('Labels').map(([label = '']) => words(label)[0]!);
    const shownLabels = families();
    for (const { name, labels } of rows) {
      expect(labels.toSorted(), name).toEqual(shownLabels.get(name)?.labels);
      expect(meanings, name).toEqual(expect.arrayContaining(labels));
    }
    expect(meanings.filter((label) => label !== 'le' && !rows.some(({ labels }) => labels.includes(label)))).toEqual(
      [],
    );
  });

  test('shows objectives that can be written so', () => {
    const [, yaml] = /```yaml\n([^]*?)```/.exec(page) ?? [];
    const routes = ['orders', 'payments'].map((name) => `{ name: ${name}, path: /${name}, upstream: a }`).join(', ');
    const text = `upstreams: { a: { endpoints: [http://127.0.0.1:9] } }\nroutes: [${routes}]\n${yaml}`;
    expect(load(text).config.slo).toHaveLength(3);
  });

  test('has no metric that neither a dashboard nor an alert shows', () => {
    const asked = new Set(
      [...queries, ...allRules(rules)]
        .flatMap(({ expr }) => namesOf(expr).selectors)
        .map(({ metric }) => metric.replace(/_(bucket|sum|count)$/, '')),
    );
    expect(rows.map(({ name }) => name).filter((name) => !asked.has(name))).toEqual([]);
  });
});
