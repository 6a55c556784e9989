import { BlockList, isIP } from 'node:net';
import type { Forwarded } from '#core/context.ts';
import type { Headers } from '#core/headers.ts';
import { readForwarded } from './forwarded.ts';

export interface ClientAddress {
  readonly peerIp: string;
  readonly clientIp: string;
  readonly trustedPeer: boolean;
  readonly forwarded: Forwarded;
}

/**
 * Says who the client is. `X-Forwarded-*` is believed only from `listen.trustedProxies`, and of its list only the part
 * that trusted proxies appended: read from the right, the first address that is not one of them is the client. `Forwarded`
 * (RFC 7239) is read the same way, but only where none of the others came: a proxy that writes those passes it on unread,
 * as anybody may have written it.
 */
export class ClientAddresses {
  readonly #trusted: BlockList | undefined;

  constructor(trustedProxies: readonly string[]) {
    if (trustedProxies.length === 0) return;
    this.#trusted = new BlockList();
    for (const entry of trustedProxies) {
      const [address, prefix] = entry.split('/') as [string, string?];
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      this.#trusted.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family);
    }
  }

  trusts(ip: string): boolean {
    return this.#trusted !== undefined && isIP(ip) !== 0 && this.#trusted.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
  }

  resolve(socketAddress: string, headers: Headers, scheme: string, host: string): ClientAddress {
    const peerIp = plainIp(socketAddress);
    if (!this.trusts(peerIp)) {
      return { peerIp, clientIp: peerIp, trustedPeer: false, forwarded: { for: peerIp, proto: scheme, host } };
    }
    if (headers.forwarded !== undefined && !saysOtherwise(headers)) {
      return this.#byForwarded(peerIp, String(headers.forwarded), scheme, host);
    }
    const list = headers['x-forwarded-for'];
    const chain = (Array.isArray(list) ? list.join(',') : (list ?? ''))
      .split(',')
      .map((entry) => plainIp(entry.trim()))
      .filter((entry) => entry !== '');
    const first = this.#firstOf(chain);
    return {
      peerIp,
      clientIp: chain[first] ?? peerIp,
      trustedPeer: true,
      forwarded: {
        for: [...chain.slice(first), peerIp].join(', '),
        proto: lastEntry(headers['x-forwarded-proto']) === 'https' ? 'https' : scheme,
        host: hostOr(host, lastEntry(headers['x-forwarded-host'])),
      },
    };
  }

  /** Where the part begins that trusted proxies appended to a list of addresses. */
  #firstOf(chain: readonly string[]): number {
    let first = chain.length;
    while (first > 0 && isIP(chain[first - 1]!) !== 0) {
      first--;
      if (!this.trusts(chain[first]!)) break;
    }
    return first;
  }

  #byForwarded(peerIp: string, value: string, scheme: string, host: string): ClientAddress {
    const hops = readForwarded(value);
    const chain = hops.map((hop) => plainIp(hop.for ?? ''));
    const first = this.#firstOf(chain);
    // Where the client is not named, what the peer says of its connection is still what it has seen.
    const hop = hops[first] ?? hops.at(-1);
    return {
      peerIp,
      clientIp: chain[first] ?? peerIp,
      trustedPeer: true,
      forwarded: {
        for: [...chain.slice(first), peerIp].join(', '),
        proto: hop?.proto?.toLowerCase() === 'https' ? 'https' : scheme,
        host: hostOr(host, hop?.host),
      },
    };
  }
}

/** Any of the fields that proxies wrote before there was `Forwarded`. */
function saysOtherwise(headers: Headers): boolean {
  return (
    headers['x-forwarded-for'] !== undefined ||
    headers['x-forwarded-proto'] !== undefined ||
    headers['x-forwarded-host'] !== undefined
  );
}

/** Of a list that each proxy adds to, what the trusted peer itself said. */
function lastEntry(value: string | string[] | undefined): string | undefined {
  return value === undefined ? undefined : String(value).split(',').at(-1)!.trim();
}

function hostOr(host: string, forwarded: string | undefined): string {
  return forwarded !== undefined && /^[\w.:[\]-]+$/.test(forwarded) ? forwarded.toLowerCase() : host;
}

/** Without the IPv4-mapped prefix, brackets and port that servers and proxies put around an address. */
export function plainIp(text: string): string {
  if (text.startsWith('::ffff:') && text.includes('.')) return text.slice(7);
  if (text.startsWith('[')) return text.slice(1, text.indexOf(']'));
  const colon = text.indexOf(':');
  return colon > 0 && text.includes('.') && colon === text.lastIndexOf(':') ? text.slice(0, colon) : text;
}
