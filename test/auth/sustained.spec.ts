import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { FileGateway } from '../support/file-gateway.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { newKey, startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startServer, type TestServer } from '../support/upstream.ts';

let upstream: TestServer;
let issuer: TestIssuer;
let gateway: TestGateway;
let sockets: WebSocketServer;

beforeAll(async () => {
  upstream = await startServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => response.write('data: tick\n\n'), 50);
    response.on('close', () => clearInterval(timer));
  });
  sockets = new WebSocketServer({ server: upstream.server });
  issuer = await startIssuer();
  gateway = await startGateway({
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [{ path: '/{*rest}', upstream: 'service', auth: 'required' }],
    auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks`, skew: '0ms', refresh: '1s' }] },
  });
});

afterAll(async () => {
  await gateway.stop();
  sockets.close();
  await issuer.close();
  await upstream.close();
});

const inSeconds = (seconds: number) => Math.ceil(Date.now() / 1000) + seconds;

describe('What goes on without end', () => {
  it('ends with the token that it began with: an event stream', async () => {
    const token = await issuer.token({ exp: inSeconds(2) });
    const response = await fetch(`${gateway.url}/events`, { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
    expect((await gateway.accessOf(response.headers.get('x-request-id')!)).error).toBe('UNAUTHENTICATED');
  });

  it('ends with the token that it began with: a WebSocket', async () => {
    const token = await issuer.token({ exp: inSeconds(2) });
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/socket`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const accepted = once(sockets, 'connection') as Promise<[WebSocket]>;
    const upgraded = once(socket, 'upgrade') as Promise<[IncomingMessage]>;
    await once(socket, 'open');
    const [peer] = await accepted;
    const closes = [once(socket, 'close'), once(peer, 'close')] as Promise<[number]>[];
    // RFC 6455 §7.4.1: the client learns that it may not go on, the service that its client is gone.
    expect((await Promise.all(closes)).map(([code]) => code)).toEqual([1008, 1001]);
    const [{ headers }] = await upgraded;
    expect((await gateway.accessOf(String(headers['x-request-id']))).error).toBe('UNAUTHENTICATED');
  });

  it('ends when the key of its token leaves, and not before', async () => {
    const before = issuer.keys;
    const leaving = await newKey();
    issuer.keys = [...before, leaving];
    const token = await issuer.token({}, {}, leaving);
    const response = await fetch(`${gateway.url}/events`, { headers: { authorization: `Bearer ${token}` } });
    const reader = response.body!.getReader();
    await reader.read();
    issuer.keys = before;
    await expect(
      (async () => {
        while (!(await reader.read()).done);
      })(),
    ).rejects.toThrow();
  });

  it('ends with a reload that takes its credential no more: a token by its jti, a key that left the file', async () => {
    const { key, hash } = newApiKey();
    const keeping = newApiKey();
    const configuration = (deniedTokens: readonly string[], keys: readonly string[]) => ({
      upstreams: { service: { endpoints: [upstream.url] } },
      routes: [{ path: '/{*rest}', upstream: 'service', auth: 'required' }],
      auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }], deniedTokens },
      consumers: [{ id: 'acme', keys }],
    });
    const own = await FileGateway.start(configuration([], [hash, keeping.hash]));
    try {
      const stream = async (headers: Record<string, string>) => {
        const response = await fetch(`${own.url}/events`, { headers });
        expect(response.status).toBe(200);
        return response;
      };
      const withdrawn = await issuer.token({ jti: 'stolen' });
      const ending = [await stream({ authorization: `Bearer ${withdrawn}` }), await stream({ 'x-api-key': key })].map(
        (response) =>
          response.text().then(
            () => 'whole',
            () => 'broken off',
          ),
      );
      const staying = [
        await stream({ authorization: `Bearer ${await issuer.token({ jti: 'kept' })}` }),
        await stream({ 'x-api-key': keeping.key }),
      ].map((response) => response.body!.getReader());
      expect(await own.change(configuration(['stolen'], [keeping.hash]))).toMatchObject({ ok: true });
      expect(await Promise.all(ending)).toEqual(['broken off', 'broken off']);
      for (const headers of [{ authorization: `Bearer ${withdrawn}` }, { 'x-api-key': key }])
        expect((await fetch(`${own.url}/events`, { headers })).status).toBe(401);
      for (const reader of staying) {
        expect((await reader.read()).done).toBe(false);
        await reader.cancel();
      }
    } finally {
      await own.stop();
    }
  });
});
