/**
 * What upstreams are asked for in place of the many spellings clients have for it. A GraphQL field and a proxied path that
 * read the same resource must ask in the same words, or neither could use the other's answer.
 */
const json = 'application/json, */*;q=0.5';

/** RFC 9110 §12.5.1: spellings of "JSON if you have it"; anything more particular goes on as it is. */
const common: ReadonlySet<string> = new Set([
  '*/*',
  'application/json',
  'application/json, text/plain, */*',
  'application/json, */*',
]);

export function canonicalAccept(accept: string | string[] | undefined): string | string[] {
  return accept === undefined || (typeof accept === 'string' && common.has(accept)) ? json : accept;
}

/** Uncompressed between gateway and services: compression is made once, at the edge, for whoever asks for it there. */
export const canonicalAcceptEncoding = 'identity';

const negotiating = /^(?:accept(?:-.*)?|cache-control|pragma|prefer|range|if-.*)$/;

/**
 * Fields that say how an answer is wanted, and select one as `Vary` says. Any other that a route or a module sets may say something of
 * who asks, or make another answer, whatever it is called.
 */
export function isNegotiating(name: string): boolean {
  return negotiating.test(name);
}
