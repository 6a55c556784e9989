import type { Headers } from '#core/headers.ts';
import type { ResponseSink } from '#upstreams/call.ts';
import { byteRange, isUnchanged, rangeHolds, type Ask } from './ask.ts';
import type { Entry } from './entry.ts';

/**
 * Answers a request from an entry: whole, its head alone, a range of it, or a 304, as was asked (RFC 9111 §4.3.2, §4.4).
 * @param headers the entry's fields, with `Age` and `Cache-Status`
 * @returns bytes of content
 */
export function deliver(
  entry: Entry,
  headers: Headers,
  method: string,
  ask: Ask | undefined,
  nowMs: number,
  sink: ResponseSink,
): number {
  const { status, body } = entry;
  if (ask && status === 200) {
    if (isUnchanged(entry, ask, nowMs)) {
      sink.onHead(304, unchanged(headers));
      sink.onEnd(undefined);
      return 0;
    }
    if (ask.range !== undefined && method === 'GET' && rangeHolds(entry, ask.ifRange)) {
      const range = byteRange(ask.range, body.length);
      if (range === 'unsatisfiable') return refuseRange(headers, body.length, sink);
      if (range) {
        const { first, last } = range;
        const content = body.subarray(first, last + 1);
        sink.onHead(206, {
          ...headers,
          'content-length': String(content.length),
          'content-range': `bytes ${first}-${last}/${body.length}`,
        });
        sink.onData(content);
        sink.onEnd(undefined);
        return content.length;
      }
    }
  }
  sink.onHead(status, headers);
  const bytes = method === 'HEAD' ? 0 : body.length;
  if (bytes > 0) sink.onData(body);
  sink.onEnd(undefined);
  return bytes;
}

/** RFC 9110 §15.4.5: what describes the content stays out, since there is none. */
export function unchanged(headers: Headers): Headers {
  const head: Headers = {};
  for (const name in headers) {
    if (!name.startsWith('content-') || name === 'content-location' || name.startsWith('content-security-policy'))
      head[name] = headers[name];
  }
  return head;
}

/** RFC 9110 §15.5.17. */
function refuseRange({ date, 'cache-status': status }: Headers, length: number, sink: ResponseSink): number {
  sink.onHead(416, { date, 'cache-status': status, 'content-range': `bytes */${length}`, 'content-length': '0' });
  sink.onEnd(undefined);
  return 0;
}
