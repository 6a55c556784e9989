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
    return subject === undefined ? consumer(context) : short(`s${name}\n${subject}`);
  },
  key: (context) => {
    const { key } = context.identity;
    return key === undefined ? consumer(context) : `k${key}`;
  },
  tenant: ({ host }) => short(`t${withoutPort(host)}`),
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
  return name.length <= maxLength ? name : `${name.charAt(0)}${hash('sha256', name)}`;
}

function withoutPort(host: string): string {
  const colon = host.lastIndexOf(':');
  return colon > host.lastIndexOf(']') ? host.slice(0, colon) : host;
}

/** An IPv4 address, or the /64 of an IPv6 one: what one client is given, all of which it may use (RFC 6177 §2). */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const zone = address.indexOf('%');
  const [head = '', tail] = (zone < 0 ? address : address.slice(0, zone)).split('::');
  const front = groupsOf(head);
  if (tail !== undefined) {
    const back = groupsOf(tail);
    const zeros = 8 - front.length - back.length;
    front.push(...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...back);
  }
  const groups = front.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${groups.join(':')}::/64`;
}

/** An address of IPv4 at the end stands for two groups (RFC 4291 §2.2). */
function groupsOf(text: string): string[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]));
}
