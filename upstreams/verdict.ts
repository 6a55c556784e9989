import type { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { wasStale } from './exchange/failure.ts';

/**
 * What an attempt says of whoever answered it, for breaker and ejection alike: statuses of `breaker.on`, attempt timeouts,
 * lost connections and broken bodies are failures. A client's own deadline or its leaving says nothing, or clients could
 * take an upstream out.
 */
export function isFailure(error: WeirError): boolean {
  switch (error.code) {
    case 'UPSTREAM_UNREACHABLE':
      // That a service closes connections it has no use for is no failure of it.
      return !wasStale(error);
    case 'UPSTREAM_BAD_RESPONSE':
    case 'UPSTREAM_TIMEOUT':
      return true;
    default:
      return false;
  }
}

/** A body that has come this far has shown that the upstream works; waiting for its end would hand the verdict to the client. */
export const convincedAfterBytes = 64 * 1024;

/** An answer whose end is up to the client: its head is all there is to go by. */
export function isEndless(status: number, headers: Headers): boolean {
  return status === 101 || String(headers['content-type']).startsWith('text/event-stream');
}
