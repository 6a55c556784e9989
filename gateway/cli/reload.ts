import type { ReloadReport } from '#gateway/control/reload.ts';
import { AdminClient } from './admin-client.ts';
import type { Arguments } from './arguments.ts';
import { accepted, operatorOf } from './operator.ts';
import type { Terminal } from './terminal.ts';

/** Lets the running gateway load its file again, and says how that went. */
export async function reload(args: Arguments, terminal: Terminal): Promise<number> {
  return tell(await ask('/admin/reload', args), 'Reloaded', terminal);
}

/** Restores the last good file. */
export async function rollback(args: Arguments, terminal: Terminal): Promise<number> {
  return tell(await ask('/admin/rollback', args), 'Rolled back', terminal);
}

async function ask(path: string, args: Arguments): Promise<ReloadReport> {
  const { status, answer } = await new AdminClient(args).call('POST', path, operatorOf(args));
  // A file that is wrong is reported like one that is right.
  return status === 422 ? (answer as ReloadReport) : (accepted({ status, answer }) as ReloadReport);
}

function tell(report: ReloadReport, done: string, terminal: Terminal): number {
  if (report.error !== undefined) {
    terminal.err(`${report.error}\nNothing has changed: ${report.hash} goes on serving.\n`);
    return 1;
  }
  terminal.out(`${done}: ${report.hash}${report.changed ? '' : ', as before'}.\n`);
  if (report.needsRestart.length > 0) terminal.out(`Waits for a restart: ${report.needsRestart.join(', ')}.\n`);
  if (report.notWritten !== undefined) {
    terminal.err(
      `The file could not be restored (${report.notWritten}). Fix: write it yourself, or a restart takes it as it is.\n`,
    );
    return 1;
  }
  return 0;
}
