import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Agent } from 'node:http';
import { Readable, type Duplex } from 'node:stream';
import { resolve } from 'node:path';
import { createClient } from 'graphql-ws';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { FileGateway } from '../support/file-gateway.ts';
import { Load } from '../support/load.ts';
import { begin, RawClient, send, settle, until, type Answer } from '../support/raw-client.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

/** What is under way when another configuration takes over, and what is known by then. */

let service: TestServer;
let sockets: WebSocketServer;
let gateway: FileGateway;
/** Answers that the service holds back, by path. */
let held: Map<string, ServerResponse>;
let broken: boolean;
let healthy: boolean;
/** Times that it was asked for its health. */
let checks = 0;

beforeEach(async () => {
  held = new Map();
  broken = false;
  healthy = true;
  service = await startServer((request, response) => {
    const { pathname } = new URL(request.url!, 'http://service');
    request.resume();
    if (pathname === '/health') {
      checks++;
      response.writeHead(healthy ? 200 : 500).end();
    } else if (pathname.startsWith('/held')) held.set(pathname, response);
    else if (pathname === '/stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: first\n\n');
      held.set(pathname, response);
    } else if (broken) response.writeHead(500).end();
    else response.end(`thing ${request.socket.remotePort}`);
  });
  sockets = new WebSocketServer({ noServer: true });
  sockets.on('connection', (socket) => socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`)));
  service.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client, request)),
  );
});

afterEach(async () => {
  await gateway.stop();
  sockets.close();
  await service.close();
});

/** `generation` makes one configuration another; each has a path by which it is known. */
function config(generation: number, settings: object = {}, more: object = {}): object {
  return {
    modules: resolve('test/fixtures/graphql'),
    upstreams: {
      things: { endpoints: [service.url], retry: { attempts: 0 }, attemptTimeout: '1m', ...settings },
      others: { endpoints: [service.url], retry: { attempts: 0 }, attemptTimeout: '1m' },
    },
    routes: [
      { path: '/{*rest}', upstream: 'things', methods: ['GET', 'POST'] },
      { path: `/generation/${generation}`, upstream: 'others' },
    ],
    ...more,
  };
}

const started = async (settings: object = {}) => (gateway = await FileGateway.start(config(0, settings)));

let generation = 0;
/** Lets another configuration take over. */
async function reload(settings: object = {}, more: object = {}): Promise<void> {
  expect(await gateway.change(config(++generation, settings, more))).toMatchObject({ ok: true, changed: true });
}

const things = () => gateway.gateway.assembly.upstreams.get('things')!;

describe('Through a reload', () => {
  test('a connection stays open, and its next request meets the new configuration', async () => {
    await started();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async (path: string) => {
      const request = begin(gateway.url + path, { agent });
      const socketOf = once(request, 'socket');
      request.end();
      const [[socket], [answer]] = (await Promise.all([socketOf, once(request, 'response')])) as [
        [{ localPort: number }],
        [IncomingMessage],
      ];
      const port = socket.localPort;
      answer.resume();
      await once(answer, 'end');
      return { port, status: answer.statusCode };
    };
    const before = await ask('/generation/0');
    await reload({}, { routes: [{ path: '/after', upstream: 'things' }] });
    expect(await ask('/generation/0')).toEqual({ port: before.port, status: 404 });
    expect(await ask('/after')).toEqual({ port: before.port, status: 200 });
    agent.destroy();
  });

  test('a request that has begun to arrive is served, body and all', async () => {
    await started();
    const client = await RawClient.connect(gateway.url);
    client.head('POST /held/upload HTTP/1.1', 'Host: gateway', 'Content-Length: 200000').write('x'.repeat(100_000));
    await until(() => held.has('/held/upload'));
    await reload();
    client.write('x'.repeat(100_000));
    held.get('/held/upload')!.end('stored');
    expect(await client.until('stored')).toContain('200 OK');
    client.socket.destroy();
  });

  test('a stream of server-sent events goes on', async () => {
    await started();
    const client = await RawClient.connect(gateway.url);
    client.head('GET /stream HTTP/1.1', 'Host: gateway', 'Connection: close');
    await client.until('data: first');
    await reload();
    held.get('/stream')!.end('data: second\n\n');
    expect(await client.end()).toContain('data: second');
  });

  test('a WebSocket that is passed on goes on', async () => {
    await started();
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/socket`);
    await once(socket, 'open');
    const say = async (text: string) => {
      socket.send(text);
      const [data] = (await once(socket, 'message')) as [Buffer];
      return data.toString();
    };
    expect(await say('before')).toBe('echo before');
    await reload({ idleTimeout: '30s' });
    expect(await say('after')).toBe('echo after');
    socket.close();
    expect((await once(socket, 'close'))[0]).toBe(1005);
  });

  test('GraphQL subscriptions go on, over server-sent events and WebSocket', async () => {
    await started();
    const leaving = new AbortController();
    const events = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query: 'subscription { silent }' }),
      signal: leaving.signal,
    });
    expect(events.status).toBe(200);
    const client = createClient({ url: `${gateway.url.replace('http', 'ws')}/graphql`, webSocketImpl: WebSocket });
    const results = client.iterate({ query: 'subscription { silent }' });
    expect(await results.next()).toMatchObject({ value: { data: { silent: 1 } } });
    const open = async () => {
      const query = encodeURIComponent('{ openSilent }');
      return (await send(`${gateway.url}/graphql?query=${query}`)).json() as { data: { openSilent: number } };
    };
    expect((await open()).data.openSilent).toBe(2);
    await reload({}, { graphql: { maxDepth: 11 } });
    expect((await open()).data.openSilent).toBe(2);
    // The WebSocket takes further operations too.
    const counted = await client.iterate({ query: 'subscription { count }' }).next();
    expect(counted).toMatchObject({ value: { data: { count: 1 } } });
    leaving.abort();
    await results.return?.();
    await until(async () => (await open()).data.openSilent === 0);
    await client.dispose();
  });

  test('an upstream that is no more finishes what it has, then its connections are closed', async () => {
    await started({ health: { path: '/health', every: '100ms' } });
    const slow = gateway.get('/held/slow');
    await until(() => held.size === 1);
    const removed = things();
    const routes = [{ path: '/{*rest}', upstream: 'others' }];
    const upstreams = { others: { endpoints: [service.url] } };
    await reload({}, { upstreams, routes });
    expect((await gateway.get('/generation/0')).status).toBe(200);
    await settle();
    expect(removed.inFlight).toBe(1);
    held.get('/held/slow')!.end('at last');
    expect((await slow).text).toBe('at last');
    await until(() => service.connections.size === 1);
    expect(gateway.gateway.assembly.upstreams.has('things')).toBe(false);
    expect(removed.inFlight).toBe(0);
    // Nothing of it goes on: nobody asks it for its health.
    const checked = checks;
    await settle(300);
    expect(checks).toBe(checked);
  });

  test('it does so too when the request came under a configuration before the last', async () => {
    await started();
    const slow = gateway.get('/held/slow');
    await until(() => held.size === 1);
    await reload();
    await reload(
      {},
      { upstreams: { others: { endpoints: [service.url] } }, routes: [{ path: '/', upstream: 'others' }] },
    );
    await settle();
    held.get('/held/slow')!.end('at last');
    expect((await slow).text).toBe('at last');
    await until(() => service.connections.size === 0);
  });

  test('an endpoint that is no more does the same', async () => {
    await started();
    const slow = gateway.get('/held/slow');
    await until(() => held.size === 1);
    const other = await startServer((_request, response) => void response.end('other'));
    await reload({ endpoints: [other.url] });
    expect((await gateway.get('/x')).text).toBe('other');
    held.get('/held/slow')!.end('at last');
    expect((await slow).text).toBe('at last');
    await until(() => service.connections.size === 0);
    await other.close();
  });
});

