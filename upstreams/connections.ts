import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { buildConnector, Pool } from 'undici';
import { Endpoint } from './endpoint.ts';
import type { UpstreamSettings } from './settings.ts';

/** An idle connection is given up well before common servers close theirs (Node 5 s, nginx 75 s), to race them rarely. */
const keepAliveMs = 4_000;

/**
 * The connection budget of one upstream. Over HTTP/1.1 a call under way is a connection in use, so a slot per call bounds
 * both forms of the exchange with one number. Who waits here is already counted by the bulkhead, so the queue is bounded.
 */
export class ConnectionSlots {
  readonly #max: number;
  readonly #waiting = new Set<() => void>();
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get used(): number {
    return this.#used;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a slot if one is free. */
  take(): boolean {
    if (this.#used >= this.#max) return false;
    this.#used++;
    return true;
  }

  /** Calls `granted` once with a slot taken. The returned function leaves the queue. */
  wait(granted: () => void): () => void {
    this.#waiting.add(granted);
    return () => this.#waiting.delete(granted);
  }

  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#used--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

/** Endpoints with their pools. Nothing is connected before the first call. */
export function connect(settings: UpstreamSettings): Endpoint[] {
  const tls = settings.tls && {
    ...(settings.tls.ca !== undefined && { ca: readFileSync(settings.tls.ca) }),
    ...(settings.tls.cert !== undefined && { cert: readFileSync(settings.tls.cert) }),
    ...(settings.tls.key !== undefined && { key: readFileSync(settings.tls.key) }),
    ...(settings.tls.serverName !== undefined && { servername: settings.tls.serverName }),
  };
  const connector = buildConnector({ timeout: settings.connectTimeout, allowH2: false, ...tls });
  return settings.endpoints.map(({ url, weight, labels }) => {
    const pool = new Pool(new URL(url).origin, {
      // Calls are bounded by their slots; health checks have none.
      connections: settings.maxConnections + 1,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: keepAliveMs,
      // Attempt timeout and deadline are layers; undici's own would be a second opinion.
      headersTimeout: 0,
      bodyTimeout: settings.idleTimeout,
      connect: (options, callback) =>
        connector(options, (...connected) => {
          connected[1]?.prependListener('error', nameReset);
          callback(...connected);
        }),
    });
    const agentOptions = { keepAlive: true, maxSockets: settings.maxConnections, maxFreeSockets: 16 };
    const agent = url.startsWith('https:') ? new HttpsAgent({ ...agentOptions, ...tls }) : new HttpAgent(agentOptions);
    agent.on('free', (socket: Socket) => socket.setTimeout(keepAliveMs));
    return new Endpoint(url, weight, labels, pool, agent);
  });
}

/**
 * undici takes a reset for the orderly end of a body that has no length. A body that ends with its connection is complete
 * only if that was closed in order (RFC 9112 §8), so the error goes by another name before undici looks at it.
 */
function nameReset(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'WEIR_RESET';
}
