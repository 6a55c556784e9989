import { freePort } from './ports.ts';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';

export interface TestUpstream {
  readonly url: string;
  readonly port: number;
  /** Requests in the order they came, bodies read. */
  readonly requests: ReceivedRequest[];
  /** Connections that are open now. */
  readonly connections: ReadonlySet<Socket>;
  close(): Promise<void>;
}

export interface ReceivedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: string;
  readonly sha256: string;
}

export type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A real HTTP service on a free port that reads each body whole and then answers as the test says. */
export async function startUpstream(handler: Handler, tls?: ServerOptions, at?: Place): Promise<TestUpstream> {
  const requests: ReceivedRequest[] = [];
  const server = await startServer(
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('error', () => response.destroy());
      request.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const body = bytes.toString();
        const { method, url, headers, rawHeaders } = request;
        requests.push({ method: method!, url: url!, headers, rawHeaders, body, sha256: sha256(bytes) });
        handler(request, response, body);
      });
    },
    tls,
    at,
  );
  return { ...server, requests };
}

export interface TestServer {
  readonly url: string;
  readonly port: number;
  readonly connections: ReadonlySet<Socket>;
  readonly server: Server;
  close(): Promise<void>;
}

/** Where a service listens, if not at a free port of 127.0.0.1. All of 127.0.0.0/8 is this machine. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/** The same without reading bodies, for services that stream. */
export async function startServer(
  listener: RequestListener,
  tls?: ServerOptions,
  { host, port: wanted }: Place = { host: '127.0.0.1', port: 0 },
): Promise<TestServer> {
  const server = tls ? createHttpsServer(tls, listener) : createServer(listener);
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.listen(wanted, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    connections,
    server,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

export interface RawUpstream {
  readonly url: string;
  readonly port: number;
  readonly connections: ReadonlySet<Socket>;
  close(): Promise<void>;
}

/** A service that speaks bytes instead of HTTP, for what a well-behaved server cannot do. */
export async function startRawUpstream(onConnection: (socket: Socket) => void): Promise<RawUpstream> {
  const connections = new Set<Socket>();
  const server = createTcpServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    socket.on('error', () => socket.destroy());
    onConnection(socket);
    // Whoever does not read does not see the other side leave either.
    if (socket.listenerCount('data') === 0) socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    connections,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** A service that reads a request, of whatever size, and answers it with these bytes; `after` says what then becomes of the connection. */
export function startScript(answer: string, after: 'end' | 'reset' | 'keep' = 'keep'): Promise<RawUpstream> {
  return startRawUpstream((socket) => {
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (!isWhole(received)) return;
      received = '';
      socket.write(answer, 'latin1', () => {
        if (after === 'end') socket.end();
        // Not before the bytes have gone out, or the reset would overtake them.
        else if (after === 'reset') setTimeout(() => socket.resetAndDestroy(), 20);
      });
    });
  });
}

function isWhole(request: string): boolean {
  const end = request.indexOf('\r\n\r\n');
  if (end < 0) return false;
  if (/\r\ntransfer-encoding: chunked/i.test(request)) return request.endsWith('\r\n0\r\n\r\n');
  return request.length >= end + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(request)?.[1] ?? 0);
}

/** A port that nobody listens at. */
export async function deadUrl(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`;
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
