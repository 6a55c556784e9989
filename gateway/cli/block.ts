import { isIP } from 'node:net';
import { refuseOptions, UsageError, type Arguments } from './arguments.ts';
import { removeOverrides, setOverride, untilText } from './operator.ts';
import type { Terminal } from './terminal.ts';

/** Keeps a consumer or an address out for a while, or lets it in again. */
export async function block(args: Arguments, terminal: Terminal): Promise<number> {
  const [target, off] = args.operands;
  if (target === undefined) throw new UsageError("'weir block' needs a consumer, an address or a CIDR block");
  const kind = isIP(target.split('/')[0]!) === 0 ? 'consumer' : 'ip';
  if (off === undefined) {
    const { set } = await setOverride(args, { kind, target, action: 'block' });
    if (set) terminal.out(`${target} is kept out ${untilText(set)}: all that it asks for is answered with 403.\n`);
    return 0;
  }
  if (off !== 'off') throw new UsageError(`'${off}' is nothing to do with a block; write off, or nothing`);
  refuseOptions(args, 'block TARGET off', 'for');
  const { removed } = await removeOverrides(args, { kind, target, action: 'block' });
  terminal.out(removed.length > 0 ? `${target} is let in again.\n` : `${target} was not kept out.\n`);
  return 0;
}
