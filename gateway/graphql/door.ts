import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import type { Criticality } from '#core/criticality.ts';
import { toWeirError, WeirError } from '#core/errors.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import type { Logger } from '#core/log.ts';
import type { Meter } from '#core/meter.ts';
import type { SharedStore } from '#core/shared-store.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { Execution } from '#resolvers/execution.ts';
import { perCall } from '#core/price.ts';
import type { Upstream } from '#upstreams/upstream.ts';
import { replyWithError } from '../http/error-reply.ts';
import type { AuditLog } from '../telemetry/audit-log.ts';
import type { RefusalLog } from '../telemetry/refusal-log.ts';
import { readAccept } from './accept.ts';
import { keptHeaders } from './answers/kept-answer.ts';
import { Answers, type AnswersOptions } from './answers/answers.ts';
import { readContentType } from './content-type.ts';
import { DirectLane } from './direct-lane.ts';
import { Documents } from './documents/documents.ts';
import type { TrustedDocuments } from './documents/trusted.ts';
import type { CurrentLimits } from './engine.ts';
import { ErrorFormat } from './error-format.ts';
import type { DemoKeys } from './graphiql-consumers.ts';
import { GraphiqlPage } from './graphiql.ts';
import { HttpExchange } from './http-exchange.ts';
import { OperationLog } from './operation-log.ts';
import { Operations } from './operations.ts';
import { peekContent, type GraphqlParameters } from './parameters.ts';
import { Preparer } from './prepare.ts';
import type { Refusal } from './refusal.ts';
import type { Result } from './result.ts';
import { withIncrementalDelivery } from './schema.ts';
import type { Delivery } from './selection.ts';
import type { GraphqlSettings } from './settings.ts';
import type { DocumentPhase } from './phases.ts';
import { TransportProtocol, type Admit } from './transport-protocol.ts';
import { WebSockets } from './websockets.ts';
import { writeResponse } from './write-response.ts';
import { createYogaLane, type YogaLane } from './yoga.ts';

export interface GraphqlDoorOptions {
  readonly settings: GraphqlSettings;
  /** What every document passes before it is executed, in order. */
  readonly phases: readonly DocumentPhase[];
  readonly execution: Execution;
  readonly trusted: TrustedDocuments;
  /** Where instances share what clients register; undefined where each is on its own. */
  readonly store: SharedStore | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly meter: Meter;
  /** Lets a WebSocket in by the payload of its `connection_init`. */
  readonly admit: Admit;
  readonly load: LoadShedder;
  /** By name, as it is now. */
  readonly upstream: (name: string) => Upstream | undefined;
  /** Told of each deprecated field that an operation selects, and whose it is. Default: nobody is. */
  readonly used?: (what: string, consumer: string) => void;
  readonly limits: CurrentLimits;
  readonly refusals: RefusalLog;
  readonly audit: Pick<AuditLog, 'denied'>;
  /** Where finished answers are kept. Default: they are not. */
  readonly answers?: Omit<AnswersOptions, 'clock' | 'meter'>;
  /** GraphQL documents that GraphiQL shows in tabs. Default: none. */
  readonly examples?: readonly string[];
  /** API keys that GraphiQL lets its user choose from, so no secrets. Default: none. */
  readonly demoKeys?: DemoKeys | undefined;
}

/** What an operation came to that was run for a route: its result, or why it was not executed. */
export interface OperationResult {
  readonly result: Result;
  readonly refusal: Refusal | undefined;
  /** Fields that say how long the result is good and for whom, where it may be kept; its `extensions` are for who asked alone. */
  readonly kept: Headers | undefined;
  /** Of what could have come from the store. */
  readonly cacheStatus: string | undefined;
}

/**
 * Runs an operation that is answered whole, as one that came by `/graphql` is run.
 * @param differs by the same URL somebody else may get another answer
 */
