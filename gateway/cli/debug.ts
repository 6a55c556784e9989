import type { Override, OverrideKind } from '#gateway/control/override.ts';
import { AdminClient } from './admin-client.ts';
import { refuseOptions, UsageError, type Arguments } from './arguments.ts';
import { accepted, removeOverrides, setOverride, untilText } from './operator.ts';
import { overrideText } from './status-text.ts';
import type { Terminal } from './terminal.ts';

const kinds = ['route', 'consumer', 'trace'] as const satisfies readonly OverrideKind[];

/** Writes the requests of a route, a consumer or a trace to the log in detail for a while; alone it says of which. */
export async function debug(args: Arguments, terminal: Terminal): Promise<number> {
  const [what, target] = args.operands;
  if (what === undefined) {
    refuseOptions(args, 'debug', 'for', 'by', 'reason');
    return list(args, terminal);
  }
  if (what === 'off') {
    refuseOptions(args, 'debug off', 'for');
    if (target !== undefined) throw new UsageError("'weir debug off' ends all of it; there is nothing more to say");
    const { removed } = await removeOverrides(args, { action: 'debug' });
    terminal.out(removed.length > 0 ? 'Nothing is logged in detail any more.\n' : 'Nothing was logged in detail.\n');
    return 0;
  }
  const kind = kinds.find((one) => one === what);
  if (!kind) throw new UsageError(`'${what}' is nothing to debug; write route, consumer, trace or off`);
  if (target === undefined)
    throw new UsageError(
      `'weir debug ${kind}' needs ${kind === 'route' ? 'the name of a route' : `the id of a ${kind}`}`,
    );
  const { set } = await setOverride(args, { kind, target, action: 'debug' });
  if (set)
    terminal.out(
      `Requests of ${kind} '${set.target}' are logged in detail ${untilText(set)}: lines of level debug, on the gateway's stdout.\n`,
    );
  return 0;
}

async function list(args: Arguments, terminal: Terminal): Promise<number> {
  const all = accepted(await new AdminClient(args).call('GET', '/admin/overrides')) as readonly Override[];
  const debugged = all.filter(({ action }) => action === 'debug');
  if (debugged.length === 0) terminal.out('Nothing is logged in detail.\n');
  for (const override of debugged) terminal.out(`${overrideText(override, Date.now())}\n`);
  return 0;
}
