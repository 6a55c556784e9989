import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { buildConnector, Pool, type Dispatcher } from 'undici';
import type { UpstreamSettings } from './settings.ts';

/** An idle connection is given up well before common servers close theirs (Node 5 s, nginx 75 s), to race them rarely. */
const keepAliveMs = 4_000;

/** The connections to one endpoint, one kind for each form of the exchange. */
export interface Connections {
  /** Of the buffered form. */
  readonly pool: Dispatcher;
  /** Of the streaming form. */
  readonly agent: HttpAgent;
}

/** How an upstream's endpoints are connected to. */
export interface Transport {
  /** The same for two transports whose connections may stand in for each other: settings, and the content of TLS files. */
  readonly key: string;
  /** Makes the connections of one endpoint; nothing is connected before the first call. */
  open(origin: string): Connections;
}

/**
 * Reads what connections need, TLS files included.
 * @throws {Error} when a TLS file cannot be read
 */
export function transportOf(settings: UpstreamSettings): Transport {
  const { connectTimeout, idleTimeout, maxConnections } = settings;
  const tls = settings.tls && {
    ...(settings.tls.ca !== undefined && { ca: readFileSync(settings.tls.ca, 'utf8') }),
    ...(settings.tls.cert !== undefined && { cert: readFileSync(settings.tls.cert, 'utf8') }),
    ...(settings.tls.key !== undefined && { key: readFileSync(settings.tls.key, 'utf8') }),
    ...(settings.tls.serverName !== undefined && { servername: settings.tls.serverName }),
  };
  const connector = buildConnector({ timeout: connectTimeout, allowH2: false, ...tls });
  return {
    key: JSON.stringify([connectTimeout, idleTimeout, maxConnections, tls]),
    open(origin) {
      const pool = new Pool(origin, {
        // Calls are bounded by their slots; health checks have none.
        connections: maxConnections + 1,
        pipelining: 1,
        allowH2: false,
        keepAliveTimeout: keepAliveMs,
        // Attempt timeout and deadline are layers; undici's own would be a second opinion.
        headersTimeout: 0,
        bodyTimeout: idleTimeout,
        connect: (options, callback) =>
          connector(options, (...connected) => {
            connected[1]?.prependListener('error', nameReset);
            callback(...connected);
          }),
      });
      const agentOptions = { keepAlive: true, maxSockets: maxConnections, maxFreeSockets: 16 };
      const agent = origin.startsWith('https:')
        ? new HttpsAgent({ ...agentOptions, ...tls })
        : new HttpAgent(agentOptions);
      agent.on('free', (socket: Socket) => socket.setTimeout(keepAliveMs));
      return { pool, agent };
    },
  };
}

/**
 * undici takes a reset for the orderly end of a body that has no length. A body that ends with its connection is complete
 * only if that was closed in order (RFC 9112 §8), so the error goes by another name before undici looks at it.
 */
function nameReset(error: NodeJS.ErrnoException): void {
  if (error.code === 'ECONNRESET') error.code = 'WEIR_RESET';
}
