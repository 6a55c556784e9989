import type { WeirError } from '#core/errors.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import { Relay, type ResponseSink, type UpstreamCall } from '#upstreams/call.ts';
import { wasNeverSent } from '#upstreams/exchange/failure.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { pathOf, type MemoryStore } from './memory-store.ts';
import { groupsOf } from './tags.ts';

/**
 * Watches a call that may change something, and makes what it may have changed invalid (RFC 9111 §4.4): its own URI, those
 * that `Location` and `Content-Location` name, the collection that its path is a member of, the tags that the
 * configuration gives it, and the groups that the answer names (RFC 9875 §3). Any query counts as the same place: `PATCH /orders/7` is seen by `GET /orders?userId=3`.
 */
export class Write extends Relay {
  readonly #store: MemoryStore;
  readonly #upstream: Upstream;
  readonly #call: UpstreamCall;
  readonly #tags: readonly string[];

  constructor(store: MemoryStore, upstream: Upstream, call: UpstreamCall, tags: readonly string[], sink: ResponseSink) {
    super(sink);
    this.#store = store;
    this.#upstream = upstream;
    this.#call = call;
    this.#tags = tags;
  }

  override onHead(status: number, headers: Headers): void {
    // §4.4: an error says that nothing has changed.
    if (status >= 200 && status < 400) this.#invalidate(headers);
    this.sink.onHead(status, headers);
  }

  override onError(error: WeirError): void {
    if (this.#mayHaveCome(error)) this.#invalidate({});
    this.sink.onError(error);
  }

  /** Without an answer nobody can say whether the upstream has done it. */
  #mayHaveCome(error: WeirError): boolean {
    // An attempt was on the wire, whatever became of the last: the meter has taken its tally back otherwise.
    if (this.#call.tally) return true;
    return !wasNeverSent(error) && error.code !== 'UPSTREAM_UNAVAILABLE' && error.code !== 'UPSTREAM_OVERLOADED';
  }

  #invalidate(headers: Headers): void {
    const path = pathOf(this.#call.path);
    const paths = [path];
    const slash = path.lastIndexOf('/', path.length - 2);
    if (slash > 0) paths.push(path.slice(0, slash));
    for (const name of ['location', 'content-location']) {
      const target = this.#sameOrigin(firstValue(headers[name]));
      if (target !== undefined) paths.push(target, ...this.#asUpstreamHas(target, path));
    }
    // RFC 9875 §3: groups are of one origin. The tags of the configuration are of all.
    const tags = groupsOf(headers['cache-group-invalidation']);
    this.#store.invalidate({ upstream: this.#upstream.name, paths, tags });
    if (this.#tags.length > 0) this.#store.invalidate({ tags: this.#tags });
  }

  /**
   * The same path where the service has named it as clients do: how the two differ in what comes first, the call's own path
   * tells. `/api/orders/7` is `/orders/7` where `/api/orders` is passed on as `/orders`.
   */
  #asUpstreamHas(path: string, called: string): readonly string[] {
    const seen = pathOf(this.#call.context.path);
    let same = 0;
    while (same < Math.min(seen.length, called.length) && seen.at(-1 - same) === called.at(-1 - same)) same++;
    // A whole number of segments.
    const tail = seen.slice(seen.length - same);
    const slash = tail.indexOf('/');
    const kept = slash < 0 ? 0 : same - slash;
    const before = seen.slice(0, seen.length - kept);
    const instead = called.slice(0, called.length - kept);
    if (before === instead || !path.startsWith(`${before}/`)) return [];
    return [instead.replace(/\/$/, '') + path.slice(before.length)];
  }

  /** The path that a reference leads to, where that is at the same origin: of the upstream, or as clients see it. */
  #sameOrigin(reference: string | undefined): string | undefined {
    if (reference === undefined) return undefined;
    const base = 'http://upstream.invalid';
    const url = URL.parse(reference, base + this.#call.path);
    if (!url) return undefined;
    const { host } = this.#call.context;
    const known =
      url.origin === base || url.host === host || this.#upstream.endpoints.some(({ origin }) => origin === url.origin);
    return known ? pathOf(url.pathname) : undefined;
  }
}
