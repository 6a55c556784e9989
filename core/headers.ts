/** Header fields by lower-case name, as node:http and undici give them; a repeated field is an array. */
export type Headers = Record<string, string | string[] | undefined>;

/** RFC 9110 §7.6.1 and RFC 9112 §9: fields that speak to the next hop only, and framing, which each hop makes anew. */
export const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Fields that speak of the bytes of a body, so that they are wrong once it is made anew: its length and framing, ranges of it,
 * and digests (RFC 9530, RFC 3230, RFC 1864).
 */
export const ofBytes: ReadonlySet<string> = new Set([
  'accept-ranges',
  'content-digest',
  'content-length',
  'content-md5',
  'digest',
  'repr-digest',
  'trailer',
  'transfer-encoding',
]);

/** The lower-case names that a `Connection` field lists. */
export function connectionTokens(connection: string | string[] | undefined): readonly string[] {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return [];
  const text = Array.isArray(connection) ? connection.join(',') : connection;
  return text
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '' && token !== 'close' && token !== 'keep-alive');
}

/** The first value of a field that may be repeated. */
export function firstValue(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
