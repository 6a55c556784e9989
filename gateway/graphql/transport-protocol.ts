import { randomUUID } from 'node:crypto';
import {
  buildSchema,
  GraphQLError,
  parse,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLFormattedError,
} from 'graphql';
import { CloseCode, makeServer, type Server } from 'graphql-ws';
import type { WebSocket } from 'ws';
import { Cancellation } from '#core/cancellation.ts';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { noteDenial } from '#core/denial.ts';
import { toWeirError, WeirError } from '#core/errors.ts';
import type { Headers } from '#core/headers.ts';
import type { Logger } from '#core/log.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import { account, operationContext } from './operation-context.ts';
import type { OperationLog } from './operation-log.ts';
import type { Operations, Outcome } from './operations.ts';
import { readParameters, type GraphqlParameters } from './parameters.ts';
import { refusedAs, refusedResult } from './refusal.ts';
import type { Result } from './result.ts';
import { ResultStream } from './result-stream.ts';
import type { GraphqlSettings } from './settings.ts';

export type Admit = (context: RequestContext, payload: Readonly<Record<string, unknown>> | undefined) => Promise<void>;

export interface ProtocolOptions {
  readonly settings: GraphqlSettings;
  readonly operations: Operations;
  readonly operationLog: OperationLog;
  /** Lets a connection in by the payload of its `connection_init`, or throws a `WeirError`. */
  readonly admit: Admit;
  readonly clock: Clock;
  readonly log: Logger;
  readonly load: LoadShedder;
}

/** A WebSocket and the operations that are under way on it. */
interface Connection {
  readonly context: RequestContext;
  /** What its operations have as theirs. */
  readonly headers: Headers;
  readonly operations: Set<Cancellation>;
  /** Set once it takes no more of them; called when the last one is over. */
  finished: (() => void) | undefined;
}

/** What graphql-ws passes from `onSubscribe` to `execute`. */
interface Executed extends ExecutionArgs {
  readonly results: ResultStream<Result>;
}

/** Messages being dealt with beside the operations; at more the socket is not read, so that a client cannot heap them up. */
const maxMessages = 16;

/** There is no way to name a format on a WebSocket. */
const delivery = { incremental: 'deferSpec=20220824', mutations: true, subscriptions: true } as const;

/** The subprotocol `graphql-transport-ws`. Each operation runs as if it were a request of its own. */
export class TransportProtocol {
  readonly #options: ProtocolOptions;
  readonly #server: Server<Connection>;
  readonly #connections = new WeakMap<WebSocket, Connection>();

  constructor(options: ProtocolOptions) {
    this.#options = options;
    this.#server = makeServer<undefined, Connection>({
      onConnect: ({ extra, connectionParams }) => this.#admit(extra.context, connectionParams),
      // Everything is done here; what follows only takes the results out of our hands.
      onSubscribe: ({ extra }, _id, payload) => {
        const parameters = parametersOf(payload);
        if (parameters instanceof WeirError) return refusal(extra, parameters);
        const waiting = options.operations.fetch(parameters);
        return waiting ? waiting.then(() => this.#subscribe(extra, parameters)) : this.#subscribe(extra, parameters);
      },
      execute: (args) => (args as Executed).results as AsyncIterable<unknown> as AsyncIterable<ExecutionResult>,
      // Results are ready to be sent as they are.
      onNext: (_context, _id, _payload, _args, result) =>
        result as ExecutionResult & { errors: GraphQLFormattedError[] },
    });
  }

  #subscribe(connection: Connection, parameters: GraphqlParameters): readonly GraphQLError[] | Executed {
    if (connection.finished) return refusal(connection, new WeirError('SHUTTING_DOWN'));
    const { maxPerConnection } = this.#options.settings.subscriptions;
    if (connection.operations.size >= maxPerConnection) {
      const detail = `At most ${maxPerConnection} operations may be open on one WebSocket.`;
      return refusal(connection, new WeirError('OVERLOADED', { detail }));
    }
    const results = this.#start(connection, parameters);
    return results instanceof ResultStream ? { ...nothingToExecute, results } : results;
  }

  /** Serves a client until it leaves. */
  speak(webSocket: WebSocket, context: RequestContext): void {
    const headers = withoutCacheControl(context.headers);
    const connection: Connection = { context, headers, operations: new Set(), finished: undefined };
    this.#connections.set(webSocket, connection);
    context.cancellation.on((reason) => {
      for (const operation of connection.operations) operation.cancel(reason);
      if (reason.code === 'UNAUTHENTICATED') webSocket.close(CloseCode.Unauthorized, 'Unauthorized');
    });
    const closed = this.#server.opened(
      {
        protocol: webSocket.protocol,
        // Waiting until it is written is what keeps a subscription from running ahead of a slow reader.
        send: (data) =>
          new Promise((resolve) => {
            webSocket.send(data, () => resolve());
          }),
        close: (code, reason) => webSocket.close(code, reason),
        onMessage: (handle) => this.#read(webSocket, connection, handle),
      },
      connection,
    );
    webSocket.once('close', (code, reason) => void closed(code, String(reason)));
  }

  /** @returns false for who may not come in, which closes the connection with 4403 */
  async #admit(context: RequestContext, payload: Readonly<Record<string, unknown>> | undefined): Promise<boolean> {
    try {
      await this.#options.admit(context, payload);
      return true;
    } catch (thrown) {
      const error = toWeirError(thrown);
      context.errorCode = error.code;
      noteDenial(context, error);
      if (error.code === 'INTERNAL' || error.code === 'AUTH_UNAVAILABLE') throw thrown;
      return false;
    }
  }

  /** Takes no more operations from a client. @returns when those are over that are under way */
  async finish(webSocket: WebSocket): Promise<void> {
    const connection = this.#connections.get(webSocket);
    if (!connection) return;
    await new Promise<void>((resolve) => {
      connection.finished = resolve;
      if (connection.operations.size === 0) resolve();
    });
    // What has ended says so before its socket does.
    await new Promise((resolve) => setImmediate(resolve));
  }

  #read(webSocket: WebSocket, { context }: Connection, handle: (message: string) => Promise<void>): void {
    const most = this.#options.settings.subscriptions.maxPerConnection + maxMessages;
    let underWay = 0;
    webSocket.on('message', (message) => {
      if (++underWay >= most) webSocket.pause();
      handle(withQuery((message as Buffer).toString()))
        .catch((error: unknown) => {
          this.#options.log.error({ requestId: context.id, err: error }, 'a websocket message failed');
          webSocket.close(CloseCode.InternalServerError, 'Internal server error');
        })
        .finally(() => {
          if (underWay-- >= most) webSocket.resume();
        });
    });
  }

  /** @returns errors where it is refused, which this protocol tells from results */
  #start(connection: Connection, parameters: GraphqlParameters): readonly GraphQLError[] | ResultStream<Result> {
    const { context, headers, operations } = connection;
    const { clock, log, operationLog, load } = this.#options;
    const cancellation = new Cancellation();
    const id = randomUUID();
    const own = operationContext(context, { id, headers, startedMs: clock.monotonicMs(), cancellation });
    const leave = place(load);
    const over = () => {
      leave();
      operations.delete(cancellation);
      account(context, own);
      operationLog.write(own, context.id);
      if (operations.size === 0) connection.finished?.();
    };
    const all = this.#options.operations;
    const outcome = all.enter(own) ?? all.run(own, parameters, delivery);
    if ('kind' in outcome && outcome.kind === 'refused') {
      over();
      return asSent(outcome.result);
    }
    operations.add(cancellation);
    // One that waits for events is no load; their number is bounded by `subscriptions`.
    void kindOf(outcome).then((kind) => kind === 'events' && leave());
    const results = new ResultStream<Result>({
      items: resultsOf(outcome),
      format: (result) => result,
      fail(error) {
        log.error({ requestId: own.id, err: error }, 'an operation failed');
        return refusedResult(refusedAs(toWeirError(error)), own);
      },
    });
    results.onEnd(() => {
      // The client may have lost interest: then this is what ends the work.
      cancellation.cancel(new WeirError('CLIENT_CLOSED_REQUEST'));
      void endOf(outcome).then(over);
    });
    return results;
  }
}

