import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashOf, newApiKey } from '#policies/auth/api-keys/format.ts';
import { compileRule } from '#policies/auth/rule.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const acme = newApiKey();
const other = newApiKey();

let upstream: TestUpstream;
let issuer: TestIssuer;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => response.end('ok'));
  issuer = await startIssuer();
  gateway = await startGateway({
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [
      { path: '/any', upstream: 'service' },
      { path: '/required', upstream: 'service', auth: 'required' },
      { path: '/keys', upstream: 'service', auth: { accept: ['apiKey'] } },
      { path: '/pro', upstream: 'service', auth: { rule: 'consumer.tier == "pro" && request.method == "GET"' } },
      { path: '/claims', upstream: 'service', auth: { rule: 'claims.department == "sales"' } },
    ],
    consumers: [
      { id: 'acme', tier: 'pro', roles: ['partner'], keys: [acme.hash] },
      { id: 'globex', keys: [hashOf(other.key)] },
    ],
    auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }] },
  });
});

afterAll(async () => {
  await gateway.stop();
  await issuer.close();
  await upstream.close();
});

async function call(path: string, headers: Record<string, string>, method = 'GET'): Promise<Response> {
  return fetch(`${gateway.url}${path}`, { method, headers });
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('Two credentials at once', () => {
  it('of one consumer are one', async () => {
    const response = await call('/required', { ...bearer(await issuer.token()), 'x-api-key': acme.key });
    expect(response.status).toBe(200);
    expect(upstream.requests.at(-1)!.headers['x-weir-consumer']).toBe('acme');
  });

  it('of different consumers are refused', async () => {
    const response = await call('/any', { ...bearer(await issuer.token()), 'x-api-key': other.key });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'CREDENTIALS_CONFLICT' });
  });

  it('are refused when one of them is wrong', async () => {
    expect((await call('/any', { ...bearer('eyJ.eyJ.x'), 'x-api-key': acme.key })).status).toBe(401);
    expect((await call('/any', { ...bearer(await issuer.token()), 'x-api-key': newApiKey().key })).status).toBe(401);
    expect((await call('/any', { ...bearer('eyJ.eyJ.x'), 'x-api-key': newApiKey().key })).status).toBe(401);
  });

  it('are one where the route accepts one kind', async () => {
    expect((await call('/keys', { ...bearer(await issuer.token()), 'x-api-key': other.key })).status).toBe(200);
    expect(upstream.requests.at(-1)!.headers['x-weir-consumer']).toBe('globex');
    const response = await call('/keys', bearer(await issuer.token()));
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('ApiKey realm="weir"');
  });

  it('in one header can be read in two ways (RFC 6750 §3.1: invalid_request)', async () => {
    expect((await call('/any', { 'x-api-key': `${acme.key}, ${other.key}` })).status).toBe(400);
    expect((await call('/any', { authorization: 'Bearer a, Bearer b' })).status).toBe(400);
    expect((await call('/any', { authorization: 'Bearer' })).status).toBe(400);
    expect((await call('/any', { authorization: 'Bearer a b' })).status).toBe(400);
  });

  it('may be of a scheme that is not ours, which is nothing to us', async () => {
    expect((await call('/any', { authorization: 'Basic YTpi' })).status).toBe(200);
    expect((await call('/required', { authorization: 'Basic YTpi' })).status).toBe(401);
    expect(upstream.requests.at(-1)!.headers).not.toHaveProperty('authorization');
  });
});

describe('A rule', () => {
  it('decides over consumer, claims and request', async () => {
    expect((await call('/pro', { 'x-api-key': acme.key })).status).toBe(200);
    expect((await call('/pro', { 'x-api-key': acme.key }, 'POST')).status).toBe(403);
    const response = await call('/pro', { 'x-api-key': other.key });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: 'FORBIDDEN' });
    expect((await call('/claims', bearer(await issuer.token({ department: 'sales' })))).status).toBe(200);
    expect((await call('/claims', bearer(await issuer.token({ department: 'legal' })))).status).toBe(403);
  });

  it('that cannot be evaluated is not met', async () => {
    expect((await call('/claims', bearer(await issuer.token()))).status).toBe(403);
    expect((await call('/claims', bearer(await issuer.token({ department: ['sales'] })))).status).toBe(403);
  });

  it('that is wrong is a problem at boot, with its place', async () => {
    expect(compileRule('consumer.teir == "pro"')).toEqual({ problem: 'No such key: teir (at character 10)' });
    expect(compileRule('consumer.tier ==')).toEqual({ problem: expect.stringContaining('at character') as string });
    expect(compileRule('consumer.tier')).toEqual({ problem: 'it is of type string, not bool' });
    expect(compileRule('"aaa".matches("(a+)+$")')).toEqual({ problem: expect.stringContaining('matches()') as string });
    expect(compileRule('nobody.knows')).toHaveProperty('problem');
    const config = {
      routes: [{ path: '/x', upstream: 's', auth: { rule: '1 +' } }],
      upstreams: { s: { endpoints: [upstream.url] } },
    };
    await expect(startGateway(config)).rejects.toThrow(/routes\[0\]\.auth\.rule.*at character/s);
  });
});

describe('Who fails again and again', () => {
  it('waits longer and longer, while who is right does not wait', async () => {
    const attempts = 5 + 6;
    const began = performance.now();
    for (let attempt = 0; attempt < attempts; attempt++) await call('/any', { 'x-api-key': 'guess' });
    const slow = performance.now() - began;
    const since = performance.now();
    for (let attempt = 0; attempt < attempts; attempt++) {
      expect((await call('/any', { 'x-api-key': acme.key })).status).toBe(200);
    }
    // 50, 100, 200, 400, 800 and 1600 ms.
    expect(slow).toBeGreaterThan(3_000);
    expect(performance.now() - since).toBeLessThan(slow);
  });
});
