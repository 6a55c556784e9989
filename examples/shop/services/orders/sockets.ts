/** The feed over WebSocket, and an echo that gives back whatever it is sent. */
import { type WebSocket, WebSocketServer } from 'ws';
import { Problem } from '../kit/problem.ts';
import type { Handler } from '../kit/router.ts';
import type { Upgrade, Upgrades } from '../kit/upgrade.ts';
import type { Feed } from './feed.ts';

const SUBPROTOCOL = 'orders.v1';

const PING = Buffer.from('ping');

/** Beyond this, a listener is cut off and an echo stops reading until its client does. */
const MAX_BEHIND_BYTES = 1024 * 1024;

export function orderSockets(feed: Feed): Upgrades {
  return {
    '/orders/live': accepting(64 * 1024, (socket, query) => {
      const unsubscribe = feed.subscribe(query.get('user_id'), ({ data }) => {
        if (socket.bufferedAmount > MAX_BEHIND_BYTES) socket.terminate();
        else socket.send(data);
      });
      socket.on('close', unsubscribe);
      socket.on('message', (message, isBinary) => {
        if (!isBinary && Buffer.isBuffer(message) && message.equals(PING)) socket.send('pong');
      });
    }),
    '/orders/echo': accepting(16 * 1024 * 1024, (socket) => {
      socket.on('message', (message, isBinary) => {
        socket.send(message, { binary: isBinary }, () => socket.resume());
        if (socket.bufferedAmount > MAX_BEHIND_BYTES) socket.pause();
      });
    }),
  };
}

/** For a request without an upgrade to a path that has nothing else. */
export const upgradeRequired: Handler = () => {
  throw new Problem(426, 'This path speaks WebSocket only.', {
    headers: { upgrade: 'websocket', connection: 'Upgrade' },
  });
};

function accepting(maxPayload: number, welcome: (socket: WebSocket, query: URLSearchParams) => void): Upgrade {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload,
    handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
  });
  return (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (accepted) => {
      // A frame that breaks the protocol closes the connection by itself; there is nothing to add.
      accepted.on('error', () => {});
      welcome(accepted, new URLSearchParams(request.url?.split('?')[1]));
    });
  };
}
