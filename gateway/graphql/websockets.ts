import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { WebSocketServer, type WebSocket } from 'ws';
import type { RequestContext } from '#core/context.ts';
import { hopByHop } from '#core/headers.ts';
import type { Logger } from '#core/log.ts';
import type { TransportProtocol } from './transport-protocol.ts';

/** How often a client must show that it is still there. */
const keepAliveMs = 15_000;

/** The longest that operations may take to finish once no more are taken, as the host has it for requests. */
const finishTimeoutMs = 30_000;

/** What a client gets to answer our close frame. */
const closeTimeoutMs = 1_000;

/** RFC 6455 §7.4.1. */
const goingAway = 1001;

/** The WebSockets of the GraphQL path, from handshake to close. What is said on them is the protocol's. */
export class WebSockets {
  readonly #protocol: TransportProtocol;
  readonly #log: Logger;
  readonly #server: WebSocketServer;
  /** Those that have not been heard since the last ping, with the bytes that they then had yet to read. */
  readonly #silent = new Map<WebSocket, number>();
  #keepAlive: NodeJS.Timeout | undefined;

  constructor(protocol: TransportProtocol, log: Logger) {
    this.#protocol = protocol;
    this.#log = log;
    this.#server = new WebSocketServer({
      noServer: true,
      // A client that offers others only is told by none being chosen, then by close code 4406.
      handleProtocols: (offered) => offered.has(GRAPHQL_TRANSPORT_WS_PROTOCOL) && GRAPHQL_TRANSPORT_WS_PROTOCOL,
    });
  }

  /** Completes the handshake (RFC 6455 §4.2), or answers what is wrong with it. */
  upgrade(context: RequestContext, request: IncomingMessage, socket: Socket, head: Buffer): void {
    const server = this.#server;
    server.options.maxPayload = context.route!.maxBodyBytes;
    const addHeaders = (lines: string[]) => {
      for (const name in context.reply.headers) {
        if (!hopByHop.has(name)) lines.push(`${name}: ${String(context.reply.headers[name])}`);
      }
    };
    server.once('headers', addHeaders);
    server.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, context));
    server.off('headers', addHeaders);
  }

  /** Says goodbye to each client once its operations are over, and waits until it has gone, or for a second. */
  async close(): Promise<void> {
    const { clients } = this.#server;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    await Promise.all([...clients].map((client) => this.#leave(client)));
    clearInterval(this.#keepAlive);
    await closed;
  }

  async #leave(client: WebSocket): Promise<void> {
    const gone = new Promise((resolve) => client.once('close', resolve));
    const late = setTimeout(() => client.terminate(), finishTimeoutMs);
    await Promise.race([this.#protocol.finish(client), gone]);
    clearTimeout(late);
    const cut = setTimeout(() => client.terminate(), closeTimeoutMs);
    client.close(goingAway, 'Going away');
    await gone;
    clearTimeout(cut);
  }

  #open(webSocket: WebSocket, context: RequestContext): void {
    context.sustained = true;
    webSocket.on('error', (error) => this.#log.debug({ requestId: context.id, err: error }, 'websocket failed'));
    webSocket.on('pong', () => this.#silent.delete(webSocket));
    webSocket.on('close', () => this.#silent.delete(webSocket));
    this.#keepAlive ??= setInterval(() => this.#ping(), keepAliveMs).unref();
    this.#protocol.speak(webSocket, context);
  }

  /** Our ping stands behind what a slow client has yet to read; as long as it reads, it is there. */
  #ping(): void {
    for (const client of this.#server.clients) {
      const unread = this.#silent.get(client);
      if (unread !== undefined && client.bufferedAmount >= unread) {
        client.terminate();
        continue;
      }
      this.#silent.set(client, client.bufferedAmount);
      client.ping();
    }
  }
}
