import type { RequestContext } from '#core/context.ts';
import { noteDenial } from '#core/denial.ts';
import { errorRow, type ErrorCode, type WeirError } from '#core/errors.ts';

/**
 * Answers with an error, in the form of the door the request came to: `application/problem+json` (RFC 9457) for REST, the
 * `errors` of GraphQL for `/graphql`. Once a head has gone out all that is left is to break the answer off.
 */
export function replyWithError(context: RequestContext, error: WeirError): void {
  context.errorCode = error.code;
  context.errorCause = error.cause;
  noteDenial(context, error);
  const { reply } = context;
  if (reply.finished) return;
  if (reply.started) {
    reply.destroy();
    return;
  }
  const form = context.route?.door === 'graphql' ? 'graphql' : 'problem';
  const { body: text, headers } = errorAnswer(error, form, context.id);
  const body = Buffer.from(text);
  headers['content-length'] = String(body.length);
  reply.head(error.status, headers);
  reply.end(context.method === 'HEAD' ? undefined : body);
}

/** A problem of RFC 9457, or the `errors` of GraphQL. */
export type ErrorForm = 'problem' | 'graphql';

/** An error in either form, but for the length of its content. */
export function errorAnswer(
  error: WeirError,
  form: ErrorForm,
  requestId: string,
): { readonly body: string; readonly headers: Record<string, string> } {
  const headers = errorHeaders(error);
  if (form === 'problem') return { body: JSON.stringify(problem(error, requestId)), headers };
  headers['content-type'] = 'application/json; charset=utf-8';
  return { body: JSON.stringify(graphqlErrors(error, requestId)), headers };
}

/** What every answer with an error says in its head, whoever writes it. */
function errorHeaders({ code, headers, retryAfterS }: WeirError): Record<string, string> {
  return {
    ...headers,
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    ...errorSigns(code, retryAfterS),
  };
}

/** Seconds for a 503 whose error names none: RFC 9110 §10.2.3 has it as the sign that it is for a time. */
const usualRetryAfterS = 1;

/** What of it belongs to any form of answer: who made it (RFC 9209 §2 tells it from an upstream's), and when to come back. */
export function errorSigns(code: ErrorCode, retryAfterS?: number): Record<string, string> {
  const { status, proxyStatus } = errorRow(code);
  const seconds = retryAfterS ?? (status === 503 ? usualRetryAfterS : undefined);
  return {
    ...(proxyStatus !== undefined && { 'proxy-status': `weir; error=${proxyStatus}` }),
    // Now would be no later.
    ...(seconds !== undefined && { 'retry-after': String(Math.max(1, Math.ceil(seconds))) }),
  };
}

/** RFC 9457. */
function problem(error: WeirError, requestId: string): object {
  const row = errorRow(error.code);
  return {
    // Extensions first: they never stand in for a member that RFC 9457 §3.1 defines.
    ...error.extensions,
    type: row.type ?? `/docs/errors/${error.code}`,
    title: row.title,
    status: error.status,
    ...(error.message !== row.title && { detail: error.message }),
    ...(error.upstream !== undefined && { upstream: error.upstream }),
    code: error.code,
    requestId,
  };
}

function graphqlErrors(error: WeirError, requestId: string): object {
  const { code, upstream, extensions } = error;
  return {
    errors: [
      {
        message: error.message,
        extensions: { ...extensions, code, ...(upstream !== undefined && { upstream }), requestId },
      },
    ],
  };
}
