import { once } from 'node:events';
import { createClient, type Client, type ClientOptions } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { raw } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const key = newApiKey();

let service: TestUpstream;
let issuer: TestIssuer;
let server: GraphqlServer;

beforeAll(async () => {
  service = await startUpstream((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.headers['x-weir-consumer']));
  });
  issuer = await startIssuer();
  server = await startModules('test/fixtures/guarded', {
    upstreams: { vault: { endpoints: [service.url] } },
    graphql: { auth: 'required' },
    consumers: [{ id: 'plain', keys: [key.hash] }],
    auth: {
      jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks`, skew: '0ms' }],
      failures: { free: 1_000 },
    },
  });
});

afterAll(async () => {
  await server.stop();
  await issuer.close();
  await service.close();
});

const url = () => server.graphqlUrl.replace('http', 'ws');

function clientOf(connectionParams: Record<string, unknown>, options: Partial<ClientOptions> = {}): Client {
  return createClient({ url: url(), webSocketImpl: WebSocket, retryAttempts: 0, connectionParams, ...options });
}

async function ask(client: Client): Promise<unknown> {
  const [result] = await Array.fromAsync(client.iterate({ query: '{ private }' }));
  await client.dispose();
  return result;
}

/** How a connection with this payload ends. */
async function closes(connectionParams: Record<string, unknown>): Promise<number> {
  const client = clientOf(connectionParams);
  const closed = new Promise<number>((resolve) => {
    client.on('closed', (event) => resolve((event as { code: number }).code));
  });
  await Array.fromAsync(client.iterate({ query: '{ private }' })).catch(() => {});
  return closed;
}

describe('A WebSocket of GraphQL', () => {
  it('says who it is in connection_init, as browsers must', async () => {
    expect(await ask(clientOf({ authorization: `Bearer ${await issuer.token()}` }))).toEqual({
      data: { private: 'acme' },
    });
    expect(await ask(clientOf({ 'X-API-Key': key.key }))).toEqual({ data: { private: 'plain' } });
  });

  it('or in its handshake, as others may', async () => {
    class WithKey extends WebSocket {
      constructor(address: string, protocols: string) {
        super(address, protocols, { headers: { 'x-api-key': key.key } });
      }
    }
    expect(await ask(clientOf({}, { webSocketImpl: WithKey }))).toEqual({ data: { private: 'plain' } });
  });

  it('is closed with 4403 when it may not come in, and nothing is done for it', async () => {
    const before = service.requests.length;
    expect(await closes({})).toBe(4403);
    expect(await closes({ authorization: 'Bearer eyJ.eyJ.x' })).toBe(4403);
    expect(await closes({ authorization: 7 })).toBe(4403);
    expect(await closes({ 'x-api-key': newApiKey().key })).toBe(4403);
    expect(service.requests).toHaveLength(before);
  });

  it('is refused at its handshake when what that shows is wrong', async () => {
    const socket = new WebSocket(url(), 'graphql-transport-ws', { headers: { 'x-api-key': 'wrong' } });
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('401');
  });

  it('is closed with 4401 when its token ends', async () => {
    const exp = Math.ceil(Date.now() / 1000) + 2;
    const client = clientOf({ authorization: `Bearer ${await issuer.token({ exp })}` });
    const closed = new Promise<number>((resolve) => {
      client.on('closed', (event) => resolve((event as { code: number }).code));
    });
    const ticks = client.iterate({ query: 'subscription { ticks }' });
    expect((await ticks.next()).value).toEqual({ data: { ticks: 'tick' } });
    expect(await closed).toBe(4401);
    await ticks.return?.().catch(() => {});
  });
});

describe('A subscription over server-sent events', () => {
  it('ends when its token does', async () => {
    const exp = Math.ceil(Date.now() / 1000) + 2;
    const query = encodeURIComponent('subscription { ticks }');
    const response = await fetch(`${server.graphqlUrl}?query=${query}`, {
      headers: { accept: 'text/event-stream', authorization: `Bearer ${await issuer.token({ exp })}` },
    });
    expect(response.status).toBe(200);
    let heard = '';
    const decoder = new TextDecoder();
    // Whether it is said to be over or broken off: nothing comes any more.
    try {
      for await (const chunk of response.body!) heard += decoder.decode(chunk, { stream: true });
    } catch {}
    expect(heard).toContain('UNAUTHENTICATED');
    expect(Date.now()).toBeGreaterThanOrEqual(exp * 1000);
  });
});

describe('An upgrade is no way around', () => {
  it.each(['websocket', 'h2c', 'graphql-ws'])('for a query by POST that asks for %s', async (protocol) => {
    const body = '{"query":"{ private }"}';
    const answer = await raw(
      server.url,
      'POST /graphql HTTP/1.1',
      'Host: a',
      'Connection: upgrade',
      `Upgrade: ${protocol}`,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      '',
      body,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
  });
});
