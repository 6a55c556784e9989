import type { RequestContext } from '#core/context.ts';
import { errorTable, type ErrorCode } from '#core/errors.ts';
import { errorSigns } from '../http/error-reply.ts';
import type { Accept } from './accept.ts';
import type { Outcome } from './operations.ts';
import type { Result } from './result.ts';
import type { Delivery } from './selection.ts';

/**
 * What a well-formed request may fail in without leaving status 200, for clients of `application/json`, which take
 * anything else for a failure of the transport (GraphQL over HTTP, audits 572B, FDE2, 7B9B).
 */
const wellFormed: ReadonlySet<string> = new Set<ErrorCode>([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
]);

/** One HTTP request, and in which form its answer goes. */
export class HttpExchange {
  readonly context: RequestContext;
  readonly accept: Accept;
  /** In its plain spelling; undefined for a GET. */
  readonly contentType: string | undefined;
  /** The body is an array of operations. */
  batch = false;
  /** One of its operations has begun. */
  entered = false;
  /** Of a request that is no batch, once it has been executed. */
  outcome: Outcome | undefined;

  constructor(context: RequestContext, accept: Accept, contentType: string | undefined) {
    this.context = context;
    this.accept = accept;
    this.contentType = contentType;
  }

  get delivery(): Delivery {
    const mutations = this.context.method === 'POST';
    // An array is one JSON text: nothing in it can come in parts.
    if (this.batch) return { mutations, subscriptions: false, incremental: undefined };
    return { mutations, subscriptions: this.accept.events, incremental: this.accept.incremental?.format };
  }

  get mediaType(): string {
    if (this.outcome?.kind === 'parts') return 'multipart/mixed';
    if (this.outcome?.kind === 'events') return 'text/event-stream';
    const { json, events } = this.accept;
    return json ?? (events ? 'text/event-stream' : 'multipart/mixed');
  }

  /** The parameter of `multipart/mixed` that names the format, where the client asked by that name. */
  get formatName(): string | undefined {
    const { incremental } = this.accept;
    return this.outcome?.kind === 'parts' && incremental?.named === true ? incremental.format : undefined;
  }

  /** GraphQL over HTTP, §5.4, with 400 where drafts after its audits say 422. */
  statusOf({ data, errors }: Result): number {
    if (data !== undefined) return 200;
    const code = errors?.[0]?.extensions?.code;
    if (typeof code !== 'string' || !(code in errorTable)) return 500;
    const soft = this.mediaType !== 'application/graphql-response+json' && wellFormed.has(code);
    return soft ? 200 : errorTable[code as ErrorCode].status;
  }

  /** Response headers that belong to a result with errors, such as `Allow`. */
  headersOf(result: Result): Readonly<Record<string, string>> | undefined {
    const refusal = this.outcome?.kind === 'refused' ? this.outcome.refusal : undefined;
    if (this.statusOf(result) < 400) return refusal?.headers;
    const code = result.errors?.[0]?.extensions?.code as ErrorCode;
    return { ...refusal?.headers, ...errorSigns(code in errorTable ? code : 'INTERNAL', refusal?.retryAfterS) };
  }
}
