import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { systemClock, type Clock } from '#core/clock.ts';
import type { Logger } from '#core/log.ts';
import type { Control } from '#gateway/control/control.ts';
import type { CommandReport } from '#gateway/control/override.ts';
import type { ReloadReport } from '#gateway/control/reload.ts';
import type { KeyAdministration } from '#policies/auth/api-keys/administration.ts';
import { listenAt } from '#gateway/http/listen-at.ts';
import type { AuditLog } from '#gateway/telemetry/audit-log.ts';
import type { AdminSettings } from '#gateway/http/settings.ts';
import { authorize, guardOrigin } from './guard.ts';
import { operatorFrom, purgeRequest, removeCommand, setCommand, storedQuestion } from './operator-requests.ts';
import type { Parsed } from './parsed.ts';
import { spendQuestion } from './spend-question.ts';
import { usesOf } from '#gateway/uses/question.ts';
import { serveKeys } from './keys.ts';
import { errorHandler, sendProblem } from './problem.ts';
import { serve } from './serve.ts';

/** In which a request must be there, head and body; and how long a connection may be silent. */
const timeouts = { headersMs: 10_000, requestMs: 30_000, idleMs: 75_000 };
const maxHeaderBytes = 16 * 1024;
const maxBody = '16kb';
/** Probes, scrapers and people are few. */
const maxConnections = 1_024;

export interface AdminOptions {
  readonly settings: AdminSettings;
  readonly control: Control;
  /** Where it is written what failed here. */
  readonly log: Logger;
  /** Who reloaded, and who was not let in. */
  readonly audit: AuditLog;
  /** Carries changes by operators out, in this gateway or in all that share a store. */
  readonly changes: Pick<Control, 'apply'>;
  /** Undefined where nothing is shared, so that no key can be issued. */
  readonly keys: KeyAdministration | undefined;
  readonly clock?: Clock;
}

/**
 * The operators' listener, apart from the public one, so that no flood there keeps a probe or an engineer out. Health is
 * open to whoever reaches it; the rest asks for the token where one is configured.
 */
export class AdminServer {
  readonly #settings: AdminSettings;
  readonly #control: Control;
  readonly #log: Logger;
  readonly #audit: AuditLog;
  readonly #changes: Pick<Control, 'apply'>;
  readonly #keys: KeyAdministration | undefined;
  readonly #clock: Clock;
  readonly #server: Server;

