import type { RequestContext } from '#core/context.ts';
import { WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { maxPeekBytes } from '../http/pipeline.ts';

/** GraphQL over HTTP, §4.1: what a request asks to be run. */
export interface GraphqlParameters {
  /** The document's text; undefined where it is named by its id alone. */
  readonly query: string | undefined;
  /** Of a document that is known by it, or is to be from now on. */
  readonly id: string | undefined;
  /** The id is said to be the SHA-256 of the text. */
  readonly hashed: boolean;
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
  if (!isAbsent(query) && typeof query !== 'string') throw refuse('`query` must be a string.');
  if (!isAbsent(operationName) && typeof operationName !== 'string') throw refuse('`operationName` must be a string.');
  if (!isAbsent(variables) && !isMap(variables)) throw refuse('`variables` must be a JSON object.');
  if (!isAbsent(extensions) && !isMap(extensions)) throw refuse('`extensions` must be a JSON object.');
  const { id, hashed } = readId(value.documentId, extensions?.persistedQuery);
  if (isAbsent(query) && id === undefined) throw refuse('`query` is missing; write the GraphQL document there.');
  return {
    // The protocol of WebSockets has no operation without `query`: who names a document by its id leaves it empty.
    query: (id === undefined ? query : query || undefined) ?? undefined,
    id,
    hashed,
    operationName: operationName ?? undefined,
    variables: variables ?? undefined,
  };
}

const maxIdLength = 256;

/** GraphQL over HTTP, appendix A: a colon parts the id from how it was made, which only `sha256` says to the service. */
const hashPrefix = 'sha256:';

/** By `documentId` of GraphQL over HTTP, or as `extensions.persistedQuery` of Apollo's clients. */
function readId(
  documentId: unknown,
  persisted: unknown,
): { readonly id: string | undefined; readonly hashed: boolean } {
  if (!isAbsent(documentId) && documentId !== '') {
    if (typeof documentId !== 'string' || documentId.length > maxIdLength)
      throw refuse(`\`documentId\` must be a string of at most ${maxIdLength} characters.`);
    if (!isAbsent(persisted))
      throw refuse('Name the document by `documentId` or by `extensions.persistedQuery`, not both.');
    const hashed = documentId.startsWith(hashPrefix);
    return { id: hashed ? documentId.slice(hashPrefix.length) : documentId, hashed };
  }
  if (isAbsent(persisted)) return unnamed;
  const { version = 1, sha256Hash } = isMap(persisted) ? persisted : {};
  if (version !== 1 || typeof sha256Hash !== 'string' || sha256Hash === '' || sha256Hash.length > maxIdLength)
    throw refuse('`extensions.persistedQuery` must be { "version": 1, "sha256Hash": "…" }.');
  return { id: sha256Hash, hashed: true };
}

const unnamed = { id: undefined, hashed: false };

/** As clients of GraphQL write it; for other spellings of it others have the patience. */
const plainJson: ReadonlySet<string> = new Set(['application/json', 'application/json; charset=utf-8']);

/** GraphQL over HTTP, §4.1 and appendix A; of a request with others Yoga says so. */
const members: ReadonlySet<string> = new Set(['query', 'documentId', 'operationName', 'variables', 'extensions']);

/** What a request in one of the plain forms asks for, as far as that can be told without refusing it for how it asks. */
export function peek(context: RequestContext): GraphqlParameters | undefined {
  const { method, headers, body } = context;
  if (method === 'POST') return body && peekContent(headers, body);
  try {
    return peekQuery(context);
  } catch {
    return undefined;
  }
}

/** The same of a POST. */
export function peekContent(headers: Headers, content: Buffer): GraphqlParameters | undefined {
  if (content.length > maxPeekBytes || headers['content-encoding'] !== undefined) return undefined;
  if (!plainJson.has(headers['content-type'] as string)) return undefined;
  try {
    const given: unknown = JSON.parse(content.toString());
    if (isMap(given)) for (const name in given) if (!members.has(name)) return undefined;
    return readParameters(given);
  } catch {
    return undefined;
  }
}

/** GraphQL over HTTP, §5.2. */
function peekQuery({ method, query }: RequestContext): GraphqlParameters | undefined {
  if ((method !== 'GET' && method !== 'HEAD') || query === '') return undefined;
  const given: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    if (given[name] !== undefined) return undefined;
    given[name] = name === 'variables' || name === 'extensions' ? JSON.parse(value) : value;
  }
  return readParameters(given);
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
