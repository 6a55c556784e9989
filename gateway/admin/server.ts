import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type NextFunction, type Request, type Response } from 'express';
import { listenAt } from '#gateway/http/listen-at.ts';
import type { AdminSettings } from '#gateway/http/settings.ts';
import type { Control } from '#gateway/control/control.ts';
import type { ReloadReport } from '#gateway/control/reload.ts';

/**
 * The operators' listener, apart from the public one, so that no flood there keeps a probe or an engineer out. Health is
 * open to whoever reaches it; the rest asks for the token where one is configured.
 */
export class AdminServer {
  readonly #settings: AdminSettings;
  readonly #server: Server;

  constructor(settings: AdminSettings, control: Control) {
    this.#settings = settings;
    const app = express();
    app.disable('x-powered-by');
    app.disable('etag');
    app.get('/livez', (_request, response) => void response.json({ status: 'live' }));
    app.get('/readyz', async (_request, response) => {
      const report = await control.readiness();
      response.status(report.status === 'ready' ? 200 : 503).json(report);
    });
    app.use(this.#authorize());
    app.get('/metrics', async (_request, response) => {
      response.type('text/plain; version=0.0.4; charset=utf-8').send(await control.metrics());
    });
    app.get('/admin/upstreams', async (_request, response) => void response.json(await control.upstreams()));
    app.get('/admin/config', async (_request, response) => void response.json(await control.configuration()));
    app.post('/admin/reload', async (_request, response) => answer(response, await control.reload()));
    app.post('/admin/rollback', async (_request, response) => answer(response, await control.rollback()));
    app.use((_request, response) => void response.status(404).json({ error: 'No such admin path.' }));
    this.#server = createServer(app);
  }

  listen(): Promise<AddressInfo> {
    return listenAt(this.#server, this.#settings);
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    return closed;
  }

  #authorize() {
    const { token } = this.#settings;
    const wanted = digest(`Bearer ${token}`);
    return (request: Request, response: Response, next: NextFunction) => {
      // Digests are of one length, so comparing them tells nothing of the token's.
      if (token === '' || timingSafeEqual(digest(request.headers.authorization ?? ''), wanted)) next();
      else
        response.status(401).set('www-authenticate', 'Bearer').json({ error: 'The admin token is missing or wrong.' });
    };
  }
}

/** 422: the call was understood, the file is wrong. */
function answer(response: Response, report: ReloadReport): void {
  response.status(report.ok ? 200 : 422).json(report);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
