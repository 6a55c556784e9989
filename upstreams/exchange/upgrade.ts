import { createHash } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { connectionTokens, hopByHop, type Headers } from '#core/headers.ts';

export interface Handshake {
  /** The upstream stays with HTTP. */
  readonly onAnswer: (answer: IncomingMessage) => void;
  /** @returns the client's socket, if the two are to be joined */
  readonly onUpgraded: (answer: IncomingMessage) => Socket | undefined;
  readonly onJoined: (client: Socket, peer: Socket) => void;
}

/**
 * Puts itself between the library and the answer to a handshake, which the library would pass on as it is: it is left to
 * join the sockets, and only where that is wanted. It listens itself from the end of the event on in which this is called.
 */
export function takeOver(outgoing: ClientRequest, { onAnswer, onUpgraded, onJoined }: Handshake): void {
  process.nextTick(() => {
    const joining = outgoing.listeners('upgrade');
    outgoing.removeAllListeners('response').once('response', onAnswer);
    outgoing.removeAllListeners('upgrade').once('upgrade', (answer, peer, head) => {
      const client = onUpgraded(answer);
      if (!client) {
        peer.destroy();
        return;
      }
      for (const join of joining) join.call(outgoing, answer, peer, head);
      onJoined(client, peer);
    });
  });
}

/** RFC 6455 §4.1: the upstream has heard this very handshake, so that what follows is frames and not HTTP. */
export function isWebSocket(answered: Headers, asked: Headers): boolean {
  const accept = createHash('sha1')
    .update(`${String(asked['sec-websocket-key'])}${webSocketGuid}`)
    .digest('base64');
  return String(answered.upgrade).toLowerCase() === 'websocket' && answered['sec-websocket-accept'] === accept;
}

const webSocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Of a 101: the handshake's own fields, and end-to-end ones (RFC 6455 §4.2.2). */
export function upgradeHeaders(received: Headers): Headers {
  const named = new Set(connectionTokens(received.connection));
  const headers: Headers = { connection: 'Upgrade', upgrade: 'websocket' };
  for (const name in received) {
    if (!hopByHop.has(name) && !named.has(name)) headers[name] = received[name];
  }
  return headers;
}
