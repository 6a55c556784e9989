import type { RequestContext } from '#core/context.ts';

/** Why a request had no good answer: what a policy or door said, or that its client went away. */
export function errorCodeOf({ errorCode, cancellation }: RequestContext): string | undefined {
  return errorCode ?? cancellation.reason?.code;
}

/**
 * `error.type` of the HTTP semantic conventions, for a server: a 5xx is a failure, a 4xx the client's own; with any other
 * status, or none, an error code says that the answer broke off or is not whole. A route's static fallback is the answer
 * that somebody chose for this case: a failure only where its status says so.
 */
export function errorType(context: RequestContext): string | undefined {
  const { status } = context.reply;
  if (status >= 500) return errorCodeOf(context) ?? String(status);
  if (status >= 400 || (status !== 0 && context.fallback && context.route?.door === 'rest')) return undefined;
  return errorCodeOf(context);
}
