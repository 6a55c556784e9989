import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';

/** How far an exchange had come when it failed. */
export interface Progress {
  /** Something of the request may have reached the upstream. */
  readonly sent: boolean;
  /** The connection had carried others before. */
  readonly reused: boolean;
  /** What had come of an answer. */
  readonly heard: 'nothing' | 'something' | 'head';
}

const neverSent = new WeakSet<WeirError>();
const stale = new WeakSet<WeirError>();

/** Nothing of the request has left the gateway, so whatever it asks for has not been done. */
export function wasNeverSent(error: WeirError): boolean {
  return neverSent.has(error);
}

/**
 * A connection that had served before was found closed: its upstream may have done that before the request came
 * (RFC 9112 §9.3.1), so that it says nothing of how the upstream is. Nor does it say whether the request was heard.
 */
export function wasStale(error: WeirError): boolean {
  return stale.has(error);
}

/** What went wrong on the wire, in the gateway's terms. The original stays as the cause, for the log. */
export function wireFailure(
  upstream: string,
  error: Error & { readonly code?: string },
  { sent, reused, heard }: Progress,
): WeirError {
  const code = error.code ?? '';
  const headSeen = heard === 'head';
  switch (code) {
    case 'UND_ERR_BODY_TIMEOUT':
      return stopped(upstream, error);
    case 'WEIR_BROKEN_ANSWER':
    case 'UND_ERR_HEADERS_OVERFLOW':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return broken(upstream, error, headSeen);
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
      // Not sent at all: the gateway's own mistake, and nothing that the upstream did.
      return new WeirError('INTERNAL', { upstream, cause: error });
  }
  if (code.startsWith('HPE_') || error.name === 'HTTPParserError') return broken(upstream, error, headSeen);
  if (heard !== 'nothing') return broken(upstream, error, true);
  const unreachable = new WeirError('UPSTREAM_UNREACHABLE', {
    detail: `'${upstream}' cannot be reached.`,
    upstream,
    cause: error,
  });
  if (!sent) neverSent.add(unreachable);
  else if (reused) stale.add(unreachable);
  return unreachable;
}

/** Neither an end nor a byte for `idleTimeout`. */
export function stopped(upstream: string, cause?: Error): WeirError {
  return new WeirError('UPSTREAM_TIMEOUT', { detail: `'${upstream}' stopped in the middle.`, upstream, cause });
}

/** An answer that is none, or, where some of it could be read, that ends before its end. */
export function broken(upstream: string, cause: Error, begun: boolean): WeirError {
  const detail = begun ? `'${upstream}' broke its answer off.` : `'${upstream}' gave an answer that is not HTTP.`;
  return new WeirError('UPSTREAM_BAD_RESPONSE', { detail, upstream, cause });
}

/**
 * Why an answer's framing cannot be passed on; undefined where it can. The parsers take off `chunked` and nothing else, so
 * any other coding would go on without its name (RFC 9112 §6.1), and without `chunked` at its end nobody could say where
 * the answer stops. HTTP/1.0 knows none at all.
 */
export function misframed(headers: Headers, httpVersion: string): Error | undefined {
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return undefined;
  if (httpVersion !== '1.0' && typeof coding === 'string' && coding.toLowerCase() === 'chunked') return undefined;
  return new Error(`transfer-encoding: ${String(coding)} over HTTP/${httpVersion}`);
}
