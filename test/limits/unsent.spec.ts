import { createClient } from 'graphql-ws';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import type { TestConfig } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { send, until, type Answer } from '../support/raw-client.ts';
import { startUpstream, type Handler, type TestUpstream } from '../support/upstream.ts';

/** "A call that was never sent costs 0" (DESIGN.md, The budget's law), by either door. */

const key = { 'x-api-key': 'acme-key' };
const query = '{ things(first: 3) { owner { id } } }';

let service: TestUpstream;
let server: GraphqlServer;
/** Answers that the service holds back. */
const held: (() => void)[] = [];

afterEach(async () => {
  for (const answer of held.splice(0)) answer();
  await server.stop();
  await service.close();
});

const well: Handler = (_request, response) => void response.end('{}');
const holding: Handler = (_request, response) => void held.push(() => void response.end('{}'));

async function start(handler: Handler, settings: object, config: TestConfig = {}): Promise<void> {
  service = await startUpstream((request, response, body) => {
    response.setHeader('content-type', 'application/json');
    handler(request, response, body);
  });
  server = await startModules('test/fixtures/awaits', {
    upstreams: { owners: { endpoints: [service.url], retry: { attempts: 0 }, cache: false, ...settings } },
    routes: [{ path: '/v1/owners{/*rest}', upstream: 'owners', rewrite: '/owners{/*rest}' }],
    consumers: [{ id: 'acme', tier: 'pro', keys: [hashOf('acme-key')] }],
    tiers: { pro: { limits: [{ name: 'hour', algorithm: 'sliding-window', quota: 100, window: '1h' }] } },
    ...config,
  });
}

const rest = (path = '/v1/owners'): Promise<Answer> => send(server.url + path, { headers: key });
const operation = (text = query) => server.query(text, key);
const upstream = () => server.gateway.assembly.upstreams.get('owners')!;

async function left(): Promise<number> {
  const { limits } = (await rest('/limits')).json() as { limits: { remaining: number }[] };
  return limits[0]!.remaining;
}

/** Settled off the path of the answer. */
async function untilLeft(count: number): Promise<void> {
  await expect.poll(left).toBe(count);
}

const costOf = ({ body }: { readonly body: { readonly extensions?: Readonly<Record<string, unknown>> } }) =>
  body.extensions?.cost as { readonly actual: number; readonly remaining: number };

describe('A call that is refused before it is sent', () => {
  test('by an open breaker costs nothing, by REST or by an operation', async () => {
    await start(well, {});
    expect((await operation()).body.errors).toBeUndefined();
    expect((await rest()).status).toBe(200);
    await untilLeft(98);
    upstream().breaker.force('open');
    const answer = await operation();
    expect(answer.body.errors![0]!.extensions.code).toBe('UPSTREAM_UNAVAILABLE');
    expect(costOf(answer)).toMatchObject({ actual: 0, remaining: 98 });
    expect(answer.headers.get('x-weir-cost')).toBe('0');
    const refused = await rest();
    expect([refused.status, refused.json().code]).toEqual([503, 'UPSTREAM_UNAVAILABLE']);
    await untilLeft(98);
    expect(service.requests).toHaveLength(2);
  });

  test('by a full bulkhead costs nothing, and what fills it is paid', async () => {
    await start(holding, { maxInFlight: 1 });
    const first = rest('/v1/owners/1');
    await until(() => held.length === 1);
    const refused = await rest('/v1/owners/2');
    expect([refused.status, refused.json().code]).toEqual([503, 'UPSTREAM_OVERLOADED']);
    expect(costOf(await operation())).toMatchObject({ actual: 0 });
    await untilLeft(99);
    held.splice(0).forEach((answer) => answer());
    expect((await first).status).toBe(200);
    await untilLeft(99);
    expect(service.requests).toHaveLength(1);
  });

  test('by a deadline that ends while it waits for a connection costs nothing; one under way is paid', async () => {
    await start(holding, { maxConnections: 1 });
    const hurried = (path: string) => send(server.url + path, { headers: { ...key, 'x-weir-deadline-ms': '150' } });
    const first = rest('/v1/owners/1');
    await until(() => held.length === 1);
    // The one connection there may be is taken.
    expect((await hurried('/v1/owners/2')).status).toBe(504);
    const late = await server.query(query, { ...key, 'x-weir-deadline-ms': '150' });
    expect(costOf(late)).toMatchObject({ actual: 0 });
    held.splice(0).forEach((answer) => answer());
    expect((await first).status).toBe(200);
    await untilLeft(99);
    expect(service.requests).toHaveLength(1);
    expect((await hurried('/v1/owners/3')).status).toBe(504);
    await untilLeft(98);
    expect(service.requests).toHaveLength(2);
  });

  test('because nothing listens there costs nothing', async () => {
    await start(well, { endpoints: [`http://127.0.0.1:${await freePort()}`] });
    const { status, headers } = await rest();
    // What it may cost is reserved, and given back.
    expect([status, headers['x-ratelimit-remaining']]).toEqual([502, '99']);
    expect(costOf(await operation())).toMatchObject({ actual: 0, remaining: 100 });
    await untilLeft(100);
  });

  test('of a route with a cost of its own costs nothing either', async () => {
    await start(well, {}, { routes: [{ path: '/five', upstream: 'owners', cost: 5 }] });
    expect((await rest('/five')).status).toBe(200);
    await untilLeft(95);
    upstream().breaker.force('open');
    expect((await rest('/five')).status).toBe(503);
    await untilLeft(95);
  });
});

