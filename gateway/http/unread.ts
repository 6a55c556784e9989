import { STATUS_CODES } from 'node:http';
import { WeirError } from '#core/errors.ts';
import { errorAnswer } from './error-reply.ts';

/** What Node's parser refuses, in the gateway's terms. */
export function unreadable(cause: Error & { readonly code?: string }): WeirError {
  switch (cause.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new WeirError('HEADERS_TOO_LARGE', { cause });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new WeirError('REQUEST_TIMEOUT', { cause });
    default:
      return new WeirError('BAD_REQUEST', { detail: 'The request is not HTTP/1.1.', cause });
  }
}

/** An answer where there is no request that a response object could belong to. */
export function unreadAnswer(error: WeirError, requestId: string): string {
  const { body, headers } = errorAnswer(error, 'problem', requestId);
  return [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    `date: ${new Date().toUTCString()}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
