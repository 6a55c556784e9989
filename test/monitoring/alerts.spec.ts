import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '#gateway/config/load.ts';
import { ruleFile } from '#gateway/monitoring/rule-file.ts';
import { createProject } from '../cli/project.ts';
import { namesOf } from './promql.ts';
import { promtool, promtoolOver } from './promtool.ts';
import { allRules, alertsIn } from './rule-files.ts';

const upstream = 'upstreams: { a: { endpoints: [http://127.0.0.1:9] } }\n';

function rulesOf(yaml: string, runbook?: string): string {
  return ruleFile(loadConfig({ text: upstream + yaml, env: {} }).config, runbook);
}

function exprOf(text: string, name: string): string {
  return alertsIn(text).find(({ alert }) => alert === name)?.expr ?? '';
}

interface UnitTests {
  readonly tests: readonly {
    readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts: readonly object[] }[];
  }[];
}

const testFiles = globSync('deploy/prometheus/*.test.yml').toSorted();
const rules = readFileSync('deploy/prometheus/weir.rules.yml', 'utf8');

describe('deploy/prometheus', { timeout: 120_000 }, () => {
  test('has rules that promtool accepts', async () => {
    const { status, stdout, stderr } = await promtool('check', 'rules', 'deploy/prometheus/weir.rules.yml');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`SUCCESS: ${allRules(rules).length} rules found`);
  });

  test('has a configuration of Prometheus that promtool accepts', async () => {
    // Only the containers have the token, and the rules beside it.
    const here = readFileSync('deploy/prometheus/prometheus.yml', 'utf8')
      .replace('/run/secrets/weir-admin-token', '/dev/null')
      .replace('weir.rules.yml', `${process.cwd()}/deploy/prometheus/weir.rules.yml`);
    const { status, stdout, stderr } = await promtoolOver(here, 'check', 'config');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('1 rule files found');
  });

  test.each(testFiles)('%s holds', async (file) => {
    const { status, stdout, stderr } = await promtool('test', 'rules', file);
    expect(status, stdout + stderr).toBe(0);
  });

  test('tests each alert both where it fires and where it does not', () => {
    const cases = testFiles.flatMap((file) =>
      (parse(readFileSync(file, 'utf8')) as UnitTests).tests.flatMap(({ alert_rule_test: some = [] }) => some),
    );
    for (const { alert } of alertsIn(rules)) {
      const own = cases.filter(({ alertname }) => alertname === alert);
      expect(
        own.some(({ exp_alerts: fired }) => fired.length > 0),
        `${alert} is never shown to fire`,
      ).toBe(true);
      expect(
        own.some(({ exp_alerts: fired }) => fired.length === 0),
        `${alert} is never shown not to`,
      ).toBe(true);
    }
    const names = new Set(alertsIn(rules).map(({ alert }) => alert));
    expect(cases.map(({ alertname }) => alertname).filter((name) => !names.has(name))).toEqual([]);
  });

  test('says of each alert how urgent it is, what is wrong, what that means, and where to read on', () => {
    const alerts = alertsIn(rules);
    expect(alerts.length).toBeGreaterThan(20);
    for (const { alert, labels, annotations } of alerts) {
      expect(alert).toMatch(/^Weir[A-Z][A-Za-z]+$/);
      expect(['page', 'ticket'], alert).toContain(labels.severity);
      expect(Object.keys(annotations), alert).toEqual(['summary', 'description', 'runbook_url']);
      expect(annotations.description, alert).toMatch(/\.$/);
      expect(annotations.runbook_url).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
    }
  });

  test('is about the gateway alone, whoever else uses the names of the semantic conventions', () => {
    for (const { expr, name } of allRules(rules)) {
      const { selectors } = namesOf(expr);
      expect(selectors.length, name).toBeGreaterThan(0);
      for (const { matchers } of selectors)
        expect(matchers, name).toContainEqual({ label: 'job', operator: '=', value: 'shop-gateway' });
    }
  });

  test('has the same rules for the containers as for the example', () => {
    const text = readFileSync('deploy/compose/gateway.yaml', 'utf8').replace('/app/', `${process.cwd()}/`);
    expect(ruleFile(loadConfig({ text, env: {} }).config)).toBe(rules);
  });
});