describe('A reload knows, by name', () => {
  test('open connections to a service: not one is opened anew', async () => {
    await started();
    const first = (await gateway.get('/a')).text;
    for (let turn = 0; turn < 3; turn++) {
      await reload({ timeout: `${20 + turn}s` });
      // The service names the port that the call came from.
      expect((await gateway.get('/a')).text).toBe(first);
    }
    expect(service.connections.size).toBe(1);
  });

  test('an open breaker', async () => {
    await started({ breaker: { failures: 2, openFor: '1m' } });
    broken = true;
    await gateway.get('/a');
    await gateway.get('/b');
    expect(things().breaker.state).toBe('open');
    broken = false;
    await reload({ breaker: { failures: 2, openFor: '1m' } });
    expect((await gateway.get('/c')).status).toBe(503);
    // It is half-open as soon as its rest, as it is now, is over.
    await reload({ breaker: { failures: 2, openFor: '10ms', successes: 1 } });
    await settle();
    expect((await gateway.get('/d')).status).toBe(200);
    expect(things().breaker.state).toBe('closed');
  });

  test('an endpoint that is unhealthy; without health checks it counts as well again', async () => {
    const health = { path: '/health', every: '100ms', unhealthyAfter: 1 };
    await started({ health });
    healthy = false;
    await until(() => !things().endpoints[0]!.healthy);
    await reload({ health: { ...health, every: '1h' } });
    expect(things().endpoints[0]!.healthy).toBe(false);
    await reload({});
    expect(things().endpoints[0]!.healthy).toBe(true);
  });

  test('what was counted', async () => {
    await started();
    const count = async () =>
      (await send(`${gateway.adminUrl}/metrics`)).text
        .split('\n')
        .filter((line) => line.startsWith('http_server_request_duration_seconds_count'))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    for (let turn = 0; turn < 5; turn++) await gateway.get(`/a/${turn}`);
    const before = await count();
    expect(before).toBe(5);
    await reload();
    expect(await count()).toBe(before);
    await gateway.get('/a');
    expect(await count()).toBe(before + 1);
    expect(things().recent.snapshot().calls).toBe(6);
  });

  test('what an operator holds', async () => {
    await started();
    const body = JSON.stringify({ kind: 'upstream', target: 'things', action: 'open', for: '1m', by: 'test' });
    const headers = { 'content-type': 'application/json' };
    await send(`${gateway.adminUrl}/admin/overrides`, { method: 'POST', headers, body });
    await reload();
    expect((await gateway.get('/a')).status).toBe(503);
  });

  test('nothing of an upstream that was gone in between', async () => {
    await started({ breaker: { failures: 1, openFor: '1m' } });
    broken = true;
    await gateway.get('/a');
    broken = false;
    expect((await gateway.get('/a')).status).toBe(503);
    await reload(
      {},
      { upstreams: { others: { endpoints: [service.url] } }, routes: [{ path: '/', upstream: 'others' }] },
    );
    await reload({ breaker: { failures: 1, openFor: '1m' } });
    expect((await gateway.get('/a')).status).toBe(200);
  });
});

