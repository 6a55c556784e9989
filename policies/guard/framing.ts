import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { refuse } from './refuse.ts';

/**
 * What says where a request ends (RFC 9112 §6.3) must say it to everybody alike. The parser has refused lengths that are no
 * numbers, lengths beside codings and codings that do not end in `chunked`.
 */
export function checkFraming({ headers, httpVersion, method, incoming }: RequestContext): void {
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined) {
    if (length !== undefined) throw refuse('The request has both a Content-Length and a Transfer-Encoding.');
    // RFC 9112 §6.1: in HTTP/1.0 it is faulty framing, whatever it says.
    if (httpVersion === '1.0') throw refuse('HTTP/1.0 has no Transfer-Encoding.');
    // Other codings would have to be undone here (§7.2), or the next hop would take the coded bytes for the content.
    if (coding !== 'chunked' && String(coding).toLowerCase() !== 'chunked') {
      throw refuse('The only Transfer-Encoding that is taken is chunked.');
    }
  }
  // RFC 9110 §8.6 has them as digits; there are those who read 010 as eight.
  if (length !== undefined && length.length > 1 && String(length).startsWith('0')) {
    throw refuse('The Content-Length begins with a zero.');
  }
  const { expect } = headers;
  if (expect !== undefined && String(expect).toLowerCase() !== '100-continue') {
    // Whether the body comes all the same, nobody can tell.
    throw new WeirError('EXPECTATION_FAILED', { headers: { connection: 'close' } });
  }
  if ((method === 'GET' || method === 'HEAD') && incoming.length !== 0) {
    // RFC 9110 §9.3.1: content in a GET has no defined meaning and is a means of request smuggling.
    throw refuse(`${method} with a body is not served.`);
  }
}