describe('weir alerts', { timeout: 60_000 }, () => {
  const file = `${upstream}routes: [{ name: orders, path: /o, upstream: a }]\n`;

  test('prints rules that promtool accepts, and nothing of objectives where there are none', async () => {
    const project = createProject({ 'gateway.yaml': file });
    const { status, stdout, stderr } = await project.weir('alerts');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).not.toMatch(/weir:slo|ErrorBudget/);
    expect(await promtoolOver(stdout, 'check', 'rules')).toMatchObject({ status: 0 });
  });

  test('links to the runbook where it is said to be', async () => {
    const project = createProject({ 'gateway.yaml': file });
    const { stdout } = await project.weir('alerts', '--runbook', 'https://wiki.example.com/weir');
    for (const { alert, annotations } of alertsIn(stdout))
      expect(annotations.runbook_url).toBe(`https://wiki.example.com/weir#${alert.toLowerCase()}`);
  });

  test('is warned of by weir check where an objective is for a /graphql that is not there', async () => {
    const project = createProject({
      'gateway.yaml': `${file}slo: [{ name: shop, graphql: true, availability: 0.99 }]\n`,
    });
    expect((await project.weir('check')).stdout).toContain(
      'warning: The objective shop (gateway.yaml:3) is for /graphql, which is not there without modules',
    );
    project.write({ 'gateway.yaml': `${file}slo: [{ name: shop, availability: 0.99 }]\n` });
    expect((await project.weir('check')).stdout).not.toContain('objective');
  });

  test('says what is wrong with the configuration instead', async () => {
    const project = createProject({ 'gateway.yaml': `${file}slo: [{ name: x, availability: 1 }]\n` });
    const { status, stdout, stderr } = await project.weir('alerts');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('slo[0].availability');
  });

  test('takes limits from the configuration', () => {
    const text = rulesOf(`listen: { maxConnections: 500 }
graphql: { subscriptions: { maxOpen: 20 } }
`);
    expect(exprOf(text, 'WeirConnectionsNearLimit')).toMatch(/> 400$/);
    expect(exprOf(text, 'WeirSubscriptionsNearLimit')).toMatch(/> 16$/);
    expect(rulesOf('graphql: { subscriptions: { maxOpen: 0 } }\n')).not.toContain('WeirSubscriptionsNearLimit');
  });

  test('asks for the job named as the service, whatever that is called, and for routes whatever they are called', async () => {
    const text = rulesOf(String.raw`telemetry: { serviceName: 'a "b" \ c' }
routes: [{ path: '/v1/orders{/*rest}', upstream: a }, { name: x, path: /x, upstream: a }]
slo: [{ name: y, routes: ['/v1/orders{/*rest}', x], availability: 0.99, latency: { under: 1s, target: 0.9 } }]
`);
    expect(exprOf(text, 'WeirDown')).toBe(String.raw`up{job="a \"b\" \\ c"} == 0`);
    expect(text).toContain(String.raw`http_route=~"/v1/orders\\{/\\*rest\\}|x"`);
    expect(await promtoolOver(text, 'check', 'rules')).toMatchObject({ status: 0 });
  });

  test('leaves out a burn rate at which more than everything would have to fail', () => {
    const text = rulesOf('slo: [{ name: y, availability: 0.9 }]\n');
    expect(exprOf(text, 'WeirErrorBudgetBurnsFast')).not.toContain('14.4');
    expect(exprOf(text, 'WeirErrorBudgetBurnsFast')).toContain('> 6 * (1 - 0.9)');
  });

  test('is about all requests where an objective names no routes, else about those it names', () => {
    const routes = 'routes: [{ name: orders, path: /o, upstream: a }]\n';
    const requests = (objective: string) =>
      allRules(rulesOf(`${routes}slo: [{ name: y, availability: 0.99${objective} }]\n`)).find(
        ({ name }) => name === 'weir:slo_requests:rate5m',
      )?.expr;
    expect(requests('')).not.toContain('http_route');
    expect(requests(', routes: [orders]')).toContain('http_route="orders"');
    expect(requests(', graphql: true')).toContain('http_route="/graphql"');
    expect(requests(', routes: [orders], graphql: true')).toContain('http_route=~"orders|/graphql"');
  });

  test('counts what fails by the fault of gateway or upstream, and what of clients never', () => {
    const failures = allRules(rulesOf('slo: [{ name: y, availability: 0.99 }]\n')).find(
      ({ name }) => name === 'weir:slo_failures:rate5m',
    )?.expr;
    expect(failures).toContain('INTERNAL|');
    expect(failures).toContain('OVERLOADED|');
    expect(failures).toContain('UPSTREAM_TIMEOUT|');
    expect(failures).toContain('|5..');
    expect(failures).not.toContain('CLIENT_CLOSED_REQUEST');
    expect(failures).not.toContain('BAD_REQUEST');
  });
});
