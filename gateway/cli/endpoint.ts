import { refuseOptions, UsageError, type Arguments } from './arguments.ts';
import { removeOverrides, setOverride, untilText } from './operator.ts';
import type { Terminal } from './terminal.ts';

/** Takes an endpoint out of the choice for a while, or gives it back. */
export async function endpoint(args: Arguments, terminal: Terminal): Promise<number> {
  const [url, action] = args.operands;
  if (url === undefined) throw new UsageError("'weir endpoint' needs the URL of an endpoint");
  if (action === 'drain') {
    const { set } = await setOverride(args, { kind: 'endpoint', target: url, action });
    if (set)
      terminal.out(`${set.target} is drained ${untilText(set)}: it finishes the calls it has, and gets no others.\n`);
    return 0;
  }
  if (action === 'undrain') {
    refuseOptions(args, 'endpoint URL undrain', 'for');
    const { removed } = await removeOverrides(args, { kind: 'endpoint', target: url });
    terminal.out(removed.length > 0 ? `${url} gets calls again.\n` : `${url} was not drained.\n`);
    return 0;
  }
  throw new UsageError(
    action === undefined
      ? "'weir endpoint' needs to know what to do: drain or undrain"
      : `'${action}' is nothing to do with an endpoint; write drain or undrain`,
  );
}
