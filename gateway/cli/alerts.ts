import { ruleFile } from '#gateway/monitoring/rule-file.ts';
import { openProject } from '#gateway/project.ts';
import type { Arguments } from './arguments.ts';
import type { Terminal } from './terminal.ts';

/** Prints the rule file of Prometheus for the configuration. */
export async function printAlerts(args: Arguments, terminal: Terminal): Promise<number> {
  const { loaded } = await openProject(args);
  terminal.out(ruleFile(loaded.config, args.runbook));
  return 0;
}
