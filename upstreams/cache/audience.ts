import type { RequestContext } from '#core/context.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Partition } from './memory-store.ts';
import type { CacheRules } from './settings.ts';

/**
 * Everybody who asks under the same host and scheme: upstreams are told them, so an answer may depend on them. Whoever makes
 * up a host finds nothing and spoils nothing. So does whoever is meant for endpoints with other labels, such as a canary's.
 */
export function everybody({ context, labels }: UpstreamCall): Partition {
  const asked = askedAt(context);
  return labels === undefined ? asked : `${asked} ${JSON.stringify(labels)}`;
}

/** Most ask for one host, and a text that was a key before is found without being read. */
let lastHost = '';
let lastAsked = 'http ';

/** The host and scheme that the client asked. */
export function askedAt({ host, forwarded }: RequestContext): string {
  if (forwarded.proto === 'https') return host;
  if (host !== lastHost) {
    lastHost = host;
    lastAsked = `http ${host}`;
  }
  return lastAsked;
}

/** Exactly what the upstream is shown of who asks; empty where that is nothing, or the same for all. */
function shownIdentity({ settings }: Upstream, { identityKey, headers }: UpstreamCall): string {
  let shown = identityKey;
  // A line break cannot stand in a header value, so no two of these make one.
  if (headers.cookie !== undefined) shown += `\n\ncookie ${String(headers.cookie)}`;
  if (headers.authorization !== undefined && typeof settings.identity === 'string' && settings.identity !== 'token')
    shown += `\n\nauthorization ${String(headers.authorization)}`;
  return shown;
}

/** The upstream is shown who asks, and that somebody is nobody is shown by showing nothing. */
export function isIdentified(upstream: Upstream, call: UpstreamCall): boolean {
  const { identity, cookies } = upstream.settings;
  return identity === 'headers' || identity === 'token' || cookies.length > 0 || shownIdentity(upstream, call) !== '';
}

/** Those who may be given an answer that is not for everybody. */
export function ownPartition(upstream: Upstream, call: UpstreamCall, rules: CacheRules): Partition {
  const all = everybody(call);
  if (rules.scope === 'consumer') return `${all}\nconsumer ${call.context.identity.consumer}`;
  return `${all}\n\n${shownIdentity(upstream, call)}`;
}