  constructor({ settings, control, log, audit, changes, keys, clock = systemClock }: AdminOptions) {
    this.#settings = settings;
    this.#control = control;
    this.#log = log;
    this.#audit = audit;
    this.#changes = changes;
    this.#keys = keys;
    this.#clock = clock;
    this.#server = createServer(
      {
        maxHeaderSize: maxHeaderBytes,
        headersTimeout: timeouts.headersMs,
        requestTimeout: timeouts.requestMs,
        connectionsCheckingInterval: 1_000,
        // Nothing here speaks another protocol: an upgrade is answered as the plain request that it is too (RFC 9110 §7.8).
        shouldUpgradeCallback: () => false,
      },
      this.#express(),
    );
    this.#server.maxConnections = maxConnections;
    this.#server.setTimeout(timeouts.idleMs);
  }

  listen(): Promise<AddressInfo> {
    return listenAt(this.#server, this.#settings);
  }

  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    return closed;
  }

  #express(): Express {
    const control = this.#control;
    const app = express();
    app.disable('x-powered-by');
    app.disable('etag');
    app.set('query parser', 'simple');
    app.use(plainly, guardOrigin(this.#settings, this.#audit));
    serve(app, '/livez', { GET: (_request, response) => void response.json({ status: 'live' }) });
    serve(app, '/readyz', {
      GET: async (_request, response) => {
        const report = await control.readiness();
        response.status(report.status === 'ready' ? 200 : 503).json(report);
      },
    });
    app.use(authorize(this.#settings, this.#audit), jsonOnly, express.json({ limit: maxBody }));
    serve(app, '/metrics', {
      GET: async (_request, response) =>
        void response.type('text/plain; version=0.0.4; charset=utf-8').send(await control.metrics()),
    });
    this.#serveState(app);
    this.#serveChanges(app);
    serveKeys(app, this.#keys, this.#audit);
    app.use((_request, response) =>
      sendProblem(response, { status: 404, title: 'There is no such admin path', paths }),
    );
    app.use(errorHandler(this.#log));
    return app;
  }

  #serveState(app: Express): void {
    const control = this.#control;
    serve(app, '/admin/status', {
      GET: async (_request, response) => void response.json(await control.status()),
    });
    serve(app, '/admin/upstreams', {
      GET: async (_request, response) => void response.json(await control.upstreams()),
    });
    serve(app, '/admin/upstreams/:name', {
      GET: async ({ params }, response) => {
        const all = await control.upstreams();
        const found = all.find(({ name }) => name === params.name);
        if (found) response.json(found);
        else {
          const known = all.map(({ name }) => name);
          sendProblem(response, { status: 404, title: 'There is no such upstream', known });
        }
      },
    });
    serve(app, '/admin/uses', {
      GET: async ({ query: { of } }, response) =>
        void response.json(usesOf(await control.uses(), typeof of === 'string' ? of : undefined)),
    });
    serve(app, '/admin/spend', {
      GET: (request, response) =>
        withParsed(
          spendQuestion(request.query),
          response,
          async (question) => void response.json(await control.spend(question)),
        ),
    });
    serve(app, '/admin/cache', {
      GET: (request, response) =>
        withParsed(
          storedQuestion(request),
          response,
          async (question) => void response.json(await control.stored(question)),
        ),
    });
    serve(app, '/admin/config', {
      GET: async (_request, response) => void response.json(await control.configuration()),
    });
  }

  #serveChanges(app: Express): void {
    const control = this.#control;
    serve(app, '/admin/overrides', {
      GET: async (_request, response) => void response.json(await control.overrides()),
      POST: (request, response) =>
        withParsed(setCommand(request, this.#clock.epochMs()), response, async (command) =>
          tell(response, await this.#changes.apply(command)),
        ),
      DELETE: (request, response) =>
        withParsed(removeCommand(request), response, async (command) =>
          tell(response, await this.#changes.apply(command)),
        ),
    });
    serve(app, '/admin/overrides/:id', {
      DELETE: (request, response) =>
        withParsed(removeCommand(request, String(request.params.id)), response, async (command) =>
          tell(response, await this.#changes.apply(command)),
        ),
    });
    serve(app, '/admin/cache/purge', {
      POST: (request, response) =>
        withParsed(purgeRequest(request), response, async ({ what, operator }) => {
          const purged = await control.purge(what);
          this.#audit.warn({ happened: 'cache purged', ...what, purged, ...operator }, 'operator');
          response.json({ purged });
        }),
    });
    for (const action of ['reload', 'rollback'] as const) {
      serve(app, `/admin/${action}`, {
        POST: (request, response) =>
          withParsed(operatorFrom(request), response, async (operator) => {
            const report: ReloadReport = await control[action]();
            this.#audit.warn({ happened: action, ok: report.ok, hash: report.hash, ...operator }, 'operator');
            // 422: the call was understood, the file is wrong.
            response.status(report.ok ? 200 : 422).json(report);
          }),
      });
    }
  }
}

/** For who lost the way. */
const paths = [
  'GET /livez',
  'GET /readyz',
  'GET /metrics',
  'GET /admin/status',
  'GET /admin/upstreams',
  'GET /admin/upstreams/NAME',
  'GET /admin/spend',
  'GET /admin/uses',
  'GET /admin/cache',
  'GET /admin/config',
  'GET, POST, DELETE /admin/overrides',
  'DELETE /admin/overrides/ID',
  'GET, POST /admin/keys',
  'GET, DELETE /admin/keys/ID',
  'POST /admin/keys/ID/rotate',
  'POST /admin/cache/purge',
  'POST /admin/reload',
  'POST /admin/rollback',
] as const;

/** What is said here is of now, and for no page to show. */
function plainly(_request: Request, response: Response, next: NextFunction): void {
  response.set({
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
  });
  next();
}

/** A form or a text, which a page may send anywhere without asking (Fetch §2.2.2), is none of ours. */
function jsonOnly(request: Request, response: Response, next: NextFunction): void {
  const { 'content-type': type, 'content-length': length, 'transfer-encoding': coding } = request.headers;
  const hasBody = coding !== undefined || (length !== undefined && length !== '0');
  if (type === undefined ? !hasBody : /^application\/json\s*(;|$)/i.test(type)) next();
  else
    sendProblem(response, {
      status: 415,
      title: 'The content type is not supported',
      detail: 'Send the body as application/json.',
    });
}

function withParsed<T>(parsed: Parsed<T>, response: Response, act: (value: T) => Promise<void>): Promise<void> | void {
  if (parsed.ok) return act(parsed.value);
  const detail = `${parsed.errors.join('. ')}.`;
  sendProblem(response, { status: 400, title: 'The request cannot be understood', detail });
}

function tell(response: Response, report: CommandReport): void {
  if (report.ok) {
    const { ok: _, ...told } = report;
    response.status(report.set ? 201 : 200).json(told);
    return;
  }
  const status = report.why === 'unknown' ? 404 : 409;
  const title = report.why === 'unknown' ? 'There is no such target' : 'It cannot be done now';
  sendProblem(response, { status, title, detail: report.detail, ...(report.known && { known: report.known }) });
}
