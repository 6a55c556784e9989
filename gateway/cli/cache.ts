import type { Audience } from '#upstreams/cache/audience.ts';
import type { StoredAnswers } from '#upstreams/cache/stored-answers.ts';
import { AdminClient } from './admin-client.ts';
import { span, table } from './amounts.ts';
import { refuseOptions, UsageError, type Arguments } from './arguments.ts';
import { accepted, operatorOf } from './operator.ts';
import type { Terminal } from './terminal.ts';

/** What is stored of a path; or takes stored answers out of the cache: by tag, by URL, or all of an upstream. */
export function cache(args: Arguments, terminal: Terminal): Promise<number> {
  const [action] = args.operands;
  if (action === 'show') return show(args, terminal);
  if (action === 'purge') return purge(args, terminal);
  throw new UsageError("'weir cache' needs to be told what to do: show or purge");
}

async function show(args: Arguments, terminal: Terminal): Promise<number> {
  refuseOptions(args, 'cache show', 'tag', 'by', 'reason');
  const { url, upstream } = args;
  if (url === undefined) throw new UsageError("'weir cache show' needs --url, a path such as /orders/7");
  const query = new URLSearchParams({ url, ...(upstream !== undefined && { upstream }) }).toString();
  const stored = accepted(await new AdminClient(args).call('GET', `/admin/cache?${query}`)) as StoredAnswers;
  terminal.out(args.json ? `${JSON.stringify(stored, null, 2)}\n` : textOf(url, stored));
  return 0;
}

const audiences: Readonly<Record<Audience, string>> = {
  everybody: 'everybody',
  consumer: 'one consumer',
  identity: 'who shows the same',
};

function textOf(url: string, { answers, total }: StoredAnswers): string {
  if (total === 0) return `Nothing is stored of ${url}.\n`;
  const rows = answers.map(({ upstream, url: target, status, age, ttl, bytes, tags, vary, audience, shown }) => [
    upstream,
    target,
    String(status),
    span(age * 1000),
    ttl > 0 ? span(ttl * 1000) : 'stale',
    `${bytes} B`,
    audiences[audience],
    shown.join(' ') || 'nothing',
    vary.join(' ') || '–',
    tags.join(' ') || '–',
  ]);
  const heads = ['UPSTREAM', 'URL', 'STATUS', 'AGE', 'FRESH FOR', 'BODY', 'FOR', 'SHOWN', 'VARY', 'TAGS'];
  const lines = table([heads, ...rows]).map((text) => `  ${text}`);
  const more = total > answers.length ? `\nAnd ${total - answers.length} more.\n` : '';
  return `${lines.join('\n')}\n${more}`;
}

async function purge(args: Arguments, terminal: Terminal): Promise<number> {
  refuseOptions(args, 'cache purge', 'json');
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