export type RunOperation = (
  context: RequestContext,
  parameters: GraphqlParameters,
  differs: boolean,
) => Promise<OperationResult>;

/** Where GraphQL is served: over HTTP, as server-sent events, over WebSocket. All stages of the pipeline lie before it. */
export interface GraphqlDoor {
  /** Answers through `context.reply`; `context.body` holds the whole body, if there is one. */
  handle(context: RequestContext): void;
  /** How much the operation of a POST matters; undefined where that is not known yet. */
  criticalityOf(headers: Headers, content: Buffer): Criticality | undefined;
  /** Takes over a connection that asks for a WebSocket. */
  upgrade(context: RequestContext, request: IncomingMessage, socket: Socket, head: Buffer): void;
  readonly run: RunOperation;
  /** Goes on under other settings, with the connections and subscriptions it has. */
  configure(settings: GraphqlSettings, trusted: TrustedDocuments): void;
  /** Completes subscriptions and closes WebSockets (1001), and takes no more of them. */
  close(): Promise<void>;
}

export function createGraphqlDoor(options: GraphqlDoorOptions): GraphqlDoor {
  return new Door(options);
}

/** Which methods may write is the route's to say. */
const whole: Delivery = { incremental: undefined, mutations: true, subscriptions: false };

class Door implements GraphqlDoor {
  readonly #log: Logger;
  readonly #clock: Clock;
  /** One object for as long as the door is open, so that its parts need not be told of a reload. */
  readonly #settings: GraphqlSettings;
  readonly #operations: Operations;
  readonly #direct: DirectLane;
  readonly #openYogaLane: () => YogaLane;
  readonly #webSockets: WebSockets;
  readonly #graphiql: GraphiqlPage;
  readonly #limits: CurrentLimits;
  #yoga: YogaLane;

  constructor(options: GraphqlDoorOptions) {
    const {
      settings: first,
      phases,
      execution,
      clock,
      log,
      meter,
      load,
      refusals,
      admit,
      limits,
      examples = [],
    } = options;
    const errors = new ErrorFormat(log);
    const operationLog = new OperationLog(log, clock, refusals, options.audit);
    const schema = withIncrementalDelivery(execution.schema);
    const settings = { ...first };
    const weightOf = (name: string) => options.upstream(name)?.settings.weight ?? perCall;
    const breakerOf = (name: string) => options.upstream(name)?.breaker.state;
    const readsOf = (name: string) => options.upstream(name)?.reads;
    const preparer = new Preparer(phases, { schema, execution, settings, weightOf });
    const { trusted, store, used = () => {} } = options;
    const documents = new Documents({ settings, preparer, trusted, store, clock, log, meter });
    const answers = options.answers && new Answers({ ...options.answers, clock, meter });
    const engine = {
      schema,
      execution,
      settings,
      documents,
      errors,
      clock,
      meter,
      load,
      log,
      weightOf,
      breakerOf,
      readsOf,
      used,
      limits,
      answers,
    };
    const operations = new Operations(engine);
    this.#log = log;
    this.#clock = clock;
    this.#limits = limits;
    this.#settings = settings;
    this.#operations = operations;
    this.#direct = new DirectLane(operations, clock, () => settings.graphiql, limits);
    this.#openYogaLane = () => createYogaLane({ settings, operations, errors, operationLog, load });
    this.#yoga = this.#openYogaLane();
    const protocol = new TransportProtocol({ settings, operations, operationLog, clock, log, load, admit });
    this.#webSockets = new WebSockets(protocol, log);
    this.#graphiql = new GraphiqlPage(examples, options.demoKeys);
  }

