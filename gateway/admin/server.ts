import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type NextFunction, type Request, type Response } from 'express';
import type { Upstream } from '#upstreams/upstream.ts';
import { listenAt } from '#gateway/http/listen-at.ts';
import type { AdminSettings } from '#gateway/http/settings.ts';
import type { Readiness } from '#gateway/readiness.ts';
import { upstreamStatus } from './upstream-status.ts';

export interface AdminOptions {
  readonly settings: AdminSettings;
  readonly readiness: Readiness;
  readonly upstreams: () => Iterable<Upstream>;
  readonly prometheus: () => Promise<string>;
}

/**
 * The operators' listener, apart from the public one, so that no flood there keeps a probe or an engineer out. Health is
 * open to whoever reaches it; the rest asks for the token where one is configured.
 */
export class AdminServer {
  readonly #options: AdminOptions;
  readonly #server: Server;

  constructor(options: AdminOptions) {
    this.#options = options;
    const { readiness, upstreams, prometheus } = options;
    const app = express();
    app.disable('x-powered-by');
    app.disable('etag');
    app.get('/livez', (_request, response) => void response.json({ status: 'live' }));
    app.get('/readyz', (_request, response) => {
      response.status(readiness.phase === 'ready' ? 200 : 503).json(readiness.report(upstreams()));
    });
    app.use(this.#authorize());
    app.get('/metrics', async (_request, response) => {
      response.type('text/plain; version=0.0.4; charset=utf-8').send(await prometheus());
    });
    app.get('/admin/upstreams', (_request, response) => void response.json([...upstreams()].map(upstreamStatus)));
    app.use((_request, response) => void response.status(404).json({ error: 'No such admin path.' }));
    this.#server = createServer(app);
  }

  listen(): Promise<AddressInfo> {
    return listenAt(this.#server, this.#options.settings);
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    return closed;
  }

  #authorize() {
    const { token } = this.#options.settings;
    const wanted = digest(`Bearer ${token}`);
    return (request: Request, response: Response, next: NextFunction) => {
      // Digests are of one length, so comparing them tells nothing of the token's.
      if (token === '' || timingSafeEqual(digest(request.headers.authorization ?? ''), wanted)) next();
      else
        response.status(401).set('www-authenticate', 'Bearer').json({ error: 'The admin token is missing or wrong.' });
    };
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