describe('A call that was sent', () => {
  test('is paid once, though its retry was refused', async () => {
    await start((_request, response) => void response.writeHead(503).end('{}'), {
      retry: { attempts: 2, backoff: '1ms' },
      breaker: { failures: 1, on: [503] },
    });
    expect((await rest()).status).toBe(503);
    await untilLeft(99);
    expect(service.requests).toHaveLength(1);
  });

  test('is paid though its answer breaks off, and though its client has left', async () => {
    await start((request, response) => {
      if (request.url?.endsWith('/broken')) request.socket.destroy();
      else holding(request, response, '');
    }, {});
    expect((await rest('/v1/owners/broken')).status).toBe(502);
    await untilLeft(99);
    const abort = new AbortController();
    const asked = fetch(`${server.url}/v1/owners/slow`, { headers: key, signal: abort.signal });
    await until(() => held.length === 1);
    abort.abort();
    await asked.catch(() => {});
    await untilLeft(98);
  });

  test('with a body that is passed on as it comes is paid, and one that never leaves is not', async () => {
    await start(well, {});
    const body = Buffer.alloc(200_000);
    const post = () => send(`${server.url}/v1/owners`, { method: 'POST', headers: key, body });
    expect((await post()).status).toBe(200);
    await untilLeft(99);
    upstream().breaker.force('open');
    expect((await post()).status).toBe(503);
    await untilLeft(99);
  });
});

describe('What was spent and what was called', () => {
  test('is told of sent calls alone: in the report, in the access log, in an explanation', async () => {
    await start(well, {});
    await rest();
    upstream().breaker.force('open');
    const refused = await rest();
    expect(await server.accessOf(String(refused.headers['x-request-id']))).toMatchObject({
      calls: 1,
      unsent: 1,
      error: 'UPSTREAM_UNAVAILABLE',
    });
    const { body } = await server.query(query, { ...key, 'x-weir-explain': 'run' });
    expect(body.extensions!.explain).toMatchObject({
      fields: expect.arrayContaining([
        expect.objectContaining({
          path: 'things.owner',
          breaker: 'open',
          actual: { calls: 0, cost: 0, failed: 0, refused: 1, ms: 0, slowestMs: 0 },
        }),
      ]) as unknown,
    });
    const spent = (await send(`${server.adminUrl}/admin/spend`)).json();
    expect(spent).toMatchObject({ calls: 1, cost: 1 });
  });

  test('is the same on a WebSocket', async () => {
    await start(well, {});
    upstream().breaker.force('open');
    const client = createClient({
      url: server.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          super(url, protocols, { headers: key });
        }
      },
      retryAttempts: 0,
    });
    const { value } = (await client.iterate({ query }).next()) as { value: { extensions: Record<string, unknown> } };
    expect(costOf({ body: value })).toMatchObject({ actual: 0, remaining: 100 });
    await client.dispose();
  });
});