/** Browsers say `no-cache` of every handshake. It is about that alone (RFC 9111 §5.2.1), not about what is asked for on the socket. */
function withoutCacheControl(headers: Headers): Headers {
  const others = { ...headers };
  delete others['cache-control'];
  delete others.pragma;
  return others;
}

function parametersOf(payload: object): GraphqlParameters | WeirError {
  try {
    return readParameters(payload);
  } catch (error) {
    return toWeirError(error);
  }
}

/** graphql-ws takes no operation without `query`, which one that is named by its id need not have. */
function withQuery(text: string): string {
  if (text.includes('"query"') || !(text.includes('"documentId"') || text.includes('"persistedQuery"'))) return text;
  try {
    const message = JSON.parse(text) as { readonly type?: unknown; readonly payload?: object };
    return message.type === 'subscribe'
      ? JSON.stringify({ ...message, payload: { query: '', ...message.payload } })
      : text;
  } catch {
    return text;
  }
}

/** Takes a place among what is in flight. @returns what gives it back, once */
function place(load: LoadShedder): () => void {
  let taken = true;
  load.enter();
  return () => {
    if (taken) load.leave();
    taken = false;
  };
}

async function kindOf(outcome: Outcome | Promise<Outcome>): Promise<Outcome['kind'] | undefined> {
  try {
    return (await outcome).kind;
  } catch {
    return undefined;
  }
}

async function* resultsOf(outcome: Outcome | Promise<Outcome>): AsyncGenerator<Result, undefined, undefined> {
  const settled = await outcome;
  if ('results' in settled) yield* settled.results;
  else yield settled.result;
  return undefined;
}

async function endOf(outcome: Outcome | Promise<Outcome>): Promise<void> {
  try {
    const settled = await outcome;
    if ('results' in settled) await settled.results.return();
  } catch {
    // Said where it was waited for.
  }
}

function refusal({ context }: Connection, error: WeirError): readonly GraphQLError[] {
  return asSent(refusedResult(refusedAs(error), context));
}

/** graphql-ws looks into a document to choose between `execute` and `subscribe`. */
const nothingToExecute = { schema: buildSchema('type Query { nothing: Int }'), document: parse('{ nothing }') };

function asSent({ errors = [] }: Result): readonly GraphQLError[] {
  return errors.map((error) => new SentError(error));
}

/** An error that is ready to be sent, in the class that graphql-ws asks for. */
class SentError extends GraphQLError {
  readonly #formatted: GraphQLFormattedError;

  constructor(formatted: GraphQLFormattedError) {
    super(formatted.message);
    this.#formatted = formatted;
  }

  override toJSON(): GraphQLFormattedError {
    return this.#formatted;
  }
}
