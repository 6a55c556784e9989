import type { ClientRequest, IncomingMessage } from 'node:http';
import { createProxyMiddleware } from 'http-proxy-middleware';
import type { Endpoint } from '#upstreams/endpoint.ts';

/** A request that the library carries, and what it tells of it. */
export interface Proxied {
  /** In place of the request's own. */
  readonly path: string;
  readonly endpoint: Endpoint;
  /** A socket is there, perhaps still connecting; nothing has been written. */
  onRequest(outgoing: ClientRequest): void;
  /** The same of an upgrade, but that there need not be a socket yet. */
  onUpgradeRequest(outgoing: ClientRequest): void;
  onAnswer(answer: IncomingMessage): void;
  /** Of either side, at any time. */
  onFailure(error: Error): void;
}

/** By client request, since the library's events name nothing else. */
const running = new WeakMap<IncomingMessage, Proxied>();

/** To be said of each request before the library gets it. */
export function carry(request: IncomingMessage, exchange: Proxied): void {
  running.set(request, exchange);
}

/**
 * One instance for all: each subscribes to the end of every listener that it has seen a request of, and never leaves it, so
 * that one for an endpoint would outlive the endpoint. Its own plugins, which answer errors, are left out.
 */
export const proxy = createProxyMiddleware({
  changeOrigin: true,
  selfHandleResponse: true,
  ejectPlugins: true,
  // The options are a copy for this request.
  router(request, _response, options) {
    const { target, connections } = running.get(request)!.endpoint;
    options.agent = connections.agent;
    return target;
  },
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
