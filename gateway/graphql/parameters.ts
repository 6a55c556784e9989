import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';

/** GraphQL over HTTP, §4.1: what a request asks to be run. */
export interface GraphqlParameters {
  readonly query: string;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Reads the parameters of a request in the form that all transports share.
 * @throws {WeirError} `BAD_REQUEST`
 */
export function readParameters(value: unknown): GraphqlParameters {
  if (!isMap(value)) throw refuse('An operation must be a JSON object with the member `query`.');
  const { query, operationName, variables, extensions } = value;
  if (query === undefined || query === null) throw refuse('`query` is missing; write the GraphQL document there.');
  if (typeof query !== 'string') throw refuse('`query` must be a string.');
  if (!isAbsent(operationName) && typeof operationName !== 'string') throw refuse('`operationName` must be a string.');
  if (!isAbsent(variables) && !isMap(variables)) throw refuse('`variables` must be a JSON object.');
  if (!isAbsent(extensions) && !isMap(extensions)) throw refuse('`extensions` must be a JSON object.');
  return { query, operationName: operationName ?? undefined, variables: variables ?? undefined };
}

/** Longer bodies are read once only. */
const maxPeekBytes = 16 * 1024;

/** What a POST of plain JSON asks for, as far as that can be told without refusing it for how it asks. */
export function peek({ method, headers, body }: RequestContext): { query?: string; operationName?: string } {
  if (method !== 'POST' || !body || body.length > maxPeekBytes) return {};
  if (!firstValue(headers['content-type'])?.startsWith('application/json')) return {};
  try {
    const { query, operationName } = readParameters(JSON.parse(body.toString()));
    return { query, ...(operationName !== undefined && { operationName }) };
  } catch {
    return {};
  }
}

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(detail: string): WeirError {
  return new WeirError('BAD_REQUEST', { detail });
}
