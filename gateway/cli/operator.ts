import { userInfo } from 'node:os';
import { formatDuration, parseDuration } from '#core/duration.ts';
import { defaultOverrideMs, maxOverrideMs, minOverrideMs, type Override } from '#gateway/control/override.ts';
import { ProblemsError } from '#gateway/problems.ts';
import { AdminClient, type AdminAnswer } from './admin-client.ts';
import { UsageError, type Arguments } from './arguments.ts';

/** What `/admin/overrides` says to a change. */
export interface Changed {
  readonly set?: Override;
  readonly removed: readonly Override[];
  /** What there is to know of how it went. */
  readonly note?: string;
}

/** Who asks: `--by`, or whoever is logged in. */
export function operatorOf({ by, reason }: Arguments): { readonly by: string; readonly reason?: string } {
  return { by: by ?? accountName(), ...(reason !== undefined && { reason }) };
}

/** In a container the user may have a number and no name. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

/** @throws {UsageError} for a `--for` that is none; {@link ProblemsError} with what the gateway has against it */
export async function setOverride(
  args: Arguments,
  wanted: Pick<Override, 'kind' | 'target' | 'action' | 'scale'>,
): Promise<Changed> {
  const body = { ...wanted, for: durationOf(args), ...operatorOf(args) };
  return accepted(await new AdminClient(args).call('POST', '/admin/overrides', body)) as Changed;
}

/** @throws {ProblemsError} with what the gateway has against it */
export async function removeOverrides(
  args: Arguments,
  which: Partial<Record<'kind' | 'target' | 'action', string>>,
): Promise<Changed> {
  const query = new URLSearchParams({ ...which, ...operatorOf(args) });
  return accepted(await new AdminClient(args).call('DELETE', `/admin/overrides?${query.toString()}`)) as Changed;
}

function durationOf({ for: text }: Arguments): string {
  if (text === undefined) return formatDuration(defaultOverrideMs);
  try {
    const ms = parseDuration(text);
    if (ms >= minOverrideMs && ms <= maxOverrideMs) return text;
  } catch {
    // Said below.
  }
  throw new UsageError(
    `--for ${text}: write a duration from ${formatDuration(minOverrideMs)} to 24h, such as ${formatDuration(defaultOverrideMs)}`,
  );
}

/** The answer to a call that went well. @throws {ProblemsError} with the gateway's own words for one that did not */
export function accepted({ status, answer }: AdminAnswer): unknown {
  if (status < 400) return answer;
  const { title, detail } = answer as { readonly title?: string; readonly detail?: string };
  throw new ProblemsError([detail ?? title ?? `The gateway answered with status ${status}.`]);
}

/** For a person: until when something is in force. */
export function untilText({ until }: Override): string {
  return `until ${until.slice(0, 19).replace('T', ' ')} UTC`;
}
