import { hash } from 'node:crypto';
import type { RequestContext } from '#core/context.ts';
import type { LimitSettings } from './settings.ts';

export type PaidBy = NonNullable<LimitSettings['by']> | 'everybody';

/** Whose counter it is. A letter tells the kinds apart, so that nobody has another's counter by choosing a name. */
export type PayerOf = (context: RequestContext) => string;

export const payers: Readonly<Record<PaidBy, PayerOf>> = {
  ip: ({ clientIp }) => `i${networkOf(clientIp)}`,
  consumer,
  subject: (context) => {
    const { subject, consumer: name } = context.identity;
    return subject === undefined ? consumer(context) : short(`s${name.length}:${name}${subject}`);
  },
  key: (context) => {
    const { key } = context.identity;
    return key === undefined ? consumer(context) : `k${key}`;
  },
  tenant: ({ host }) => short(`t${hostName(host)}`),
  route: ({ route }) => `r${route?.name ?? ''}`,
  operation: ({ operation, route }) =>
    operation ? short(`o${operation.name ?? operation.hash}`) : `r${route?.name ?? ''}`,
  everybody: () => 'a',
};

/** Who is anonymous is known by his address alone. */
function consumer({ identity, clientIp }: RequestContext): string {
  return identity.credential === undefined ? `i${networkOf(clientIp)}` : short(`c${identity.consumer}`);
}

const maxLength = 128;

/** Names that clients choose may be of any length; what is kept of them is not. */
function short(name: string): string {
  // In capitals, so that nobody has the counter of another whose hash he is called by.
  return name.length <= maxLength ? name : `${name.charAt(0).toUpperCase()}${hash('sha256', name)}`;
}

/** Without a port, and without the dot that ends a full name (RFC 1034 §3.1): it is the same host with both. */
function hostName(host: string): string {
  const colon = host.lastIndexOf(':');
  const name = colon > host.lastIndexOf(']') ? host.slice(0, colon) : host;
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/**
 * An IPv4 address, however it is written, or the /64 of an IPv6 one: what one client is given, all of which it may use
 * (RFC 6177 §2).
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const zone = address.indexOf('%');
  const [head = '', tail] = (zone < 0 ? address : address.slice(0, zone)).split('::');
  const groups = groupsOf(head);
  if (tail !== undefined) {
    const back = groupsOf(tail);
    const zeros = 8 - groups.length - back.length;
    groups.push(...Array.from({ length: Math.max(0, zeros) }, () => 0), ...back);
  }
  // RFC 4291 §2.5.5.2: an IPv4 client, as a socket for both kinds sees it.
  if (groups.length === 8 && groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0))
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.');
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** An address of IPv4 at the end stands for two groups (RFC 4291 §2.2). */
function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
