import { randomUUID } from 'node:crypto';
import type { SharedStore } from '#core/shared-store.ts';
import { Announcer, type Invalidation } from './invalidation.ts';
import type { MemoryStore } from './memory-store.ts';

const channel = 'cache';

/**
 * Tells the other instances what was written through this one, and takes in what was through them. Messages may be missed while
 * the connection is lost; once it is back, everything that was stored before counts as written.
 * @returns ends it
 */
export function shareInvalidations(cache: MemoryStore, store: SharedStore): () => void {
  const self = randomUUID();
  let ended = false;
  const announcer = new Announcer(
    (news) => store.call('PUBLISH', store.prefix + channel, JSON.stringify({ from: self, news })),
    () => ended,
  );
  const quiet = cache.onWritten((news) => announcer.announce([news]));
  const deaf = store.listen(channel, {
    message(text) {
      const message = parsed(text);
      // What nobody can read may have been about anything.
      if (!message) cache.apply({ all: true });
      else if (message.from !== self) for (const news of message.news) cache.apply(news);
    },
    lost() {},
    resumed: () => void cache.apply({ all: true }),
  });
  return () => {
    ended = true;
    quiet();
    deaf();
  };
}

function parsed(text: string): { readonly from: string; readonly news: readonly Invalidation[] } | undefined {
  try {
    const message = JSON.parse(text) as { readonly from: string; readonly news: readonly Invalidation[] };
    return Array.isArray(message.news) ? message : undefined;
  } catch {
    return undefined;
  }
}
