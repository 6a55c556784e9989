/** A service on a port: finds the route, counts the request, asks the fault switch, answers. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { control, everyServices } from './builtin.ts';
import { createCounters } from './counters.ts';
import { deliver, deliverGarbage } from './deliver.ts';
import { createFaultSwitch, type Verdict } from './faults.ts';
import { Problem } from './problem.ts';
import { problem, type Reply } from './respond.ts';
import { type Match, type Request, router, type Routes } from './router.ts';
import type { ServiceName } from './shop.ts';
import { acceptUpgrades, type Upgrades } from './upgrade.ts';

export type Service = {
  name: ServiceName;
  /** Where its openapi.yaml lies. */
  document: URL;
  routes: Routes;
  /** WebSocket paths. */
  upgrades?: Upgrades;
};

export type Address = { host?: string; port?: number };

export type Running = { url: string; close: () => Promise<void> };

export async function listen(service: Service, { host = '127.0.0.1', port = 0 }: Address): Promise<Running> {
  const counters = createCounters();
  const faults = createFaultSwitch();
  const route = router({ ...everyServices(service.document), ...service.routes });
  const controlRoute = router(control(faults, counters));

  async function answer(raw: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = read(raw);
    const { method, path } = request;
    if (path.startsWith('/_fault') || path.startsWith('/_counters')) {
      return deliver(response, await replyTo(request, find(controlRoute, method, path)));
    }

    const match = find(route, method, path);
    const label = match instanceof Problem ? `${method} (no route)` : match.label;
    const isHealth = path === '/health';
    let cutByFault = false;
    if (isHealth) {
      counters.health(label);
    } else {
      const leave = counters.enter(label, `${method} ${raw.url}`);
      response.once('close', () => leave({ aborted: !response.writableFinished && !cutByFault }));
    }

    const verdict = faults.judge(method, raw.url!, isHealth);
    if (verdict?.latencyMs) {
      await sleep(verdict.latencyMs);
      if (response.destroyed) return;
    }
    if (verdict?.error) return deliver(response, problem(ordered(verdict.error)));
    const kind = verdict?.kind;
    if (kind === 'hang') {
      // Read on: a client that is still sending should wait for the answer, not for our buffers.
      raw.resume();
      return;
    }
    if (kind === 'reset') {
      cutByFault = true;
      raw.socket.resetAndDestroy();
      return;
    }
    if (kind === 'garbage') return deliverGarbage(response);
    cutByFault = kind === 'half-body' || kind === 'half-chunked';
    return deliver(response, await replyTo(request, match), kind);
  }

  const server = createServer(
    {
      // Longer than a gateway's pool keeps idle connections, so that it is never we who close first.
      keepAliveTimeout: 75_000,
      headersTimeout: 10_000,
      // An upload may take as long as it takes.
      requestTimeout: 0,
      // Any other upgrade (h2c, say) is ignored, as RFC 9110 §7.8 allows, and the request answered as it is.
      shouldUpgradeCallback: ({ url, headers }) =>
        headers.upgrade?.toLowerCase() === 'websocket' && Object.hasOwn(service.upgrades ?? {}, pathOf(url!)),
    },
    (raw, response) => {
      // What is thrown here is the client's going away in mid-answer: there is nobody left to tell.
      answer(raw, response).catch(() => response.destroy());
    },
  );
  const hangUp = acceptUpgrades(server, service.upgrades ?? {}, counters, faults);

  server.listen(port, host);
  await once(server, 'listening');
  return {
    url: urlOf(server.address()),
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      hangUp();
      await closed;
    },
  };
}

function read(raw: IncomingMessage): Request {
  const target = raw.url!;
  const path = pathOf(target);
  const query = new URLSearchParams(target.slice(path.length + 1));
  return { method: raw.method!, path, params: {}, query, raw };
}

function pathOf(target: string): string {
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}

/** A problem of routing is an answer like any other: it is counted and can be spoilt. */
function find(route: ReturnType<typeof router>, method: string, path: string): Match | Problem {
  try {
    return route(method, path);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

async function replyTo(request: Request, match: Match | Problem): Promise<Reply> {
  if (match instanceof Problem) return problem(match);
  try {
    return await match.handler({ ...request, params: match.params });
  } catch (error) {
    if (error instanceof Problem) return problem(error);
    if (request.raw.destroyed) throw error;
    process.stderr.write(
      `${request.method} ${request.path}: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
    return problem(new Problem(500, 'This is a fault of the service.'));
  }
}

function ordered({ status, retryAfter }: NonNullable<Verdict['error']>): Problem {
  const headers = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) };
  return new Problem(status, 'The fault switch is on.', { headers });
}

function urlOf(at: AddressInfo | string | null): string {
  if (at === null || typeof at === 'string') throw new Error('The server listens on no TCP port.');
  const { address, family, port } = at;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
