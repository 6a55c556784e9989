import type { Headers } from '#core/headers.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import { ruling } from './directives.ts';
import type { CacheRules } from './settings.ts';
import { mayBeShared } from './storing.ts';

/** Directives that let other caches give an answer to others (RFC 9111 §5.2.2). */
const forOthers = /(?:^|,)\s*(?:public|proxy-revalidate|s-maxage\s*=(?:\s*["\d]+)?)\s*(?=,|$)/gi;

/** No other cache stores what says this, or that; but who understands the status may leave the latter alone (§5.2.2.3). */
const forOne = /(?:^|,)\s*private\s*(?=,|$)/i;
const forNone = /(?:^|,)\s*no-store\s*(?=,|$)/i;
const overForNone = /(?:^|,)\s*must-understand\s*(?=,|$)/i;

/**
 * The fields of an answer that is for nobody else, so that no cache between here and the client takes it for one that is for
 * all: a CDN does not know which fields of a request are credentials here. What is in the way of that goes: `public`,
 * `s-maxage`, and what is said to CDNs alone (RFC 9213).
 */
export function forOneOnly(headers: Headers): Headers {
  const kept = { ...headers };
  closeToOthers(kept);
  return kept;
}

/** The same of fields that may be changed. */
export function closeToOthers(headers: Headers): void {
  for (const name in headers) if (isForCdns(name)) Reflect.deleteProperty(headers, name);
  headers['cache-control'] = closed(headers['cache-control']);
}

/** RFC 9213: by their names those of all kinds of CDN end alike; and what was before it. nginx goes by the last over all else. */
function isForCdns(name: string): boolean {
  return (
    name.endsWith('-cache-control') ||
    name === 'surrogate-control' ||
    name === 'edge-control' ||
    name === 'x-accel-expires'
  );
}

/** The last `Cache-Control` that was closed: as a rule the answers of a service say the same. */
let lastSaid = '';
let lastClosed = 'private';

function closed(said: string | string[] | undefined): string {
  const text = said === undefined ? '' : String(said);
  if (text !== lastSaid) {
    lastClosed = withPrivate(text);
    lastSaid = text;
  }
  return lastClosed;
}

function withPrivate(text: string): string {
  if (forOne.test(text) || (forNone.test(text) && !overForNone.test(text))) return text;
  const kept = text.replaceAll(forOthers, '').replace(/^[\s,]+/, '');
  return kept === '' ? 'private' : `private, ${kept}`;
}

/** The upstream is shown something that the client has shown, so that what it says may be for that client alone. */
function isPersonal({ context, headers }: UpstreamCall, identified: boolean): boolean {
  if (!identified) return false;
  return (
    context.identity.credential !== undefined || headers.cookie !== undefined || headers.authorization !== undefined
  );
}

/** The same, of an answer that the configuration does not say is for everybody. */
export function isOfOne(call: UpstreamCall, identified: boolean, { scope }: CacheRules): boolean {
  return scope !== 'shared' && isPersonal(call, identified);
}

/** The fields with which an answer that was not in the store goes to the client. */
export function towardsClient(
  headers: Headers,
  call: UpstreamCall,
  identified: boolean,
  rules: CacheRules | false,
): Headers {
  if (call.buffered || call.own || !isPersonal(call, identified)) return headers;
  const { control } = ruling(headers);
  if (control.has('no-store') || control.whole('private') || mayBeShared(control, identified, rules)) return headers;
  return forOneOnly(headers);
}
