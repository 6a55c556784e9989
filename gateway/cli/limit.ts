import { refuseOptions, UsageError, type Arguments } from './arguments.ts';
import { removeOverrides, setOverride, untilText } from './operator.ts';
import type { Terminal } from './terminal.ts';

/** Makes a limit larger or smaller for a while, or what is written again. */
export async function limit(args: Arguments, terminal: Terminal): Promise<number> {
  const [target, off] = args.operands;
  if (target === undefined) throw new UsageError("'weir limit' needs the name of a limit");
  if (off === undefined) {
    const { set } = await setOverride(args, { kind: 'limit', target, action: 'scale', scale: scaleOf(args) });
    if (set) terminal.out(`The limit '${target}' is ${set.scale} times what is written, ${untilText(set)}.\n`);
    return 0;
  }
  if (off !== 'off') throw new UsageError(`'${off}' is nothing to do with a limit; write off, or --scale`);
  refuseOptions(args, 'limit NAME off', 'scale', 'for');
  const { removed } = await removeOverrides(args, { kind: 'limit', target });
  terminal.out(`The limit '${target}' ${removed.length > 0 ? 'is what is written again' : 'was not changed'}.\n`);
  return 0;
}

function scaleOf({ scale }: Arguments): number {
  const factor = Number(scale ?? Number.NaN);
  if (factor >= 0.001 && factor <= 1_000) return factor;
  throw new UsageError("'weir limit' needs --scale, a number from 0.001 to 1000 such as 0.2");
}
