import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '#core/clock.ts';
import type { RequestContext } from '#core/context.ts';
import { toWeirError, WeirError } from '#core/errors.ts';
import { firstValue } from '#core/headers.ts';
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
import { readContentType } from './content-type.ts';
import { Documents } from './documents/documents.ts';
import type { TrustedDocuments } from './documents/trusted.ts';
import type { ChargeOperation } from './engine.ts';
import { ErrorFormat } from './error-format.ts';
import type { DemoKeys } from './graphiql-consumers.ts';
import { GraphiqlPage } from './graphiql.ts';
import { HttpExchange } from './http-exchange.ts';
import { OperationLog } from './operation-log.ts';
import { Operations } from './operations.ts';
import { Preparer } from './prepare.ts';
import { withIncrementalDelivery } from './schema.ts';
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
  readonly charge: ChargeOperation;
  readonly refusals: RefusalLog;
  readonly audit: Pick<AuditLog, 'denied'>;
  /** GraphQL documents that GraphiQL shows in tabs. Default: none. */
  readonly examples?: readonly string[];
  /** API keys that GraphiQL lets its user choose from, so no secrets. Default: none. */
  readonly demoKeys?: DemoKeys | undefined;
}

/** Where GraphQL is served: over HTTP, as server-sent events, over WebSocket. All stages of the pipeline lie before it. */
export interface GraphqlDoor {
  /** Answers through `context.reply`; `context.body` holds the whole body, if there is one. */
  handle(context: RequestContext): void;
  /** Takes over a connection that asks for a WebSocket. */
  upgrade(context: RequestContext, request: IncomingMessage, socket: Socket, head: Buffer): void;
  /** Goes on under other settings, with the connections and subscriptions it has. */
  configure(settings: GraphqlSettings, trusted: TrustedDocuments): void;
  /** Completes subscriptions and closes WebSockets (1001), and takes no more of them. */
  close(): Promise<void>;
}

export function createGraphqlDoor(options: GraphqlDoorOptions): GraphqlDoor {
  return new Door(options);
}

class Door implements GraphqlDoor {
  readonly #log: Logger;
  /** One object for as long as the door is open, so that its parts need not be told of a reload. */
  readonly #settings: GraphqlSettings;
  readonly #operations: Operations;
  readonly #openYogaLane: () => YogaLane;
  readonly #webSockets: WebSockets;
  readonly #graphiql: GraphiqlPage;
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
      charge,
      examples = [],
    } = options;
    const errors = new ErrorFormat(log);
    const operationLog = new OperationLog(log, clock, refusals, options.audit);
    const schema = withIncrementalDelivery(execution.schema);
    const settings = { ...first };
    const weightOf = (name: string) => options.upstream(name)?.settings.weight ?? perCall;
    const breakerOf = (name: string) => options.upstream(name)?.breaker.state;
    const preparer = new Preparer(phases, { schema, execution, settings, weightOf });
    const { trusted, store, used = () => {} } = options;
    const documents = new Documents({ settings, preparer, trusted, store, clock, log, meter });
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
      used,
      charge,
    };
    const operations = new Operations(engine);
    this.#log = log;
    this.#settings = settings;
    this.#operations = operations;
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
      this.#operations.admitEarly(context);
    } catch (thrown) {
      this.#refuse(context, thrown);
      return;
    }
    this.#answer(context).catch((thrown: unknown) => this.#refuse(context, thrown));
  }

  #refuse(context: RequestContext, thrown: unknown): void {
    const error = toWeirError(thrown);
    if (error.code === 'INTERNAL') this.#log.error({ requestId: context.id, err: error.cause }, 'request failed');
    replyWithError(context, error);
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
      await this.#graphiql.reply(context);
      return;
    }
    if (context.method === 'OPTIONS') {
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
    const contentType = context.method === 'POST' ? readContentType(context) : undefined;
    const exchange = new HttpExchange(context, accept, contentType);
    await writeResponse(await this.#yoga(exchange), exchange);
  }
}
