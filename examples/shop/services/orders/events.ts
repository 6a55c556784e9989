/** The feed as server-sent events. */
import { Readable } from 'node:stream';
import type { Request } from '../kit/router.ts';
import type { Reply } from '../kit/respond.ts';
import type { Feed, OrderEvent } from './feed.ts';

/** Often enough for proxies that drop what is silent for half a minute. */
const HEARTBEAT_MS = 15_000;

/**
 * A listener that is this far behind is not reading. It is cut off, and may come back with its Last-Event-ID. More
 * than the longest replay, or it would be cut off again at once.
 */
const MAX_BEHIND_BYTES = 8 * 1024 * 1024;

export function orderEvents(feed: Feed, { query, raw }: Request): Reply {
  const customerId = query.get('user_id');
  const lastSeen = raw.headers['last-event-id'];
  return {
    status: 200,
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
    body: () => {
      const stream = new Readable({ read: () => {} });
      stream.push('retry: 1000\n\n');
      // An id that is not ours is like none at all: an EventSource would never try again after an error.
      if (typeof lastSeen === 'string' && /^\d{1,15}$/.test(lastSeen)) {
        for (const event of feed.since(Number(lastSeen), customerId)) stream.push(frame(event));
      }
      const unsubscribe = feed.subscribe(customerId, (event) => {
        stream.push(frame(event));
        if (stream.readableLength > MAX_BEHIND_BYTES) stream.destroy(new Error('The listener does not keep up.'));
      });
      const heartbeat = setInterval(() => stream.push(': heartbeat\n\n'), HEARTBEAT_MS);
      stream.once('close', () => {
        clearInterval(heartbeat);
        unsubscribe();
      });
      return stream;
    },
  };
}

function frame({ id, data }: OrderEvent): string {
  return `event: order\nid: ${id}\ndata: ${data}\n\n`;
}
