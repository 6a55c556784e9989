import { AsyncLocalStorage } from 'node:async_hooks';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { LookupFunction, Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { buildConnector, Pool, type Dispatcher } from 'undici';
import { lookupAt, pinnedLookup } from './discovery/names.ts';
import type { Endpoint } from './endpoint.ts';
import { watch } from './exchange/wire.ts';
import type { UpstreamSettings } from './settings.ts';

/** An idle connection is given up well before common servers close theirs (Node 5 s, nginx 75 s), to race them rarely. */
const keepAliveMs = 4_000;

/** The connections to one endpoint, one kind for each form of the exchange. */
export class Connections {
  /** Of the buffered form. */
  readonly pool: Dispatcher;
  /** Of the streaming form. */
  readonly agent: HttpAgent;
  #closed = false;

  constructor(pool: Dispatcher, agent: HttpAgent) {
    this.pool = pool;
    this.agent = agent;
  }

  /** Closes each connection once it is idle; takes no more calls. */
  drain(): void {
    const closed = () => void (this.#closed = true);
    this.pool.close().then(closed, closed);
    // Node keeps no connection that comes free above this number.
    this.agent.maxFreeSockets = 0;
    for (const sockets of Object.values(this.agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
  }

  /** Drained, but not empty yet. */
  get busy(): boolean {
    return !this.#closed || Object.keys(this.agent.sockets).length > 0;
  }

  async destroy(): Promise<void> {
    this.agent.destroy();
    await this.pool.destroy();
  }
}

/** How an upstream's endpoints are connected to. */
export interface Transport {
  /** The same for two transports whose connections may stand in for each other: settings, and the content of TLS files. */
  readonly key: string;
  /** Makes the connections of one endpoint; nothing is connected before the first call. */
  open(endpoint: Pick<Endpoint, 'url' | 'target'>): Connections;
}

/**
 * Calls outside of what is going on: a socket holds on to what it was opened in (`AsyncLocalStorage`), and a connection lasts
 * far longer than the call that it was opened for, and than the pipeline of that.
 */
const outside = AsyncLocalStorage.snapshot();

/**
 * Reads what connections need, TLS files included.
 * @throws {Error} when a TLS file cannot be read, or does not hold what it should
 */
export function transportOf(settings: UpstreamSettings): Transport {
  const { connectTimeout, idleTimeout, maxConnections, dns } = settings;
  const tls = settings.tls && {
    ...(settings.tls.ca !== undefined && { ca: readFileSync(settings.tls.ca, 'utf8') }),
    ...(settings.tls.cert !== undefined && { cert: readFileSync(settings.tls.cert, 'utf8') }),
    ...(settings.tls.key !== undefined && { key: readFileSync(settings.tls.key, 'utf8') }),
    ...(settings.tls.serverName !== undefined && { servername: settings.tls.serverName }),
  };
  if (tls) check(tls);
  // Where no servers are named, the system looks up, hosts file and all.
  const lookup = dns.servers.length > 0 ? lookupAt(dns.servers) : undefined;
  return {
    key: JSON.stringify([connectTimeout, idleTimeout, maxConnections, dns.servers, tls]),
    open({ url, target }) {
      const own = { ...tls, ...lookupOf(url, target, lookup) };
      const connector = buildConnector({ timeout: connectTimeout, allowH2: false, ...own });
      const pool = new Pool(target, {
        // Calls are bounded by their slots; health checks have none.
        connections: maxConnections + 1,
        pipelining: 1,
        allowH2: false,
        keepAliveTimeout: keepAliveMs,
        // Attempt timeout and deadline are layers; undici's own would be a second opinion.
        headersTimeout: 0,
        bodyTimeout: idleTimeout,
        connect: (options, callback) =>
          outside(connector, options, (...connected) => {
            if (connected[1]) watch(connected[1]);
            callback(...connected);
          }),
      });
      const agentOptions = { keepAlive: true, maxSockets: maxConnections, maxFreeSockets: 16, ...own };
      const agent = target.startsWith('https:') ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
      agent.on('free', (socket: Socket) => socket.setTimeout(keepAliveMs));
      return new Connections(pool, agent);
    },
  };
}

/**
 * How a connection gets from a name to an address. A discovered endpoint goes by the name that it was found under, and is
 * connected to at the very address that was found.
 */
function lookupOf(
  { hostname, origin }: URL,
  target: string,
  lookup: LookupFunction | undefined,
): { readonly lookup?: LookupFunction } {
  if (target !== origin) return { lookup: pinnedLookup(hostname.replace(/^\[|\]$/g, ''), lookup) };
  return lookup ? { lookup } : {};
}

interface TlsFiles {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A file that is half written, or the key of another certificate, is to show now rather than at the first call. */
function check({ ca, cert, key }: TlsFiles): void {
  try {
    if (ca !== undefined) readCertificate(ca);
  } catch (cause) {
    throw new Error(`ca holds no certificate (${(cause as Error).message})`, { cause });
  }
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    throw new Error(`cert and key are no certificate and its key (${(cause as Error).message})`, { cause });
  }
}

function readCertificate(pem: string): X509Certificate {
  return new X509Certificate(pem);
}
