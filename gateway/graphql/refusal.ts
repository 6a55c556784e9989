import type { GraphQLError, GraphQLFormattedError } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import type { ErrorCode, WeirError } from '#core/errors.ts';
import type { Result } from './result.ts';

/** A request that is not executed, and why; without what differs from request to request, so that it can be kept. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly errors: readonly GraphQLFormattedError[];
  /** Response headers that belong to the refusal, such as `Allow`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Seconds for `Retry-After`. */
  readonly retryAfterS?: number | undefined;
}

/** What GraphQL itself says against a request; all of it is about the client's own text and may be read. */
export function refused(code: ErrorCode, errors: readonly GraphQLError[]): Refusal {
  return { code, errors: errors.map((error) => ({ ...error.toJSON(), extensions: { code } })) };
}

/** What Weir says against it. A place in the document stands where GraphQL puts places. */
export function refusedAs({ code, message, extensions = {}, headers, retryAfterS }: WeirError): Refusal {
  const { line, column, ...rest } = extensions;
  const located = typeof line === 'number' && typeof column === 'number' && { locations: [{ line, column }] };
  // On a WebSocket and in a batch there is no header that could say it.
  const later = retryAfterS !== undefined && { retryAfterS };
  return { code, errors: [{ message, ...located, extensions: { ...rest, ...later, code } }], headers, retryAfterS };
}

export function refusedResult({ errors }: Refusal, { id }: RequestContext): Result {
  return { errors: errors.map((error) => ({ ...error, extensions: { ...error.extensions, requestId: id } })) };
}
