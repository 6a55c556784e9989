import type { UpstreamCall } from '#upstreams/call.ts';
import { hashOf } from './hash.ts';
import type { HashKeySettings } from './settings.ts';

/** What calls have in common that are to go together, as a hash; -1 for a call that has no such thing. */
export type HashKey = (call: Pick<UpstreamCall, 'context'>) => number;

/**
 * The key of the client's request: a call that a GraphQL field makes has the same one as a REST call of that client. A call
 * without one belongs to nobody in particular. So does an anonymous consumer's, or all of them would be one.
 */
export function hashKey(settings: HashKeySettings): HashKey {
  switch (settings.from) {
    case 'header': {
      const { name } = settings;
      return ({ context }) => {
        const value = context.headers[name];
        return value === undefined ? -1 : hashOf(typeof value === 'string' ? value : (value[0] ?? ''));
      };
    }
    case 'cookie': {
      const { name } = settings;
      return ({ context }) => {
        const { cookie } = context.headers;
        return typeof cookie === 'string' ? hashOfCookie(cookie, name) : -1;
      };
    }
    case 'consumer':
      return ({ context: { identity } }) => (identity.consumer === 'anonymous' ? -1 : hashOf(identity.consumer));
    default:
      return ({ context: { clientIp } }) => (clientIp === '' ? -1 : hashOf(clientIp));
  }
}

/** RFC 6265 §4.2.1: `name=value` pairs between `; `. Node has joined repeated fields. */
function hashOfCookie(cookies: string, name: string): number {
  for (let start = 0; start < cookies.length;) {
    const semicolon = cookies.indexOf(';', start);
    const end = semicolon < 0 ? cookies.length : semicolon;
    while (cookies.charCodeAt(start) === 0x20) start++;
    const value = start + name.length + 1;
    if (value <= end && cookies.startsWith(name, start) && cookies[value - 1] === '=')
      return hashOf(cookies, value, end);
    start = end + 1;
  }
  return -1;
}
