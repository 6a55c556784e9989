import type { RequestContext } from '#core/context.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import type { Partition } from './memory-store.ts';
import type { CacheRules } from './settings.ts';

/**
 * Everybody who asks under the same host and scheme: upstreams are told them, so an answer may depend on them. Whoever makes
 * up a host finds nothing and spoils nothing. So does whoever is meant for endpoints with other labels, such as a canary's, or comes by
 * a route that asks in other words.
 */
export function everybody({ context, labels, headers, keyed }: UpstreamCall): Partition {
  let asked = askedAt(context);
  if (labels !== undefined) asked += ` ${JSON.stringify(labels)}`;
  if (keyed.length > 0) asked += ` ${JSON.stringify(keyed.map((name) => [name, headers[name]]))}`;
  return asked;
}

/** Most ask for one host, and a text that was a key before is found without being read. */
let lastHost = '';
let lastAsked = 'http ';

/** The host and scheme that the client asked, as upstreams are told them, and as the gateway was. */
export function askedAt({ host, forwarded }: RequestContext): string {
  if (forwarded.host !== host) return `${forwarded.proto} ${forwarded.host} ${host}`;
  if (forwarded.proto === 'https') return host;
  if (host !== lastHost) {
    lastHost = host;
    lastAsked = `http ${host}`;
  }
  return lastAsked;
}

/** What a call says of who asks in fields of its own. */
function toldBy({ headers, shows }: UpstreamCall): string {
  let told = '';
  // A line break cannot stand in a header value, so no two of these make one.
  for (const name of shows) if (headers[name] !== undefined) told += `\n\n${name} ${String(headers[name])}`;
  return told;
}

/** Exactly what the upstream is shown of who asks; empty where that is nothing, or the same for all. */
function shownIdentity({ settings }: Upstream, call: UpstreamCall): string {
  const { headers } = call;
  let shown = call.identityKey + toldBy(call);
  if (headers.cookie !== undefined) shown += `\n\ncookie ${String(headers.cookie)}`;
  if (headers.authorization !== undefined && typeof settings.identity === 'string' && settings.identity !== 'token')
    shown += `\n\nauthorization ${String(headers.authorization)}`;
  return shown;
}

/** Fields by which an upstream is shown who asks. */
const inputs = [
  'x-weir-consumer',
  'x-weir-tier',
  'x-weir-roles',
  'x-weir-scopes',
  'x-weir-subject',
  'authorization',
  'cookie',
] as const;

/** One list for all entries with the same, by which of the inputs are in it. */
const lists: (readonly string[] | undefined)[] = [];

/**
 * Names of the fields by which the upstream was shown who asks. What an upstream is shown of all alike (`identity: static`)
 * is none of them.
 */
export function shownInputs({ settings: { identity } }: Upstream, { headers, shows }: UpstreamCall): readonly string[] {
  const varies = (name: string): boolean =>
    headers[name] !== undefined && (typeof identity === 'string' || name === 'cookie');
  let which = 0;
  for (const [index, name] of inputs.entries()) if (varies(name)) which |= 1 << index;
  const list = (lists[which] ??= inputs.filter(varies));
  return shows.length === 0 ? list : [...list, ...shows.filter((name) => headers[name] !== undefined)];
}

/** The upstream is shown who asks, and that somebody is nobody is shown by showing nothing. */
export function isIdentified(upstream: Upstream, call: UpstreamCall): boolean {
  const { identity, cookies } = upstream.settings;
  if (identity === 'headers' || identity === 'token' || cookies.length > 0 || call.shows.length > 0) return true;
  return shownIdentity(upstream, call) !== '';
}

/** Whether what is for everybody by the upstream's own word is looked at: a narrower scope has its own alone. */
export function takesCommon({ scope }: CacheRules): boolean {
  return scope === undefined || scope === 'shared';
}

/**
 * Those who may be given an answer that the upstream does not say is for everybody. Where the configuration says so they are
 * all for whom it does: by a route, or after a reload, that does not, nobody is given it.
 */
export function ownPartition(upstream: Upstream, call: UpstreamCall, rules: CacheRules): Partition {
  const all = everybody(call);
  // An operator knows what a route's own fields say. What a module's do, SDL that says PUBLIC may not.
  if (rules.scope === 'shared') return all + ofAll + (call.purpose ? toldBy(call) : '');
  if (rules.scope === 'consumer') return `${all}${ofConsumer}${call.context.identity.consumer}`;
  return `${all}${ofIdentity}${shownIdentity(upstream, call)}`;
}

/** None can stand in a host, nor the one at the beginning of the other. */
const ofAll = '\nshared';
const ofConsumer = '\nconsumer ';
const ofIdentity = '\n\n';

/** Whom an answer may be given to: all, all of one consumer, or those who show the upstream the same. */
export type Audience = 'everybody' | 'consumer' | 'identity';

export function audienceOf(partition: Partition): Audience {
  const end = partition.indexOf('\n');
  if (end < 0 || partition.startsWith(ofAll, end)) return 'everybody';
  return partition.startsWith(ofConsumer, end) ? 'consumer' : 'identity';
}
