import type { UpstreamStatus } from '#gateway/control/upstream-status.ts';
import { AdminClient } from './admin-client.ts';
import { refuseOptions, UsageError, type Arguments } from './arguments.ts';
import { accepted, removeOverrides, setOverride, untilText } from './operator.ts';
import { upstreamText } from './status-text.ts';
import type { Terminal } from './terminal.ts';

/** Shows one upstream, or holds its breaker open or closed for a while. */
export async function upstream(args: Arguments, terminal: Terminal): Promise<number> {
  const [name, action] = args.operands;
  if (name === undefined) throw new UsageError("'weir upstream' needs the name of an upstream");
  switch (action) {
    case undefined:
      refuseOptions(args, 'upstream NAME', 'for', 'by', 'reason');
      return show(name, args, terminal);
    case 'open':
    case 'close': {
      refuseOptions(args, `upstream NAME ${action}`, 'json');
      const { set } = await setOverride(args, { kind: 'upstream', target: name, action });
      const state = action === 'open' ? 'open: calls are refused' : 'closed: calls flow, whatever becomes of them';
      terminal.out(`The breaker of '${name}' is held ${state}, ${set ? untilText(set) : ''}.\n`);
      return 0;
    }
    case 'auto': {
      refuseOptions(args, 'upstream NAME auto', 'for', 'json');
      const { removed } = await removeOverrides(args, { kind: 'upstream', target: name });
      terminal.out(`The breaker of '${name}' ${removed.length > 0 ? 'goes by its calls again' : 'was not held'}.\n`);
      return 0;
    }
    default:
      throw new UsageError(`'${action}' is nothing to do with an upstream; write open, close or auto`);
  }
}

async function show(name: string, args: Arguments, terminal: Terminal): Promise<number> {
  const path = `/admin/upstreams/${encodeURIComponent(name)}`;
  const status = accepted(await new AdminClient(args).call('GET', path)) as UpstreamStatus;
  terminal.out(args.json ? `${JSON.stringify(status, null, 2)}\n` : upstreamText(status, Date.now()));
  return status.problems.length > 0 ? 1 : 0;
}
