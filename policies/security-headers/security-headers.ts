import type { Policy } from '#core/policy.ts';
import type { SecurityHeadersSettings } from './settings.ts';

/** Says on every answer what browsers are to make of it. */
export function securityHeaders({ hsts, nosniff }: SecurityHeadersSettings): Policy {
  const strict = hsts === 'off' ? undefined : strictTransport(hsts);
  return ({ reply, scheme, forwarded }) => {
    if (nosniff) reply.headers['x-content-type-options'] = 'nosniff';
    // RFC 6797 §7.2: never over plain HTTP, where anybody could have written it.
    if (strict !== undefined && (scheme === 'https' || forwarded.proto === 'https'))
      reply.headers['strict-transport-security'] = strict;
  };
}

function strictTransport({
  maxAge,
  includeSubDomains,
  preload,
}: Exclude<SecurityHeadersSettings['hsts'], 'off'>): string {
  return [
    `max-age=${Math.floor(maxAge / 1000)}`,
    ...(includeSubDomains ? ['includeSubDomains'] : []),
    ...(preload ? ['preload'] : []),
  ].join('; ');
}
