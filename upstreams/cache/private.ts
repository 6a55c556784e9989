import type { Headers } from '#core/headers.ts';
import type { UpstreamCall } from '#upstreams/call.ts';
import { ruling } from './directives.ts';
import type { CacheRules } from './settings.ts';
import { mayBeShared } from './storing.ts';

/** Directives that let other caches give an answer to others (RFC 9111 §5.2.2). */
const forOthers = /(?:^|,)\s*(?:public|proxy-revalidate|s-maxage\s*=\s*"?\d*"?)\s*(?=,|$)/gi;

/**
 * The fields of an answer that is for nobody else, so that no cache between here and the client takes it for one that is for
 * all: a CDN does not know which fields of a request are credentials here. What is in the way of that goes: `public`,
 * `s-maxage`, and what is said to CDNs alone (RFC 9213).
 */
export function forOneOnly(headers: Headers): Headers {
  const { 'cdn-cache-control': _cdn, 'surrogate-control': _surrogate, ...kept } = headers;
  const said = headers['cache-control'];
  const text =
    said === undefined
      ? ''
      : String(said)
          .replaceAll(forOthers, '')
          .replace(/^[\s,]+/, '');
  kept['cache-control'] = text === '' ? 'private' : `private, ${text}`;
  return kept;
}

/** The upstream is shown something that the client has shown, so that what it says may be for that client alone. */
export function isPersonal({ context, headers }: UpstreamCall, identified: boolean): boolean {
  if (!identified) return false;
  return (
    context.identity.credential !== undefined || headers.cookie !== undefined || headers.authorization !== undefined
  );
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
