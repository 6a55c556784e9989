import { AdminClient } from './admin-client.ts';
import { UsageError, type Arguments } from './arguments.ts';
import { accepted, operatorOf } from './operator.ts';
import type { Terminal } from './terminal.ts';

/** Takes stored answers out of the cache: by tag, by URL, or all of an upstream. */
export async function cache(args: Arguments, terminal: Terminal): Promise<number> {
  const [action] = args.operands;
  if (action !== 'purge') throw new UsageError("'weir cache' needs to be told what to do: purge");
  const { tag, url, upstream } = args;
  if (tag === undefined && url === undefined && upstream === undefined)
    throw new UsageError("'weir cache purge' needs --tag, --url or --upstream");
  const what = {
    ...(tag !== undefined && { tag }),
    ...(url !== undefined && { url }),
    ...(upstream !== undefined && { upstream }),
  };
  const body = { ...what, ...operatorOf(args) };
  const { purged } = accepted(await new AdminClient(args).call('POST', '/admin/cache/purge', body)) as {
    readonly purged: number;
  };
  terminal.out(`${purged === 1 ? 'One answer is' : `${purged} answers are`} no longer stored.\n`);
  return 0;
}
