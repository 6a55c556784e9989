/** What `npm audit --json` prints; a registry that answers no audits gives an error instead. */
interface AuditReport {
  readonly vulnerabilities?: Readonly<
    Record<string, { readonly name: string; readonly severity: string; readonly range: string }>
  >;
}

const grave: ReadonlySet<string> = new Set(['high', 'critical']);

/**
 * The verdict on a run of `npm audit --omit=dev --json`: grave findings fail it, a registry that does not answer does not,
 * since a mirror without that service must not stop a build.
 */
export function auditVerdict(output: string): { ok: boolean; output: string; note?: string } {
  const report = parse(output);
  if (!report?.vulnerabilities) return { ok: true, output, note: 'the registry does not answer audits' };
  const findings = Object.values(report.vulnerabilities).filter(({ severity }) => grave.has(severity));
  return {
    ok: findings.length === 0,
    output: findings.map(({ name, range, severity }) => `${name} ${range}: ${severity}`).join('\n'),
  };
}

function parse(output: string): AuditReport | undefined {
  try {
    return JSON.parse(output) as AuditReport;
  } catch {
    return undefined;
  }
}
