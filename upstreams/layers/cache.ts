import { Reader } from '#upstreams/cache/reader.ts';
import { rulesOf } from '#upstreams/cache/settings.ts';
import { Write } from '#upstreams/cache/write.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import type { Layer } from '#upstreams/layer.ts';

/**
 * A shared cache (RFC 9111) that every reader of an upstream goes through: what a resolver has fetched is a hit for a proxied
 * path. The configuration says what of upstreams that say nothing may be stored. A write makes what it changes invalid even
 * where nothing is stored by the route that it came by.
 */
export const cache: Layer = {
  name: 'cache',
  over: (upstream, next) => {
    const { cache: store } = upstream.surroundings;
    if (!store) return next;
    const reader = new Reader(upstream, store.shelf(upstream.name), next);
    const unsaid = rulesOf(upstream.settings.cache);
    return (call, sink) => {
      if (call.own || call.pinned || call.stream?.kind === 'upgrade') return next(call, sink);
      const rules = call.cache ?? unsaid;
      if (reads.has(call.method)) {
        if (rules === false || !isStorable(call)) return next(call, sink);
        return reader.read(call, rules, sink);
      }
      if (harmless.has(call.method)) return next(call, sink);
      return next(call, new Write(store, upstream, call, (rules && rules.tags) || [], sink));
    };
  },
};

const reads: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** RFC 9110 §9.2.1: safe methods whose answers are not stored. Of any other, also one that nobody knows, the worst is assumed. */
const harmless: ReadonlySet<string> = new Set(['OPTIONS', 'TRACE']);

/** What has content of its own, or asks for a stream without an end, is nobody else's. */
function isStorable({ body, stream, headers }: UpstreamCall): boolean {
  if (body || stream) return false;
  const { accept } = headers;
  return typeof accept !== 'string' || !accept.includes('text/event-stream');
}
