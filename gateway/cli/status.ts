import type { GatewayStatus } from '#gateway/control/gateway-status.ts';
import { AdminClient } from './admin-client.ts';
import type { Arguments } from './arguments.ts';
import { accepted } from './operator.ts';
import { statusText } from './status-text.ts';
import type { Terminal } from './terminal.ts';

/** What is wrong, in one look. @returns 0 when nothing is, 1 when something is or no gateway answers */
export async function status(args: Arguments, terminal: Terminal): Promise<number> {
  const found = accepted(await new AdminClient(args).call('GET', '/admin/status')) as GatewayStatus;
  terminal.out(args.json ? `${JSON.stringify(found, null, 2)}\n` : statusText(found));
  return found.problems.length > 0 ? 1 : 0;
}
