import type { Entry } from '#upstreams/cache/entry.ts';

/** A stale answer that can be validated is worth keeping for a while. */
const validatedMs = 5 * 60_000;
/** However long it is fresh: who asks seldom can ask the upstream. */
const longestMs = 7 * 86_400_000;

/** How long an answer is of any use from now on, when it has just come; not positive where it is of none. Milliseconds. */
export function keptMs({ terms, headers }: Pick<Entry, 'terms' | 'headers'>, nowMs: number): number {
  const { bornMs, lifetimeMs, staleWhileRevalidateMs, staleIfErrorMs } = terms;
  const freshMs = bornMs + lifetimeMs - nowMs;
  const validator = headers.etag !== undefined || headers['last-modified'] !== undefined;
  const goodMs = freshMs + Math.max(staleWhileRevalidateMs, staleIfErrorMs);
  return Math.min(Math.max(goodMs, validator ? Math.max(0, freshMs) + validatedMs : 0), longestMs);
}
