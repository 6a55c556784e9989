import type { RequestContext } from '#core/context.ts';
import { errorRow, type WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';

/**
 * Answers with an error, in the form of the door the request came to: `application/problem+json` (RFC 9457) for REST, the
 * `errors` of GraphQL for `/graphql`. Once a head has gone out all that is left is to break the answer off.
 */
export function replyWithError(context: RequestContext, error: WeirError): void {
  context.errorCode = error.code;
  context.errorCause = error.cause;
  const { reply } = context;
  if (reply.finished) return;
  if (reply.started) {
    reply.destroy();
    return;
  }
  const graphql = context.route?.door === 'graphql';
  const body = Buffer.from(JSON.stringify(graphql ? graphqlErrors(context, error) : problem(error, context.id)));
  const headers: Headers = {
    ...error.headers,
    'content-type': graphql ? 'application/json; charset=utf-8' : 'application/problem+json',
    'content-length': String(body.length),
    'cache-control': 'no-store',
  };
  const row = errorRow(error.code);
  // RFC 9209 §2: tells the gateway's own answer from an upstream's.
  if (row.proxyStatus !== undefined) headers['proxy-status'] = `weir; error=${row.proxyStatus}`;
  if (error.retryAfterS !== undefined) headers['retry-after'] = String(error.retryAfterS);
  reply.head(error.status, headers);
  reply.end(context.method === 'HEAD' ? undefined : body);
}

/** RFC 9457. */
export function problem(error: WeirError, requestId: string): object {
  const row = errorRow(error.code);
  return {
    // Extensions first: they never stand in for a member that RFC 9457 §3.1 defines.
    ...error.extensions,
    type: `/docs/errors/${error.code}`,
    title: row.title,
    status: error.status,
    ...(error.message !== row.title && { detail: error.message }),
    ...(error.upstream !== undefined && { upstream: error.upstream }),
    code: error.code,
    requestId,
  };
}

function graphqlErrors(context: RequestContext, error: WeirError): object {
  const { code, upstream, extensions } = error;
  return {
    errors: [
      {
        message: error.message,
        extensions: { ...extensions, code, ...(upstream !== undefined && { upstream }), requestId: context.id },
      },
    ],
  };
}
