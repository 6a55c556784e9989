import { randomUUID } from 'node:crypto';
import { createServer, ServerResponse, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import express, { type Express, type Router } from 'express';
import type { RequestContext } from '#core/context.ts';
import { toWeirError, WeirError } from '#core/errors.ts';
import type { Gauge } from '#core/meter.ts';
import type { Logger } from '#core/log.ts';
import type { Load } from '#policies/overload/overload.ts';
import { arrive, type Arrivals } from './arrival.ts';
import { EarlyBytes } from './early-bytes.ts';
import { replyWithError } from './error-reply.ts';
import { listenAt } from './listen-at.ts';
import type { Listener } from './node-reply.ts';
import type { Pipeline } from './pipeline.ts';
import type { ListenSettings } from './settings.ts';
import { runStages } from './stages.ts';
import { unreadable, unreadAnswer } from './unread.ts';

export interface HostOptions {
  readonly settings: ListenSettings;
  readonly arrivals: Arrivals;
  readonly load: Load;
  readonly pages: Router;
  readonly log: Logger;
  /** Connections that clients have open. */
  readonly connections: Gauge;
  readonly begun: (context: RequestContext) => void;
  /** Called once for every request, when its last byte is out or its connection gone. */
  readonly settled: (context: RequestContext) => void;
}

const nothing = Buffer.alloc(0);

/** How long what a client still sends after its answer is read and thrown away. */
const lingerMs = 5_000;

/** The public listener: Express over node:http, and the one place that turns its requests into Weir's. */
export class HttpHost implements Listener {
  readonly server: Server;
  readonly stallTimeoutMs: number;
  readonly #options: HostOptions;
  /** Sockets that have left HTTP behind, and hence node:http's own accounts. */
  readonly #upgraded = new Set<Socket>();
  /** Requests under way on each connection. */
  readonly #pending = new Map<Socket, number>();
  #pipeline: Pipeline;
  #draining = false;

  constructor(pipeline: Pipeline, options: HostOptions) {
    this.#pipeline = pipeline;
    this.#options = options;
    const { settings } = options;
    this.stallTimeoutMs = settings.bodyTimeout;
    const app = this.#express();
    this.server = createServer(
      {
        maxHeaderSize: settings.maxHeaderBytes,
        headersTimeout: settings.headersTimeout,
        // The whole request; a body may take longer as long as bytes keep coming.
        requestTimeout: 0,
        keepAliveTimeout: settings.keepAliveTimeout,
        // Node looks for late clients only every 30 s by default, which makes any shorter timeout a fiction.
        connectionsCheckingInterval: 1_000,
        // The guard refuses both a missing Host and two of them, which it sees joined.
        requireHostHeader: false,
        joinDuplicateHeaders: true,
        // Others than WebSocket's (RFC 6455 §4.1) are ignored, as RFC 9110 §7.8 allows, and served over HTTP/1.1.
        shouldUpgradeCallback: (request) =>
          request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket',
      },
      app,
    );
    // Requests with an Expect header; else Node would ask for a body before anyone knows whether it is wanted.
    this.server.on('checkContinue', app);
    this.server.on('checkExpectation', app);
    this.server.maxConnections = settings.maxConnections;
    this.server.on('connection', (socket) => {
      options.connections.add(1);
      this.#pending.set(socket, 0);
      socket.once('close', () => {
        options.connections.add(-1);
        this.#pending.delete(socket);
      });
    });
    this.server.on('clientError', (error, socket) => this.#refuseUnread(error, socket as Socket));
    this.server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
  }

  listen(): Promise<AddressInfo> {
    return listenAt(this.server, this.#options.settings);
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** From the next request on. @returns the pipeline that served so far */
  switchTo(pipeline: Pipeline): Pipeline {
    const former = this.#pipeline;
    this.#pipeline = pipeline;
    return former;
  }

  /** From now on every answer closes its connection, so that clients move on by themselves. */
  drain(): void {
    this.#draining = true;
  }

  /** Takes nothing new and waits for what is in flight; past `timeoutMs` what is left is cut off. */
  async close(timeoutMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    // A connection is idle only once its answer is out, so those in use now are looked at again.
    const idle = setInterval(() => this.server.closeIdleConnections(), 50);
    this.server.closeIdleConnections();
    const cut = setTimeout(() => {
      this.server.closeAllConnections();
      for (const socket of this.#upgraded) socket.destroy();
    }, timeoutMs);
    for (const socket of this.#upgraded) socket.destroySoon();
    await closed;
    clearTimeout(cut);
    clearInterval(idle);
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

  #begin(
    request: IncomingMessage,
    response: ServerResponse,
    closing: IncomingMessage | Socket | ServerResponse,
    pipeline: Pipeline,
  ): RequestContext {
    const { arrivals, load, settled, begun } = this.#options;
    const { socket } = request;
    const context = arrive(request, response, arrivals, this);
    load.inFlight++;
    pipeline.enter();
    this.#pending.set(socket, (this.#pending.get(socket) ?? 0) + 1);
    begun(context);
    closing.once('close', () => {
      load.inFlight--;
      // A protocol that was switched to ends when either side leaves, which cuts nothing short.
      const switched = response.statusCode === 101;
      if (switched) settled(context);
      if (!response.writableFinished) {
        // A response on an upgrade's socket does not see that end.
        response.destroy();
        context.cancellation.cancel(new WeirError('CLIENT_CLOSED_REQUEST'));
      }
      if (!switched) settled(context);
      pipeline.leave();
      if (request.complete) this.#finished(socket);
      else if (!socket.destroyed) linger(request, () => this.#finished(socket));
    });
    return context;
  }

  #finished(socket: Socket): void {
    const pending = this.#pending.get(socket);
    if (pending !== undefined) this.#pending.set(socket, pending - 1);
  }

  #serve(request: IncomingMessage, response: ServerResponse, next: () => void): void {
    const pipeline = this.#pipeline;
    const context = this.#begin(request, response, response, pipeline);
    const dispatch = () => {
      if (!pipeline.doors.dispatch(context, request, response)) return;
      for (const name in context.reply.headers) response.setHeader(name, context.reply.headers[name]!);
      if (this.#draining) response.setHeader('connection', 'close');
      next();
    };
    runStages(pipeline.stages, context, dispatch, (error) => this.#refuse(context, error));
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // Until the protocol has switched the client is owed an HTTP answer, which a response object writes best.
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.once('finish', () => socket.destroySoon());
    // What node:http's server no longer does for a connection that it has handed over.
    socket.on('error', () => socket.destroy());
    socket.on('timeout', () => socket.destroy());
    socket.on('drain', () => response.emit('drain'));
    this.#upgraded.add(socket);
    socket.once('close', () => this.#upgraded.delete(socket));
    const pipeline = this.#pipeline;
    const context = this.#begin(request, response, socket, pipeline);
    const early = new EarlyBytes(socket, head);
    const switched = () => {
      response.statusCode = 101;
      response.detachSocket(socket);
      early.giveBack();
    };
    const dispatch = () => pipeline.doors.upgrade(context, request, socket, nothing, switched);
    runStages(pipeline.stages, context, dispatch, (error) => this.#refuse(context, error));
  }

  /** Node's parser has given up on what a client sends, or on waiting for it. */
  #refuseUnread(cause: Error & { readonly code?: string }, socket: Socket): void {
    // It says so again for everything that follows.
    if (socket.writableEnded) return;
    if (!socket.writable || cause.code === 'ECONNRESET' || (this.#pending.get(socket) ?? 0) > 0) {
      socket.destroy(cause);
      return;
    }
    const error = unreadable(cause);
    const requestId = randomUUID();
    this.#options.log.info(
      { requestId, clientIp: socket.remoteAddress, status: error.status, error: error.code, cause: cause.message },
      'request',
    );
    socket.end(unreadAnswer(error, requestId), 'latin1');
    const cut = setTimeout(() => socket.destroy(), lingerMs);
    socket.once('close', () => clearTimeout(cut));
  }

  #refuse(context: RequestContext, thrown: unknown): void {
    const error = toWeirError(thrown);
    if (error.code === 'INTERNAL') {
      this.#options.log.error({ requestId: context.id, err: error.cause }, 'request failed');
    }
    replyWithError(context, error);
  }
}

/**
 * A client that is still sending has perhaps not read its answer yet, which a closed connection would take from it
 * (RFC 9112 §9.6). What comes is thrown away, for a while.
 */
function linger(request: IncomingMessage, ended: () => void): void {
  request.resume();
  const cut = setTimeout(() => request.destroy(), lingerMs);
  request.once('close', () => {
    clearTimeout(cut);
    ended();
  });
}