  configure(settings: GraphqlSettings, trusted: TrustedDocuments): void {
    const { path, maxBatch } = this.#settings;
    Object.assign(this.#settings, settings);
    // What documents were prepared to was decided by the limits of before.
    this.#operations.configure(trusted);
    // The two settings that Yoga keeps to itself.
    if (path !== settings.path || maxBatch !== settings.maxBatch) this.#yoga = this.#openYogaLane();
  }

  handle(context: RequestContext): void {
    try {
      // Before Yoga reads the request, which takes several times as long as to refuse it.
      const waiting = this.#operations.admitEarly(context);
      if (waiting) void waiting.then(() => context.reply.finished || this.#give(context));
      else this.#give(context);
    } catch (thrown) {
      this.#refuse(context, thrown);
    }
  }

  criticalityOf(headers: Headers, content: Buffer): Criticality | undefined {
    return this.#operations.criticalityOf(peekContent(headers, content));
  }

  #give(context: RequestContext): void {
    try {
      const given = this.#direct.give(context);
      if (given === true) return;
      if (given) {
        given.catch((thrown: unknown) => this.#refuse(context, thrown));
        return;
      }
    } catch (thrown) {
      this.#refuse(context, thrown);
      return;
    }
    this.#answer(context).catch((thrown: unknown) => this.#refuse(context, thrown));
  }

  readonly run: RunOperation = async (context, parameters, differs) => {
    const outcome = await this.#operations.run(context, parameters, whole);
    if (outcome.kind !== 'result' && outcome.kind !== 'refused')
      throw new Error(`an operation of a route has ${outcome.kind}`);
    if (outcome.kind === 'refused') {
      const { result, refusal } = outcome;
      return { result, refusal, kept: undefined, cacheStatus: undefined };
    }
    const { result, kept, cacheStatus } = outcome;
    if (!kept) return { result, refusal: undefined, kept: undefined, cacheStatus };
    const fields = keptHeaders({ ...kept, told: undefined }, context, this.#clock.epochMs(), differs);
    return { result, refusal: undefined, kept: fields, cacheStatus: String(fields['cache-status']) };
  };

  #refuse(context: RequestContext, thrown: unknown): void {
    const error = toWeirError(thrown);
    if (error.code === 'INTERNAL') this.#log.error({ requestId: context.id, err: error.cause }, 'request failed');
    const telling = this.#limits().tell(context);
    if (telling) void telling.then(() => replyWithError(context, error));
    else replyWithError(context, error);
  }

  upgrade(context: RequestContext, request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#webSockets.upgrade(context, request, socket, head);
  }

  async close(): Promise<void> {
    await this.#operations.close();
    // What has ended says so before its socket does.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#webSockets.close();
  }

  async #answer(context: RequestContext): Promise<void> {
    if (this.#settings.graphiql && GraphiqlPage.wanted(context)) {
      await this.#limits().tell(context);
      await this.#graphiql.reply(context);
      return;
    }
    if (context.method === 'OPTIONS') {
      await this.#limits().tell(context);
      context.reply.head(204, { allow: 'GET, HEAD, POST, OPTIONS' });
      context.reply.end();
      return;
    }
    const accept = readAccept(firstValue(context.headers.accept));
    if (accept.json === undefined && !accept.events && !accept.incremental) {
      throw new WeirError('NOT_ACCEPTABLE', {
        detail: 'Answers are application/graphql-response+json or application/json.',
      });
    }
    // An EventSource says so of every stream, since it is never answered from a client's own store; nobody has asked for it.
    if (accept.events && accept.json === undefined && isBareNoCache(context.headers)) {
      delete context.headers['cache-control'];
    }
    const contentType = context.method === 'POST' ? readContentType(context) : undefined;
    const exchange = new HttpExchange(context, accept, contentType);
    const response = await this.#yoga(exchange);
    // Of what was refused before it was charged, and of what costs nothing.
    const telling = this.#limits().tell(context);
    if (telling) await telling;
    await writeResponse(response, exchange, this.#clock);
  }
}

function isBareNoCache({ 'cache-control': control }: Headers): boolean {
  return typeof control === 'string' && control.trim().toLowerCase() === 'no-cache';
}
