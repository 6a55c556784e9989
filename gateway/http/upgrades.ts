import { ServerResponse, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/** Connections that asked for another protocol: node:http has handed them over, and looks after them no longer. */
export class Upgrades {
  /** What says goodbye to each; nothing yet while its protocol is being switched to, which is a request like any other. */
  readonly #leave = new Map<Socket, (() => void) | undefined>();
  #closing = false;

  /** @returns what the client is answered through: until the protocol has switched it is owed an HTTP answer */
  take(request: IncomingMessage, socket: Socket): ServerResponse {
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    response.once('finish', () => socket.destroySoon());
    // What node:http's server no longer does for a connection that it has handed over.
    socket.on('error', () => socket.destroy());
    socket.on('timeout', () => socket.destroy());
    socket.on('drain', () => response.emit('drain'));
    this.#leave.set(socket, undefined);
    socket.once('close', () => this.#leave.delete(socket));
    return response;
  }

  /** @param leave says goodbye in the words of the protocol that is spoken from now on */
  switched(socket: Socket, leave: () => void): void {
    this.#leave.set(socket, leave);
    // Once it is open.
    if (this.#closing) setImmediate(leave);
  }

  /** Says goodbye to all, and to each that is switched later. */
  close(): void {
    this.#closing = true;
    for (const leave of this.#leave.values()) leave?.();
  }

  destroy(): void {
    for (const socket of this.#leave.keys()) socket.destroy();
  }
}
