import type { RequestContext } from '#core/context.ts';
import type { Headers } from '#core/headers.ts';
import { askOf, isUnchanged } from '#upstreams/cache/ask.ts';
import type { Result } from '#gateway/graphql/result.ts';
import type { Answer } from './answer.ts';
import { demandsCredential } from '#policies/auth/demands.ts';

/** An answer that may be given out again, as one client gets it. */
export interface KeptAnswer {
  readonly answer: Answer;
  /** Where it came from, or whether it lies in the store now. */
  readonly from: 'store' | 'stored' | 'made';
  /** `extensions` beside it, which are for who asked alone. */
  readonly told: Readonly<Record<string, unknown>> | undefined;
}

/** For transports that put results together themselves. */
export function resultOf({ answer, told }: KeptAnswer): Result {
  const result = JSON.parse(answer.body.toString()) as Result;
  return told ? { ...result, extensions: told } : result;
}

/** For those that send bytes. */
export function bodyOf({ answer: { body }, told }: KeptAnswer): Buffer {
  if (!told) return body;
  // In place of the brace that ends it.
  return Buffer.concat([body.subarray(0, -1), Buffer.from(`,"extensions":${JSON.stringify(told)}}`)]);
}

/**
 * Fields that say how long it is good, for whom, and where it came from.
 * @param differs by the same URL somebody else may get another
 */
export function keptHeaders(
  { answer, from, told }: KeptAnswer,
  { route }: RequestContext,
  nowMs: number,
  differs = false,
): Headers {
  // What asks for a credential cannot be left to caches that do not.
  const closed = differs || told !== undefined || (route !== undefined && demandsCredential(route.requirement));
  return from === 'store' ? answer.asHit(nowMs, closed) : answer.asMade(from === 'stored', closed);
}

/** Whether the client has it (RFC 9110 §13.1.2). A query is safe however it is sent, so a POST is told the same as a GET. */
export function isKnown({ answer: { etag } }: KeptAnswer, { headers }: RequestContext, nowMs: number): boolean {
  if (headers['if-none-match'] === undefined) return false;
  const ask = askOf(headers);
  return ask !== undefined && isUnchanged({ headers: { etag } }, ask, nowMs);
}
