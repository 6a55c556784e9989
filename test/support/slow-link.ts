import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A way to a server on loopback that takes as long as a test says. */
export interface SlowLink {
  readonly port: number;
  /** Milliseconds from when an answer is there until it is given; what is on its way is as late as it was to be. */
  delayMs: number;
  close(): Promise<void>;
}

export async function startSlowLink(port: number): Promise<SlowLink> {
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    near.pipe(far);
    const waiting: Buffer[] = [];
    let dueMs = 0;
    far.on('data', (bytes: Buffer) => {
      const nowMs = performance.now();
      dueMs = Math.max(dueMs, nowMs + link.delayMs);
      waiting.push(bytes);
      const timer = setTimeout(() => {
        timers.delete(timer);
        // In the order in which it came, whichever timer is the first.
        near.write(waiting.shift()!);
      }, dueMs - nowMs);
      timers.add(timer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const link: SlowLink = {
    port: (server.address() as AddressInfo).port,
    delayMs: 0,
    async close() {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return link;
}
