import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';

/** Types that no page of another origin can send without a CORS preflight (Fetch §2.2.2, CORS-safelisted headers). */
const preflighted: ReadonlySet<string> = new Set([
  'application/json',
  'application/graphql+json',
  'application/graphql',
]);

/** Any of these makes a request one that needs a preflight. The first is what GraphQL over HTTP, §6.2 suggests. */
const preflightHeaders = ['graphql-require-preflight', 'apollo-require-preflight', 'x-graphql-yoga-csrf'] as const;

/**
 * The content type of a POST in its plain spelling, `type/subtype; parameters`. Types that a browser sends across origins
 * without asking are refused, or a form on any page could act for its visitor.
 * @throws {WeirError} `UNSUPPORTED_MEDIA_TYPE`, `BAD_REQUEST`
 */
export function readContentType({ headers }: RequestContext): string {
  const [type = '', ...parameters] = (firstValue(headers['content-type']) ?? '').split(';').map((part) => part.trim());
  const essence = type.toLowerCase();
  const coding = firstValue(headers['content-encoding']);
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    // RFC 9110 §15.5.16
    throw new WeirError('UNSUPPORTED_MEDIA_TYPE', {
      detail: 'A body with a Content-Encoding is not served; send it as it is.',
      headers: { 'accept-encoding': 'identity' },
    });
  }
  if (preflighted.has(essence)) {
    const charset = parameters.find((parameter) => /^charset=/i.test(parameter));
    if (charset === undefined || /^charset="?utf-8"?$/i.test(charset)) return essence;
    throw new WeirError('UNSUPPORTED_MEDIA_TYPE', { detail: 'The body must be UTF-8 (RFC 8259 §8.1).' });
  }
  if (essence !== 'multipart/form-data') {
    const got =
      essence === '' ? 'The request has no Content-Type' : `The Content-Type ${essence.slice(0, 64)} is not served`;
    throw new WeirError('UNSUPPORTED_MEDIA_TYPE', {
      detail: `${got}; send application/json.`,
      headers: { 'accept-post': 'application/json' },
    });
  }
  if (!preflightHeaders.some((name) => headers[name] !== undefined)) {
    throw new WeirError('BAD_REQUEST', {
      detail: `multipart/form-data is served only with the header ${preflightHeaders[0]}, of any value.`,
    });
  }
  return [essence, ...parameters].join('; ');
}
