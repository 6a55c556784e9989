import type { ClientRequest, IncomingMessage } from 'node:http';
import { createProxyMiddleware, type RequestHandler } from 'http-proxy-middleware';
import type { Endpoint } from '#upstreams/endpoint.ts';

/** A request that the library carries, and what it tells of it. */
export interface Proxied {
  /** In place of the request's own. */
  readonly path: string;
  /** A socket is there, perhaps still connecting; nothing has been written. */
  onRequest(outgoing: ClientRequest): void;
  /** The same of an upgrade, but that there need not be a socket yet. */
  onUpgradeRequest(outgoing: ClientRequest): void;
  onAnswer(answer: IncomingMessage): void;
  /** Of either side, at any time. */
  onFailure(error: Error): void;
}

/** One instance for the connections of an endpoint, since target and agent are its options. Its own plugins, which answer errors, are left out. */
export function proxyTo(endpoint: Endpoint, running: WeakMap<IncomingMessage, Proxied>): RequestHandler {
  return createProxyMiddleware({
    target: endpoint.target,
    agent: endpoint.connections.agent,
    changeOrigin: true,
    selfHandleResponse: true,
    ejectPlugins: true,
    pathRewrite: (_path, request) => running.get(request)?.path,
    plugins: [
      (server) => {
        server.on('proxyReq', (outgoing, request) => running.get(request)?.onRequest(outgoing));
        server.on('proxyRes', (answer, request) => running.get(request)?.onAnswer(answer));
        server.on('proxyReqWs', (outgoing, request) => running.get(request)?.onUpgradeRequest(outgoing));
        server.on('error', (error, request) => request && running.get(request)?.onFailure(error));
        server.on('econnreset', (error, request) => running.get(request)?.onFailure(error));
      },
    ],
  });
}
