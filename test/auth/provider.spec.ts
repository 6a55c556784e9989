import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { resourceServer, startProvider, type TestProvider } from '../support/oidc-provider.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let provider: TestProvider;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => response.end('ok'));
  provider = await startProvider();
  gateway = await startGateway(configuration());
});

afterAll(async () => {
  await gateway.stop();
  await provider.close();
  await upstream.close();
});

function configuration(introspection: object = {}) {
  return {
    upstreams: {
      service: { endpoints: [upstream.url] },
      behind: { endpoints: [upstream.url], identity: 'token' },
      fixed: { endpoints: [upstream.url], identity: { static: { authorization: 'Basic d2Vpcjp3ZWly' } } },
    },
    routes: [
      { path: '/private', upstream: 'service', auth: { scopes: { any: ['orders:read', 'orders:all'] } } },
      { path: '/token', upstream: 'behind', auth: 'required' },
      { path: '/static', upstream: 'fixed', auth: 'required' },
      { path: '/jwt-only', upstream: 'service', auth: { accept: ['jwt'] } },
    ],
    auth: {
      jwt: [{ issuer: provider.issuer, audience: 'https://api.example.com', typ: 'at+jwt', algorithms: ['ES256'] }],
      introspection: {
        url: `${provider.issuer}/token/introspection`,
        clientId: resourceServer.id,
        clientSecret: resourceServer.secret,
        ...introspection,
      },
    },
  };
}

async function status(token: string, path = '/private', at = gateway): Promise<number> {
  return (await fetch(`${at.url}${path}`, { headers: { authorization: `Bearer ${token}` } })).status;
}

const introspections = () => provider.requests.get('/token/introspection') ?? 0;

describe('A token of a real authorization server', () => {
  it('that is a JWT is verified by the keys of discovery, without asking', async () => {
    const before = introspections();
    expect(await status(await provider.token('jwt'))).toBe(200);
    expect(upstream.requests.at(-1)!.headers).toMatchObject({
      'x-weir-consumer': 'shop-app',
      'x-weir-scopes': 'orders:read',
    });
    expect(introspections()).toBe(before);
    expect(await status(await provider.token('jwt', 'orders:write'))).toBe(403);
  });

  it('that is opaque is asked about once (RFC 7662), however many requests show it', async () => {
    const token = await provider.token('opaque');
    const before = introspections();
    const statuses = await Promise.all(Array.from({ length: 50 }, () => status(token)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await status(token)).toBe(200);
    expect(introspections() - before).toBe(1);
    expect(upstream.requests.at(-1)!.headers).toMatchObject({ 'x-weir-consumer': 'shop-app' });
  });

  it('that is opaque and nobody issued is refused, and asked about once for a while', async () => {
    const before = introspections();
    for (let attempt = 0; attempt < 3; attempt++) expect(await status('never-issued')).toBe(401);
    expect(introspections() - before).toBe(1);
  });

  it('that is revoked is refused once its answer is no longer believed', async () => {
    const own = await startGateway(configuration({ ttl: '300ms' }));
    const token = await provider.token('opaque');
    expect(await status(token, '/private', own)).toBe(200);
    await provider.revoke(token);
    while ((await status(token, '/private', own)) === 200) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await status(token, '/private', own)).toBe(401);
    await own.stop();
  });

  it('is a kind that a route may not accept', async () => {
    expect(await status(await provider.token('opaque'), '/jwt-only')).toBe(401);
    expect(await status(await provider.token('jwt'), '/jwt-only')).toBe(200);
  });

  it('is what an upstream is shown that is to see it, or headers of the gateway, or neither', async () => {
    const token = await provider.token('opaque');
    expect(await status(token, '/token')).toBe(200);
    expect(upstream.requests.at(-1)!.headers.authorization).toBe(`Bearer ${token}`);
    expect(upstream.requests.at(-1)!.headers).not.toHaveProperty('x-weir-consumer');
    expect(await status(token, '/static')).toBe(200);
    expect(upstream.requests.at(-1)!.headers.authorization).toBe('Basic d2Vpcjp3ZWly');
  });
});

describe('An authorization server that is slower than its clients are patient', () => {
  it('leaves nothing behind of those who have gone when it answers', async () => {
    const slow = await startUpstream((_request, response) => {
      response.setHeader('content-type', 'application/json');
      setTimeout(() => response.end(JSON.stringify({ active: true, client_id: 'late' })), 2_500);
    });
    const own = await startGateway(configuration({ url: `${slow.url}/introspect` }));
    const headers = { authorization: 'Bearer opaque' };
    const leaving = { headers, signal: AbortSignal.timeout(100) };
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => fetch(`${own.url}/token`, leaving)));
    for (const outcome of outcomes) expect(outcome.status).toBe('rejected');
    expect((await fetch(`${own.url}/token`, { headers })).status).toBe(200);
    await expect.poll(() => own.log.filter(({ msg }) => msg === 'request').length).toBe(6);
    expect(own.gateway.assembly.auth.sessions.size).toBe(0);
    await own.stop();
    await slow.close();
  });
});

describe('An authorization server that does not answer', () => {
  it('leaves the door shut: 503, whatever it does instead of answering', async () => {
    for (const url of [
      'http://127.0.0.1:1/introspect',
      `${upstream.url}/not-json`,
      `${provider.issuer}/no-such-path`,
    ]) {
      const own = await startGateway(configuration({ url }));
      const response = await fetch(`${own.url}/private`, { headers: { authorization: 'Bearer opaque' } });
      expect(response.status, url).toBe(503);
      expect(await response.json()).toMatchObject({ code: 'AUTH_UNAVAILABLE' });
      expect(response.headers.get('retry-after')).toBe('1');
      await own.stop();
    }
  });
});
