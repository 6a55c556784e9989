import { errorCodes, errorRow, type ErrorCode, type Fault } from '#core/errors.ts';
import type { GatewayConfig } from '#gateway/config/schema.ts';

/** `page`: somebody has to look now. `ticket`: somebody has to look within a working day. */
export type Severity = 'page' | 'ticket';

/** A rule that tells somebody. */
export interface Alert {
  /** Its section in docs/runbook.md has this name. */
  readonly name: string;
  readonly expr: string;
  /** How long the expression must hold; at once when left out. */
  readonly for?: string;
  readonly severity: Severity;
  /** Beside the severity and what the expression keeps. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What is wrong, in a line. Both are Go templates over the labels and the value. */
  readonly summary: string;
  /** What that means for clients, with the numbers. */
  readonly description: string;
}

/** A rule that keeps the value of an expression as a series, for alerts and dashboards that would work it out again. */
export interface Recording {
  readonly record: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What the rules of one gateway are made from. */
export interface Scope {
  readonly config: GatewayConfig;
  /** What OpenTelemetry's "Prometheus and OpenMetrics Compatibility" makes of `service.name`. */
  readonly job: string;
  /** A selector of this gateway's own series: the names of the semantic conventions are everybody's. */
  readonly select: (metric: string, ...matchers: readonly string[]) => string;
}

export function scopeOf(config: GatewayConfig): Scope {
  const job = config.telemetry.serviceName;
  return {
    config,
    job,
    select: (metric, ...matchers) => `${metric}{${[`job=${quoted(job)}`, ...matchers].join(', ')}}`,
  };
}

/** A string of PromQL, which escapes as JSON does. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/** A matcher for any of these values. */
export function oneOf(label: string, values: readonly string[]): string {
  const [only] = values;
  if (values.length === 1 && only !== undefined) return `${label}=${quoted(only)}`;
  // RE2; Prometheus anchors it at both ends.
  return `${label}=~${quoted(values.map((value) => value.replaceAll(/[\\^$.|?*+()[\]{}]/g, String.raw`\$&`)).join('|'))}`;
}

/**
 * A matcher for `error.type`, by who has to act. A status stands there where an upstream's own error was passed on.
 * @param except codes that are told of otherwise
 */
export function failedBy(faults: readonly Exclude<Fault, 'client'>[], except: readonly ErrorCode[] = []): string {
  const codes = errorCodes.filter((code) => (faults as readonly Fault[]).includes(errorRow(code).fault));
  const kinds = codes.filter((code) => !except.includes(code)).toSorted();
  return `error_type=~${quoted([...kinds, ...(faults.includes('upstream') ? ['5..'] : [])].join('|'))}`;
}
