import { stringify } from 'yaml';
import type { GatewayConfig } from '#gateway/config/schema.ts';
import { budgetRecordings, objectiveAlerts, objectiveRecordings } from './objective-rules.ts';
import { processAlerts } from './process-alerts.ts';
import { requestAlerts } from './request-alerts.ts';
import { scopeOf, type Alert, type Recording } from './rules.ts';
import { upstreamAlerts } from './upstream-alerts.ts';

/**
 * The rule file of Prometheus for a configuration.
 * @param runbook where docs/runbook.md is to be read, to which alerts link
 */
export function ruleFile(config: GatewayConfig, runbook = 'docs/runbook.md'): string {
  const scope = scopeOf(config);
  const alerts = (some: readonly Alert[]) => some.map((alert) => alertRule(alert, runbook));
  const groups = [
    ...group('weir-requests', alerts(requestAlerts(scope))),
    ...group('weir-upstreams', alerts(upstreamAlerts(scope))),
    ...group('weir-process', alerts(processAlerts(scope))),
    // In one group, whose rules run one after the other: alerts see what was recorded just before.
    ...group('weir-slo', [...objectiveRecordings(scope).map(recordingRule), ...alerts(objectiveAlerts(scope))]),
    // Over weeks of series; it moves slowly.
    ...group('weir-slo-budget', budgetRecordings(scope).map(recordingRule), '5m'),
  ];
  return `${header(config)}${stringify({ groups }, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}

function group(name: string, rules: readonly object[], interval?: string): object[] {
  return rules.length === 0 ? [] : [{ name, ...(interval !== undefined && { interval }), rules }];
}

function header({ telemetry }: GatewayConfig): string {
  const job = JSON.stringify(telemetry.serviceName);
  return `# Printed by \`weir alerts\`; do not edit. The job that scrapes the gateway is named as telemetry.serviceName: ${job}.\n`;
}

function alertRule(alert: Alert, runbook: string): object {
  const { name, expr, severity, labels, summary, description } = alert;
  return {
    alert: name,
    expr,
    ...(alert.for !== undefined && { for: alert.for }),
    labels: { severity, ...labels },
    annotations: { summary, description, runbook_url: `${runbook}#${name.toLowerCase()}` },
  };
}

function recordingRule({ record, expr, labels }: Recording): object {
  return { record, expr, ...(labels && { labels }) };
}
