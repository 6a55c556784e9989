import { randomUUID } from 'node:crypto';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { Server as NetServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import express, { type Express, type Request, type Router } from 'express';
import type { RequestContext } from '#core/context.ts';
import { toWeirError, WeirError } from '#core/errors.ts';
import type { Logger } from '#core/log.ts';
import type { LoadShedder } from '#policies/overload/load-shedder.ts';
import type { Telemetry } from '#gateway/telemetry/telemetry.ts';
import { arrive, schemeOf, type Arrivals } from './arrival.ts';
import { plainIp } from './client-address.ts';
import { ClientConnection, type ConnectionOptions, type ParserError } from './connection.ts';
import { ConnectionLimit } from './connection-limit.ts';
import { EarlyBytes } from './early-bytes.ts';
import { hasBody } from './early-refusal.ts';
import { Entrance } from './entrance.ts';
import { replyWithError } from './error-reply.ts';
import { messagesOf } from './express-messages.ts';
import { listenAt } from './listen-at.ts';
import type { Pipeline } from './pipeline.ts';
import type { ListenSettings } from './settings.ts';
import { runStages } from './stages.ts';
import { showsWrongCertificate } from './tls.ts';
import { unreadable, unreadAnswer } from './unread.ts';
import { Upgrades } from './upgrades.ts';

export interface HostOptions {
  readonly settings: ListenSettings;
  /** Undefined for plain HTTP. */
  readonly tls: SecureContextOptions | undefined;
  readonly arrivals: Arrivals;
  readonly load: LoadShedder;
  readonly pages: Router;
  readonly log: Logger;
  /** Of what never becomes a request with a context. */
  readonly telemetry: Pick<Telemetry, 'connections' | 'refused' | 'connectionRefused'>;
  readonly begun: (context: RequestContext) => void;
  /** Says on a refusal what the client has left. A promise, which never rejects, only where that has to be asked. */
  readonly tell: (context: RequestContext) => void | Promise<void>;
  /** Called once for every request, when its last byte is out or its connection gone. */
  readonly settled: (context: RequestContext) => void;
}

const nothing = Buffer.alloc(0);

const nothingToDo = () => {};

/** Looks at the socket that find nothing to accept: under load the system is late itself with what it makes of packets. */
const quietLooks = 3;

/** How long to accept what still comes, when there is no such pause in it; for as long again one look is enough. */
const maxAcceptMs = 500;

/** How often connections are looked at; Node looks as often for heads that are late. */
const checkMs = 1_000;

/** The public listener: Express over node:http, and the one place that turns its requests into Weir's. */
export class HttpHost {
  readonly server: Server;
  readonly #options: HostOptions;
  readonly #upgrades = new Upgrades();
  #closing = false;
  readonly #connections = new Map<Socket, ClientConnection>();
  readonly #connectionOptions: ConnectionOptions;
  readonly #perIp: ConnectionLimit;
  readonly #entrance: Entrance;
  #pipeline: Pipeline;
  /** Connections that were opened before end with their next answer. */
  #drainedMs = Number.NEGATIVE_INFINITY;
  /** Connections accepted since the start. */
  #accepted = 0;
  /** Those that are open, whatever is spoken over them. */
  #open = 0;
  #emptied = nothingToDo;
  #checks: NodeJS.Timeout | undefined;

  constructor(pipeline: Pipeline, options: HostOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
    const { settings } = options;
    this.#connectionOptions = {
      readPace: options.arrivals.bodyPace,
      maxIdleMs: settings.keepAliveTimeout + settings.headersTimeout + 2 * checkMs,
      draining: (openedMs) => openedMs < this.#drainedMs,
      answerUnread: (cause, socket) => this.#answerUnread(cause, socket),
    };
    this.#perIp = new ConnectionLimit(settings.maxConnectionsPerIp);
    this.#entrance = new Entrance({
      load: options.load,
      arrivals: options.arrivals,
      telemetry: options.telemetry,
      maxHoldOffMs: settings.keepAliveTimeout,
      connectionOf: (socket) => this.#connectionOf(socket),
      pipeline: () => this.#pipeline,
    });
    const app = this.#express();
    const begin = (request: IncomingMessage, response: ServerResponse) => {
      // Express would answer what it cannot parse itself, past every stage.
      (request as Request).originalUrl = request.url ?? '';
      request.url = '/';
      app(request, response);
    };
    const serve = (request: IncomingMessage, response: ServerResponse) => {
      const connection = this.#connections.get(request.socket);
      // What had come with the certificate that was refused.
      if (!connection) request.socket.destroy();
      else if (connection.takes(request)) this.#entrance.take(request, response, begin);
      else connection.postpone(request, () => this.#entrance.take(request, response, begin));
    };
    this.server = this.#createServer(
      {
        ...messagesOf(app),
        maxHeaderSize: settings.maxHeaderBytes,
        headersTimeout: settings.headersTimeout,
        // The whole request; a body may take longer as long as bytes keep coming.
        requestTimeout: 0,
        keepAliveTimeout: settings.keepAliveTimeout,
        // Node looks for late clients only every 30 s by default, which makes any shorter timeout a fiction.
        connectionsCheckingInterval: checkMs,
        // The guard refuses both a missing Host and two of them, which it sees joined.
        requireHostHeader: false,
        joinDuplicateHeaders: true,
        // Whatever flags Node was started with.
        insecureHTTPParser: false,
        shouldUpgradeCallback: (request) => this.#mayUpgrade(request),
      },
      serve,
    );
    // Requests with an Expect header; else Node would ask for a body before anyone knows whether it is wanted.
    this.server.on('checkContinue', serve);
    this.server.on('checkExpectation', serve);
    // Of many header lines Node's parser would drop the last, perhaps those that say where the request ends. Their bytes are
    // bounded, and the guard counts them.
    this.server.maxHeadersCount = 0;
    // A client that shuts its side may still wait for its answer.
    Object.assign(this.server, { httpAllowHalfOpen: true });
    if (settings.tls) this.#listenToTls(this.server);
    else this.server.on('connection', (socket: Socket) => this.#accepts(socket) && this.#connected(socket));
    this.server.on('clientError', (error, socket) => this.#connections.get(socket as Socket)?.fail(error));
    this.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
    // It asks for a protocol too, if for one that the guard refuses; without a listener Node hangs up.
    this.server.on('connect', (request, socket, head) => this.#connect(request, socket as Socket, head));
  }

  listen(): Promise<AddressInfo> {
    this.#startChecks();
    return listenAt(this.server, this.#options.settings);
  }

  /** Instead of listening: others accept the connections. */
  serve(): void {
    this.#startChecks();
    // It is only then that Node begins to look for heads that are late, and to know which connections are idle.
    this.server.emit('listening');
  }

  /** Serves a connection that another process has accepted. @returns false when it takes none any more */
  take(connection: Socket): boolean {
    if (this.#closing) return false;
    // As Node has it for those that it accepts itself: one with TLS that ends in its handshake is over.
    connection.allowHalfOpen = this.#options.settings.tls === undefined;
    this.server.emit('connection', connection);
    return true;
  }

  #startChecks(): void {
    this.#checks = setInterval(() => {
      const nowMs = performance.now();
      for (const connection of this.#connections.values()) connection.check(nowMs);
    }, checkMs).unref();
  }

  /** From the next request on. @returns the pipeline that served so far */
  switchTo(pipeline: Pipeline): Pipeline {
    const former = this.#pipeline;
    this.#pipeline = pipeline;
    return former;
  }

  /**
   * From now on each connection that is open ends with its next answer, so that clients move on by themselves. One that is
   * opened meanwhile is by a client that knows of no other gateway: to send it away with each answer would only make it open
   * the next, and those are what is lost in the moment that nobody listens any more (docs/adr/0008).
   */
  drain(): void {
    this.#drainedMs = performance.now();
  }

  /**
   * Takes nothing new and waits for what is in flight; past `timeoutMs` what is left is cut off.
   * @param idleMs how long a connection on which nothing happens may still be asked something
   */
  async close(timeoutMs: number, idleMs = 0): Promise<void> {
    // What lies unread on those that are not listened to is in time yet.
    for (const connection of this.#connections.values()) connection.listen();
    await this.#acceptAll();
    this.#drainedMs = Number.POSITIVE_INFINITY;
    // Node's close for HTTP would close idle connections in the same moment, on which a request may be on its way.
    NetServer.prototype.close.call(this.server);
    const closed = new Promise<void>((resolve) => (this.#emptied = resolve));
    if (this.#open === 0) this.#emptied();
    const idleUntilMs = performance.now() + idleMs;
    const closeIdle = () => {
      const nowMs = performance.now();
      // One that has just been made was made to ask something.
      for (const connection of this.#connections.values()) if (connection.isNewAt(nowMs)) return;
      if (nowMs >= idleUntilMs) this.server.closeIdleConnections();
    };
    // A connection is idle only once its answer is out, so those in use now are looked at again.
    const idle = setInterval(closeIdle, 50);
    closeIdle();
    const cut = setTimeout(() => {
      this.server.closeAllConnections();
      this.#upgrades.destroy();
    }, timeoutMs);
    this.#closing = true;
    this.#upgrades.close();
    await closed;
    clearTimeout(cut);
    clearInterval(idle);
    clearInterval(this.#checks);
    // Its own timer.
    this.server.close();
  }

  /** Connections that the system has made, and nobody has accepted when the socket closes, are reset. */
  async #acceptAll(): Promise<void> {
    const endMs = performance.now() + maxAcceptMs;
    for (let quiet = 0; quiet < quietLooks;) {
      const seen = this.#accepted;
      await sleep(1);
      // Past the next look at the socket.
      await new Promise((resolve) => setImmediate(resolve));
      quiet = seen === this.#accepted ? quiet + 1 : 0;
      const lateMs = performance.now() - endMs;
      if (lateMs > maxAcceptMs || (lateMs > 0 && quiet > 0)) return;
    }
  }

  #express(): Express {
    const app = express();
    app.disable('x-powered-by');
    app.disable('etag');
    app.set('query parser', false);
    app.use((request, response, next) => this.#serve(request, response, next));
    app.use(this.#options.pages);
    return app;
  }

  #createServer(options: ServerOptions, serve: RequestListener): Server {
    const { settings, tls } = this.#options;
    if (!settings.tls) return createServer(options, serve);
    return createHttpsServer(
      {
        ...options,
        ...tls,
        handshakeTimeout: settings.headersTimeout,
        requestCert: settings.tls.clientCa !== undefined,
        rejectUnauthorized: settings.tls.clientCa !== undefined && settings.tls.clientCertificate === 'required',
        // HTTP/2 is not spoken, and who asks for nothing else should hear it now.
        ALPNProtocols: ['http/1.1'],
      },
      serve,
    );
  }

  /** Until its handshake is done a connection is nothing but a place taken. */
  #listenToTls(server: Server): void {
    server.on('connection', (socket: Socket) => void this.#accepts(socket));
    server.on('secureConnection', (socket: TLSSocket) => {
      // RFC 8446 §6.1: a client that has ended its side may still read.
      socket.allowHalfOpen = true;
      if (showsWrongCertificate(socket)) socket.destroy();
      else this.#connected(socket);
    });
  }

  /** For connections that are made from now on; those that are open stay. */
  renewTls(tls: SecureContextOptions): void {
    (this.server as HttpsServer).setSecureContext(tls);
  }

  /** Whether there is a place for one more connection. */
  #accepts(socket: Socket): boolean {
    this.#accepted++;
    const { telemetry, arrivals, settings } = this.#options;
    const clientIp = plainIp(socket.remoteAddress ?? '');
    if (this.#open >= settings.maxConnections) {
      telemetry.connectionRefused('total', { clientIp });
      socket.destroy();
      return false;
    }
    // A load balancer is many clients.
    const leave = arrivals.addresses.trusts(clientIp) ? nothingToDo : this.#perIp.take(clientIp);
    if (!leave) {
      telemetry.connectionRefused('per_ip', { clientIp });
      socket.destroy();
      return false;
    }
    this.#open++;
    telemetry.connections.add(1);
    socket.once('close', () => {
      leave();
      telemetry.connections.add(-1);
      if (--this.#open === 0) this.#emptied();
    });
    return true;
  }

  #connected(socket: Socket): void {
    this.#connections.set(socket, new ClientConnection(socket, this.#connectionOptions));
    socket.once('close', () => this.#connections.delete(socket));
  }

  /** Of a socket that requests come from. */
  #connectionOf(socket: Socket): ClientConnection {
    return this.#connections.get(socket)!;
  }

  /**
   * Others than WebSocket's (RFC 6455 §4.1) are ignored, as RFC 9110 §7.8 allows, and served over HTTP/1.1; so is one that has
   * content, or does not wait its turn. Node drops what came in one packet with those, and what follows could be anything.
   */
  #mayUpgrade(request: IncomingMessage): boolean {
    const connection = this.#connections.get(request.socket);
    if (!connection) return false;
    const { method, headers, httpVersion } = request;
    // RFC 9110 §7.8: HTTP/1.0 has no upgrades.
    const webSocket =
      httpVersion === '1.1' && method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' && !hasBody(request);
    if (webSocket && connection.free) return true;
    connection.endAfter(request);
    return false;
  }

  #begin(
    request: IncomingMessage,
    response: ServerResponse,
    closing: IncomingMessage | Socket | ServerResponse,
    pipeline: Pipeline,
    url: string,
  ): RequestContext {
    const { arrivals, load, settled, begun } = this.#options;
    const connection = this.#connectionOf(request.socket);
    const context = arrive(request, response, arrivals, connection, url, this.#entrance.cameMs);
    context.admitted = this.#entrance.admitted(request);
    context.inFlight = this.#entrance.inFlight;
    load.enter();
    pipeline.enter();
    connection.entered({ context, request, response });
    begun(context);
    closing.once('close', () => {
      // A protocol that was switched to ends when either side leaves, which cuts nothing short.
      const switched = response.statusCode === 101;
      if (switched) settled(context);
      else load.leave();
      if (!response.writableFinished) {
        // A response on an upgrade's socket does not see that end.
        response.destroy();
        context.cancellation.cancel(new WeirError('CLIENT_CLOSED_REQUEST'));
      }
      if (!switched) settled(context);
      pipeline.leave();
      connection.left(request);
      if (context.errorCode === 'OVERLOADED') connection.holdOff(this.#entrance.holdOffMs(request.socket));
    });
    return context;
  }

  #serve(request: Request, response: ServerResponse, next: () => void): void {
    const pipeline = this.#pipeline;
    const context = this.#begin(request, response, response, pipeline, request.originalUrl);
    const dispatch = () => {
      if (!pipeline.doors.dispatch(context, request, response)) return;
      for (const name in context.reply.headers) response.setHeader(name, context.reply.headers[name]!);
      const connection = this.#connectionOf(request.socket);
      if (connection.endsWith(response)) {
        response.setHeader('connection', 'close');
        connection.ending();
      }
      request.url = context.target;
      next();
    };
    runStages(pipeline.stages, context, dispatch, (error) => this.#refuse(context, error));
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const response = this.#upgrades.take(request, socket);
    this.#connectionOf(socket).switchProtocol();
    if (this.#entrance.refuses(request, response)) return;
    const pipeline = this.#pipeline;
    const context = this.#begin(request, response, socket, pipeline, request.url ?? '');
    context.upgrading = request.method === 'GET';
    const early = new EarlyBytes(socket, head);
    const switched = (leave = () => socket.destroySoon()) => {
      this.#upgrades.switched(socket, leave);
      // It may stay open for days, and may be idle: from here on it is a connection, bounded as such.
      this.#options.load.leave();
      response.statusCode = 101;
      response.detachSocket(socket);
      early.giveBack();
    };
    const dispatch = () => pipeline.doors.upgrade(context, request, socket, nothing, switched);
    runStages(pipeline.stages, context, dispatch, (error) => this.#refuse(context, error));
  }

  #connect(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // Node no longer looks after answers that are under way, and of one with content it gives no socket.
    if (this.#connections.get(request.socket)?.free && request.complete) this.#upgrade(request, socket, head);
    else request.socket.destroy();
  }

  #answerUnread(cause: ParserError, socket: Socket): string {
    const error = unreadable(cause);
    const requestId = randomUUID();
    this.#options.telemetry.refused({
      requestId,
      status: error.status,
      clientIp: plainIp(socket.remoteAddress ?? ''),
      error: error.code,
      cause: cause.message,
      scheme: schemeOf(socket),
    });
    return unreadAnswer(error, requestId);
  }

  #refuse(context: RequestContext, thrown: unknown): void {
    const error = toWeirError(thrown);
    if (error.code === 'INTERNAL') {
      this.#options.log.error({ requestId: context.id, err: error.cause }, 'request failed');
    }
    const telling = this.#options.tell(context);
    if (telling) void telling.then(() => replyWithError(context, error));
    else replyWithError(context, error);
  }
}
