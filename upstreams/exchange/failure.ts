import { WeirError } from '#core/errors.ts';

/**
 * What went wrong on the wire, in the gateway's terms. `headSeen` tells an answer that broke off from one that never came.
 * The original stays as the cause, for the log.
 */
export function wireFailure(upstream: string, error: Error & { readonly code?: string }, headSeen: boolean): WeirError {
  const code = error.code ?? '';
  switch (code) {
    case 'UND_ERR_BODY_TIMEOUT':
      return stopped(upstream, error);
    case 'UND_ERR_HEADERS_OVERFLOW':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return broken(upstream, error, headSeen);
    case 'UND_ERR_INVALID_ARG':
    case 'UND_ERR_NOT_SUPPORTED':
      // Not sent at all: the gateway's own mistake, and nothing that the upstream did.
      return new WeirError('INTERNAL', { upstream, cause: error });
    default:
      if (headSeen || code.startsWith('HPE_') || error.name === 'HTTPParserError')
        return broken(upstream, error, headSeen);
      return new WeirError('UPSTREAM_UNREACHABLE', {
        detail: `'${upstream}' cannot be reached.`,
        upstream,
        cause: error,
      });
  }
}

/** Neither an end nor a byte for `idleTimeout`. */
export function stopped(upstream: string, cause?: Error): WeirError {
  return new WeirError('UPSTREAM_TIMEOUT', { detail: `'${upstream}' stopped in the middle.`, upstream, cause });
}

export function broken(upstream: string, cause: Error, headSeen: boolean): WeirError {
  const detail = headSeen ? `'${upstream}' broke its answer off.` : `'${upstream}' gave an answer that is not HTTP.`;
  return new WeirError('UPSTREAM_BAD_RESPONSE', { detail, upstream, cause });
}
