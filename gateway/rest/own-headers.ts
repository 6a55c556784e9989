/** Made anew from what the gateway itself knows. */
const ours: ReadonlySet<string> = new Set([
  'host',
  'expect',
  'via',
  'forwarded',
  'accept',
  'x-real-ip',
  'x-request-id',
  'traceparent',
  'tracestate',
  'b3',
  'accept-encoding',
  // Credentials are the gateway's to check; none passes unless an upstream's configuration asks for it.
  'authorization',
  'cookie',
]);

/** After `x-`. */
const xFamilies = ['weir-', 'forwarded-', 'b3-', 'client-cert', 'ssl-client'];

/** Families of fields that only the gateway writes, and those by which proxies tell of a client's certificate (RFC 9440). */
export function isOurs(name: string): boolean {
  if (ours.has(name)) return true;
  switch (name.charCodeAt(0)) {
    case 0x78: // x
      return xFamilies.some((family) => name.startsWith(family, 2));
    case 0x63: // c
      return name.startsWith('client-cert');
    case 0x73: // s
      return name.startsWith('ssl-client');
    default:
      return false;
  }
}
