import { GraphQLError, type ExecutionResult } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import { WeirError } from '#core/errors.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { ErrorFormat } from './error-format.ts';
import type { HttpExchange } from './http-exchange.ts';
import { account, operationContext } from './operation-context.ts';
import type { OperationLog } from './operation-log.ts';
import type { Operations, Outcome } from './operations.ts';
import { readParameters, type GraphqlParameters } from './parameters.ts';
import type { Result } from './result.ts';
import type { GraphqlSettings } from './settings.ts';

interface ServerContext {
  readonly exchange: HttpExchange;
}

export interface YogaOptions {
  readonly settings: GraphqlSettings;
  readonly operations: Operations;
  readonly errors: ErrorFormat;
  readonly operationLog: OperationLog;
  readonly load: LoadShedder;
}

/** As the adapter has it: it takes any number of contexts. */
type HandleRequest = (request: Request, ...contexts: readonly object[]) => Promise<Response> | Response;

/**
 * Of one context the adapter makes another with that as its prototype, and V8 keeps what is a prototype, with all it holds, past
 * every scavenge. Two it copies into one.
 */
const noContext = {};

/** Runs a request through Yoga. */
export type YogaLane = (exchange: HttpExchange) => Promise<Response>;

/**
 * Yoga reads parameters from requests of every form and writes results in every form. What is between, from the document
 * to its results, is {@link Operations}, which the one plugin puts in the place of Yoga's own.
 */
export function createYogaLane(options: YogaOptions): YogaLane {
  const yoga = createYoga<ServerContext>({
    graphqlEndpoint: options.settings.path,
    plugins: [operationsPlugin(options)],
    batching: { limit: options.settings.maxBatch },
    // What others do: the pipeline, the door, or the plugin.
    maxRequestBodySize: false,
    cors: false,
    graphiql: false,
    landingPage: false,
    parserAndValidationCache: false,
    maskedErrors: false,
    logging: false,
    // It cannot be turned off, and answers every URL that ends with it; none ends with a space.
    healthCheckEndpoint: ' ',
  });
  const handleRequest = yoga.handleRequest as HandleRequest;
  const { Request } = yoga.fetchAPI;

  return async (exchange) => {
    const { context, contentType } = exchange;
    const request = new Request(`http://localhost${context.target}`, {
      method: context.method === 'POST' ? 'POST' : 'GET',
      headers: { accept: exchange.mediaType, ...(contentType !== undefined && { 'content-type': contentType }) },
      // Read from a socket, it is never shared memory.
      ...(context.body && { body: context.body as Buffer<ArrayBuffer> }),
    });
    return handleRequest(request, noContext, { exchange });
  };
}

function operationsPlugin(options: YogaOptions): Plugin<object, ServerContext> {
  return {
    onRequestParse({ requestParser, setRequestParser, serverContext: { exchange } }) {
      if (!requestParser) return undefined;
      setRequestParser(async (request) => {
        try {
          return withDocumentId(await requestParser(request), exchange);
        } catch {
          // What Yoga throws here quotes the body, and not all of it has a status.
          throw new WeirError('BAD_REQUEST', { detail: 'The parameters are not JSON, or not where they belong.' });
        }
      });
      return {
        onRequestParseDone({ requestParserResult }) {
          if (!Array.isArray(requestParserResult)) return;
          checkBatch(requestParserResult.length, options.settings.maxBatch);
          exchange.batch = true;
        },
      };
    },

    onParams({ params, setParams, setParamsHandler }) {
      const parameters = readParameters(params);
      // Yoga insists on a text, and knows no document by its id.
      if (parameters.id !== undefined) setParams({ query: '' });
      setParamsHandler(({ request, context: { exchange } }) =>
        exchange.batch ? runEntry(exchange, parameters, options) : runAlone(exchange, parameters, request, options),
      );
    },

    onResultProcess(event) {
      const { result } = event;
      const { exchange } = event.serverContext;
      const clean = (entry: object) => cleanResult(entry, exchange, options.errors);
      if (Array.isArray(result)) event.setResult(result.map((entry) => asYogas(clean(entry))));
      else if (!(Symbol.asyncIterator in result)) event.setResult(asYogas(withStatus(clean(result), exchange)));
    },
  };
}

async function runAlone(
  exchange: HttpExchange,
  parameters: GraphqlParameters,
  request: Request,
  { operations }: YogaOptions,
): Promise<ExecutionResult | AsyncIterable<ExecutionResult>> {
  const waiting = operations.fetch(parameters);
  if (waiting) await waiting;
  const outcome = await operations.run(exchange.context, parameters, exchange.delivery);
  exchange.outcome = outcome;
  // Yoga negotiates only now, and without weights: what it finds in the request is the decision.
  request.headers.set('accept', exchange.mediaType);
  return 'results' in outcome
    ? (outcome.results as AsyncIterable<unknown> as AsyncIterable<ExecutionResult>)
    : asYogas(outcome.result);
}

async function runEntry(
  exchange: HttpExchange,
  parameters: GraphqlParameters,
  { operations, operationLog, load }: YogaOptions,
): Promise<ExecutionResult> {
  const own = operationContext(exchange.context, {});
  load.enter();
  let outcome: Outcome;
  try {
    const first = !exchange.entered;
    exchange.entered = true;
    // The first is the request itself, which has been counted at the door of its address.
    const refused = first ? undefined : operations.enter(own);
    const waiting = refused ? undefined : operations.fetch(parameters);
    if (waiting) await waiting;
    outcome = refused ?? (await operations.run(own, parameters, exchange.delivery));
  } finally {
    load.leave();
    account(exchange.context, own);
  }
  operationLog.write(own);
  return asYogas('result' in outcome ? outcome.result : {});
}

/** In a URL it stands beside the parameters that Yoga reads there (GraphQL over HTTP, appendix A). */
function withDocumentId<T>(parsed: T, { context: { method, query } }: HttpExchange): T {
  if (method === 'POST' || !query.includes('documentId')) return parsed;
  return { ...parsed, documentId: new URLSearchParams(query).get('documentId') };
}

/** @throws {WeirError} `BAD_REQUEST` */
function checkBatch(length: number, maxBatch: number): void {
  if (length === 0) throw new WeirError('BAD_REQUEST', { detail: 'The batch is empty.' });
  if (length <= maxBatch) return;
  const detail =
    maxBatch === 1
      ? 'Batches are turned off here.'
      : `A batch may have at most ${maxBatch} operations; this one has ${length}.`;
  throw new WeirError('BAD_REQUEST', { detail, extensions: { limit: 'maxBatch', maximum: maxBatch, actual: length } });
}

/** Results of ours are ready; what Yoga caught, errors of ours among it, is not. */
function cleanResult(result: ExecutionResult, { context }: HttpExchange, format: ErrorFormat): Result {
  const { errors } = result;
  if (!errors?.some((error) => error instanceof GraphQLError)) return result as Result;
  return { errors: errors.map((error) => format.format(error, context)) };
}

/** `extensions.http` is how Yoga is told of a status, which it guesses otherwise; it takes it out again. */
function withStatus(result: Result, exchange: HttpExchange): Result {
  if (result.errors === undefined) return result;
  const http = { status: exchange.statusOf(result), headers: exchange.headersOf(result) };
  return { ...result, extensions: { ...result.extensions, http } };
}

/** Yoga prints errors that are plain objects as they are. */
function asYogas(result: Result): ExecutionResult {
  return result as ExecutionResult;
}