describe('Reloads under load', { timeout: 60_000 }, () => {
  test('leave nothing on the listener: each with an upload that is streamed over connections of its own', async () => {
    const listeners = new Set<Server>();
    const arrived = (message: unknown) => listeners.add((message as { server: Server }).server);
    subscribe('http.server.request.start', arrived);
    try {
      await started();
      const upload = (): Promise<Answer> =>
        send(`${gateway.url}/upload`, { method: 'POST', body: Readable.from(['x']) });
      expect((await upload()).text).toContain('thing');
      const listener = [...listeners].find((server) => server.listening && server !== service.server)!;
      const before = listener.listenerCount('close');
      for (let turn = 1; turn <= 15; turn++) {
        await reload({ idleTimeout: `${30 + turn}s` });
        expect((await upload()).text).toContain('thing');
      }
      expect(listener.listenerCount('close')).toBe(before);
    } finally {
      unsubscribe('http.server.request.start', arrived);
    }
  });

  test('lose no request, whatever they change of the upstream', async () => {
    await started();
    const load = new Load(gateway.url, { clients: 6, path: '/things', methods: ['GET', 'POST'] });
    const changes: object[] = [
      { timeout: '20s' },
      { maxInFlight: 64 },
      { connectTimeout: '3s' },
      { maxConnections: 16 },
      { balance: 'least-connections' },
      { retry: { attempts: 1 } },
      { endpoints: [{ url: service.url, weight: 2 }] },
    ];
    for (let turn = 0; turn < 21; turn++) {
      await load.more(20);
      await reload(changes[turn % changes.length]);
    }
    const sent = await load.stop();
    expect(load.failures).toEqual([]);
    expect(sent.length).toBeGreaterThanOrEqual(420);
  });
});
