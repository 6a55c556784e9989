import { once } from 'node:events';
import { createServer } from 'node:net';

const taken = new Set<number>();

/**
 * A port of the loopback address that nobody listens on, never the same twice, from below the range that systems give to
 * outgoing connections. @throws {Error} when there is none
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    if (taken.has(port)) continue;
    const probe = createServer().listen(port, '127.0.0.1');
    const free = await once(probe, 'listening').then(
      () => true,
      () => false,
    );
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    taken.add(port);
    return port;
  }
  throw new Error('There is no free port from 10000 to 32000.');
}
