import { hash } from 'node:crypto';
import type { GraphQLFormattedError } from 'graphql';
import type { RequestContext } from '#core/context.ts';
import { errorCodes, WeirError, type ErrorCode } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import { refusalOfCall } from '#resolvers/parts.ts';
import { askOf, isUnchanged } from '#upstreams/cache/ask.ts';
import type { UpstreamDocument } from '#gateway/contract/documents.ts';
import type { RunOperation } from '#gateway/graphql/door.ts';
import { sendComposed } from '../composed-answer.ts';
import type { Composition } from '../composed-route.ts';
import { differs, variablesOf, type Variable } from './variables.ts';

interface OperationOptions {
  /** Of the trusted document. */
  readonly id: string;
  readonly name: string | undefined;
  readonly variables: readonly Variable[];
  /** To the answer, in `data`. */
  readonly way: readonly string[];
  readonly status: number;
  /** Status by code of an error. */
  readonly errors: Readonly<Record<string, number>>;
  readonly document: UpstreamDocument;
}

/** A stored GraphQL operation that answers a route. It passes all that it would pass at `/graphql`, its price too. */
export class OperationComposition implements Composition {
  readonly tag = 'operations';
  readonly cost = undefined;
  readonly document: UpstreamDocument;
  readonly #options: OperationOptions;
  /** What it makes of a result, as part of a validator. */
  readonly #form: string;
  /** By one URL it answers one client this, another that. */
  readonly #differs: boolean;

  constructor(options: OperationOptions) {
    this.#options = options;
    this.#form = hash('sha1', JSON.stringify([options.way, options.status]), 'base64url').slice(0, 8);
    this.document = options.document;
    this.#differs = options.variables.some(differs);
  }

  async answer(context: RequestContext, run: RunOperation | undefined): Promise<void> {
    const { id, name, variables, way, status } = this.#options;
    if (!run) throw new Error('GraphQL is not served');
    const parameters = {
      query: undefined,
      id,
      hashed: false,
      operationName: name,
      variables: variablesOf(variables, context),
    };
    const { result, refusal, kept, cacheStatus } = await run(context, parameters, this.#differs);
    // Whatever becomes of the result.
    if (cacheStatus !== undefined) context.reply.headers['cache-status'] = cacheStatus;
    if (refusal) {
      const { code, errors, headers, retryAfterS } = refusal;
      const [first] = errors;
      throw new WeirError(code, {
        ...(first && { detail: first.message }),
        ...(headers && { headers }),
        ...(retryAfterS !== undefined && { retryAfterS }),
      });
    }
    const { data, errors = [], extensions } = result;
    if (data === null && extensions?.explain !== undefined) {
      // Somebody who may has asked what it would cost, and nothing was run.
      sendComposed(context, { body: { explain: extensions.explain }, headers: {} });
      return;
    }
    const value =
      way.reduce<unknown>((at, step) => (at as Readonly<Record<string, unknown>> | null)?.[step], data) ?? null;
    const nothing = value === null || (way.length === 0 && isEmpty(value));
    const [first] = errors;
    if (nothing && first) {
      this.#refuse(context, first);
      return;
    }
    if (value === null) throw new WeirError('PART_NOT_FOUND');
    // What is there is sent; what is not is null in it.
    const missing = [...pathsOf(errors), ...pathsOf(extensions?.degraded)];
    const headers = this.#keptFields(kept, context);
    if (headers && hasIt(context, headers)) {
      context.reply.head(304, headers);
      context.reply.end();
      return;
    }
    sendComposed(context, {
      status,
      body: value,
      headers: {
        ...headers,
        'x-weir-completed': String(missing.length === 0),
        ...(missing.length > 0 && { 'x-weir-missing': [...new Set(missing)].slice(0, maxMissing).join(', ') }),
      },
    });
  }

  /** What caches may keep by the URL is the answer to its GET. It is a part of the result, so the validator is one of its own. */
  #keptFields(kept: Headers | undefined, { method }: RequestContext): Headers | undefined {
    if (!kept || (method !== 'GET' && method !== 'HEAD')) return undefined;
    return { ...kept, etag: String(kept.etag).replace(/"$/, `-${this.#form}"`) };
  }

  /** @throws {WeirError} unless the route gives the error a status of its own */
  #refuse(context: RequestContext, { message, extensions = {} }: GraphQLFormattedError): void {
    const { code: stated, upstream, requestId, ...rest } = extensions;
    const code = String(stated);
    const own = this.#options.errors[code];
    if (own === undefined && isCode(code)) {
      const error = new WeirError(code, {
        detail: message,
        ...(typeof upstream === 'string' && { upstream }),
        extensions: rest,
      });
      throw code === 'UPSTREAM_ERROR' ? refusalOfCall(error) : error;
    }
    context.errorCode = code;
    sendComposed(context, {
      status: own ?? 400,
      body: { ...rest, type: 'about:blank', title: message, status: own ?? 400, code, requestId },
      headers: { 'content-type': 'application/problem+json' },
    });
  }
}

/** RFC 9110 §13.1.2. */
function hasIt({ headers }: RequestContext, { etag }: Headers): boolean {
  const ask = headers['if-none-match'] === undefined ? undefined : askOf(headers);
  return ask !== undefined && isUnchanged({ headers: { etag } }, ask, 0);
}

/** Places that are told of an answer that is not complete. */
const maxMissing = 20;

function isCode(code: string): code is ErrorCode {
  return errorCodes.includes(code as ErrorCode);
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && Object.values(value as object).every((child) => child === null);
}

/** Without the places in lists, of which there may be many. */
function pathsOf(notes: unknown): string[] {
  if (!Array.isArray(notes)) return [];
  return (notes as readonly { readonly path?: readonly (string | number)[] }[]).map(({ path = [] }) =>
    path.filter((step) => typeof step === 'string').join('.'),
  );
}
