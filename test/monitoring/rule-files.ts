import { parse } from 'yaml';

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface RecordingRule {
  readonly record: string;
  readonly expr: string;
}

interface RuleFile {
  readonly groups: readonly { readonly rules: readonly (AlertRule | RecordingRule)[] }[];
}

function rulesIn(text: string): (AlertRule | RecordingRule)[] {
  return (parse(text) as RuleFile).groups.flatMap(({ rules }) => rules);
}

/** Every rule of a rule file, alerts and recordings. */
export function allRules(text: string): { readonly name: string; readonly expr: string }[] {
  return rulesIn(text).map((rule) => ({ name: 'alert' in rule ? rule.alert : rule.record, expr: rule.expr }));
}

export function alertsIn(text: string): AlertRule[] {
  return rulesIn(text).filter((rule) => 'alert' in rule);
}
