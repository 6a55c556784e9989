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
    // Without an answer nobody can say whether the upstream has done it.
    if (!wasNeverSent(error) && error.code !== 'UPSTREAM_UNAVAILABLE' && error.code !== 'UPSTREAM_OVERLOADED')
      this.#invalidate({});
    this.sink.onError(error);
  }

  #invalidate(headers: Headers): void {
    const path = pathOf(this.#call.path);
    const paths = [path];
    const slash = path.lastIndexOf('/', path.length - 2);
    if (slash > 0) paths.push(path.slice(0, slash));
    for (const name of ['location', 'content-location']) {
      const target = this.#sameOrigin(firstValue(headers[name]));
      if (target !== undefined) paths.push(target);
    }
    const tags = [...this.#tags, ...groupsOf(headers['cache-group-invalidation'])];
    this.#store.invalidate({ upstream: this.#upstream.name, paths, tags });
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
    return known ? url.pathname : undefined;
  }
}
