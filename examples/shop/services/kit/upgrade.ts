/** WebSocket upgrades: counted and faulted like requests, as far as a fault has a meaning before the handshake. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Counters } from './counters.ts';
import type { FaultSwitch } from './faults.ts';

export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

export type Upgrades = Readonly<Record<string, Upgrade>>;

/** Returns what hangs up on every upgraded connection: once upgraded, the server itself no longer knows them. */
export function acceptUpgrades(
  server: Server,
  upgrades: Upgrades,
  counters: Counters,
  faults: FaultSwitch,
): () => void {
  const open = new Set<Duplex>();

  async function accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { url: target } = request;
    const path = target!.split('?', 1)[0]!;
    const leave = counters.enter(`GET ${path}`, `GET ${target}`);
    open.add(socket);
    // A client that is gone is no error of ours, and closing is how every WebSocket ends: it is never "aborted".
    socket.on('error', () => {});
    socket.once('close', () => {
      open.delete(socket);
      leave({ aborted: false });
    });

    const verdict = faults.judge('GET', target!, false);
    if (verdict?.latencyMs) await sleep(verdict.latencyMs);
    if (verdict?.error) {
      const { status, retryAfter } = verdict.error;
      const wait = retryAfter === undefined ? '' : `retry-after: ${retryAfter}\r\n`;
      socket.write(`HTTP/1.1 ${status} Fault\r\n${wait}connection: close\r\ncontent-length: 0\r\n\r\n`);
      request.socket.destroySoon();
    } else if (verdict?.kind === 'reset') {
      request.socket.resetAndDestroy();
    } else if (verdict?.kind === 'garbage') {
      socket.write('HTTP/1.1 101 \u0000\r\nupgrade: <html>\r\n');
      request.socket.destroySoon();
    } else if (verdict?.kind === 'hang') {
      // Nobody reads an upgraded socket for us, and one that is not read does not notice that its client has gone.
      socket.once('end', () => socket.destroy()).resume();
    } else {
      // There is no body that could come by halves or by drops: the other faults leave a WebSocket alone.
      upgrades[path]!(request, socket, head);
    }
  }

  server.on('upgrade', (request, socket, head) => {
    accept(request, socket, head).catch(() => socket.destroy());
  });
  return () => {
    for (const socket of open) socket.destroy();
  };
}
