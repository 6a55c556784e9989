import { WeirError } from '#core/errors.ts';

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

function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(detail: string): WeirError {
  return new WeirError('BAD_REQUEST', { detail });
}
