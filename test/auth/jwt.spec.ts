import { createHmac } from 'node:crypto';
import { base64url, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { newKey, startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let issuer: TestIssuer;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => response.end('ok'));
  issuer = await startIssuer();
  gateway = await startGateway(configuration());
});

afterAll(async () => {
  await gateway.stop();
  await issuer.close();
  await upstream.close();
});

function configuration(jwt: object = {}) {
  return {
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [
      { path: '/private', upstream: 'service', auth: 'required' },
      { path: '/open', upstream: 'service', auth: 'none' },
      { path: '/any', upstream: 'service' },
      { path: '/read', upstream: 'service', auth: { scopes: { all: ['orders:read'] } } },
      { path: '/admin', upstream: 'service', auth: { roles: ['admin'] } },
    ],
    auth: {
      jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks`, ...jwt }],
      failures: { free: 1_000 },
    },
  };
}

async function get(path: string, token?: string, at = gateway): Promise<Response> {
  return fetch(`${at.url}${path}`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
}

/** How a token fares: nothing of it may have reached the upstream when it is refused. */
async function refused(token: string, at = gateway): Promise<string> {
  const before = upstream.requests.length;
  const response = await get('/private', token, at);
  expect(response.status).toBe(401);
  expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
  expect(upstream.requests).toHaveLength(before);
  const problem = (await response.json()) as { code: string; detail: string };
  expect(problem.code).toBe('UNAUTHENTICATED');
  return problem.detail;
}

describe('A JWT', () => {
  it('shows the upstream who is asking, and nothing else of the credential', async () => {
    const token = await issuer.token({ tier: 'pro', roles: ['partner', 'beta'] });
    expect((await get('/private', token)).status).toBe(200);
    const { headers } = upstream.requests.at(-1)!;
    expect(headers).toMatchObject({
      'x-weir-consumer': 'acme',
      'x-weir-tier': 'pro',
      'x-weir-roles': 'partner,beta',
      'x-weir-scopes': 'orders:read orders:write',
      'x-weir-subject': 'user-7',
    });
    expect(headers).not.toHaveProperty('authorization');
  });

  it('is asked for where a route requires it (RFC 6750 §3: without an error code)', async () => {
    const response = await get('/private');
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="weir"');
    expect(response.headers.get('content-type')).toBe('application/problem+json');
  });

  it('is not needed where it is optional, but must be right when it is shown', async () => {
    expect((await get('/any')).status).toBe(200);
    expect(upstream.requests.at(-1)!.headers['x-weir-consumer']).toBe('anonymous');
    expect((await get('/any', 'eyJhbGciOiJub25lIn0.e30.')).status).toBe(401);
  });

  it('is not looked at where nobody is asked', async () => {
    expect((await get('/open', 'eyJhbGciOiJub25lIn0.e30.')).status).toBe(200);
    expect(upstream.requests.at(-1)!.headers['x-weir-consumer']).toBe('anonymous');
  });

  it('is enough or not by its scopes (RFC 6750 §3.1: 403 insufficient_scope names what is needed)', async () => {
    expect((await get('/read', await issuer.token())).status).toBe(200);
    const response = await get('/read', await issuer.token({ scope: 'orders:write' }));
    expect(response.status).toBe(403);
    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer realm="weir", error="insufficient_scope", scope="orders:read"',
    );
    expect((await get('/admin', await issuer.token())).status).toBe(403);
    expect((await get('/admin', await issuer.token({ roles: ['admin'] }))).status).toBe(200);
  });

  it('is taken by the algorithms of the allowlist', async () => {
    const rsa = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
    const algorithms = [...rsa, 'ES256', 'ES384', 'ES512', 'EdDSA'];
    const issuers = await Promise.all(algorithms.map((alg) => startIssuer(alg)));
    const jwt = issuers.map(({ url }, index) => {
      return { issuer: url, audience: 'weir', jwks: `${url}/jwks`, algorithms: [algorithms[index]] };
    });
    const own = await startGateway({ ...configuration(), auth: { jwt } });
    for (const [index, other] of issuers.entries()) {
      expect((await get('/private', await other.token(), own)).status, algorithms[index]).toBe(200);
      await other.close();
    }
    await own.stop();
  });
});

describe('A token is refused', () => {
  it('when it is not signed (RFC 8725 §3.1: none)', async () => {
    const unsigned = new UnsecuredJWT({ azp: 'acme' })
      .setIssuer(issuer.url)
      .setAudience('weir')
      .setExpirationTime('5m')
      .encode();
    expect(await refused(unsigned)).toContain('algorithm');
    expect(await refused(`${unsigned.replace(/^[^.]+/, base64url.encode('{"alg":"NONE","typ":"JWT"}'))}AA`)).toContain(
      'algorithm',
    );
  });

  it('when a public key is used as a secret (RFC 8725 §2.1: algorithm confusion)', async () => {
    const rsa = await generateKeyPair('RS256', { extractable: true });
    const pem = await exportSPKI(rsa.publicKey);
    const claims = { iss: issuer.url, aud: 'weir', azp: 'acme', exp: Math.floor(Date.now() / 1000) + 300 };
    const head = base64url.encode(JSON.stringify({ alg: 'HS256', kid: issuer.keys[0]!.kid }));
    const text = `${head}.${base64url.encode(JSON.stringify(claims))}`;
    expect(await refused(`${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`)).toContain(
      'algorithm',
    );
  });

  it('when it brings its own key (RFC 8725 §3.5, RFC 7515 §4.1: jwk, jku, x5u, x5c)', async () => {
    const own = await newKey();
    for (const header of [
      { jwk: own.jwk },
      { jku: 'https://evil.example/jwks' },
      { x5u: 'https://evil.example/cert' },
      { x5c: ['MIIB'] },
      { crit: ['b64'], b64: true },
    ]) {
      expect(await refused(await issuer.token({}, header as never, own))).toContain('its header has');
    }
  });

  it('when its signature is of another key, or its text has been changed', async () => {
    const kid = issuer.keys[0]!.kid;
    const other = await newKey('ES256', kid);
    expect(await refused(await issuer.token({}, {}, other))).toContain('signature');
    const [head, payload, signature] = (await issuer.token()).split('.');
    const changed = JSON.stringify({
      ...(JSON.parse(Buffer.from(payload!, 'base64url').toString()) as object),
      azp: 'root',
    });
    expect(await refused(`${head}.${base64url.encode(changed)}.${signature}`)).toContain('signature');
  });

  it('when it has expired, is not valid yet, or comes from the future, beyond the skew', async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await refused(await issuer.token({ exp: now - 60 }))).toContain('expired');
    expect(await refused(await issuer.token({ nbf: now + 60 }))).toContain('not valid yet');
    expect(await refused(await issuer.token({ iat: now + 60 }))).toContain('future');
    expect((await get('/private', await issuer.token({ exp: now - 10 }))).status).toBe(200);
    expect((await get('/private', await issuer.token({ nbf: now + 10, iat: now + 10 }))).status).toBe(200);
  });

  it('when it has no end, no issuer, no consumer, or is for somebody else', async () => {
    const { kid, privateKey } = issuer.keys[0]!;
    const endless = new SignJWT({ azp: 'acme' })
      .setProtectedHeader({ alg: 'ES256', kid })
      .setIssuer(issuer.url)
      .setAudience('weir');
    expect(await refused(await endless.sign(privateKey))).toContain('exp');
    expect(await refused(await new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey))).toContain(
      'issuer',
    );
    expect(await refused(await issuer.token({ azp: undefined }))).toContain('consumer');
    expect(await refused(await issuer.token({ azp: 'anonymous' }))).toContain('consumer');
    expect(await refused(await issuer.token({ azp: 'a,b' }))).toContain('consumer');
    expect(await refused(await issuer.token({ aud: 'other' }))).toContain('audience');
  });

  it('when one issuer signs in the name of another (RFC 8725 §3.8: issuer mix-up)', async () => {
    const other = await startIssuer();
    const both = {
      jwt: [...configuration().auth.jwt, { issuer: other.url, audience: 'weir', jwks: `${other.url}/jwks` }],
    };
    const own = await startGateway({ ...configuration(), auth: { ...both, failures: { free: 1_000 } } });
    expect((await get('/private', await other.token(), own)).status).toBe(200);
    expect(await refused(await other.token({ iss: issuer.url }), own)).toContain('key');
    await own.stop();
    await other.close();
  });

  it('when it is huge, garbage, or encrypted (RFC 7516)', async () => {
    expect((await get('/private', 'eyJ' + 'a'.repeat(12_000))).status).toBe(401);
    await refused('eyJhbGciOiJFUzI1NiJ9.eyJ.x');
    await refused('eyJhbGciOiJFUzI1NiJ9.bm90IGpzb24.x');
    expect((await get('/private', 'eyJ.a.b.c.d')).status).toBe(401);
  });

  it('when its type is not the one that is asked for (RFC 9068 §4)', async () => {
    const own = await startGateway(configuration({ typ: 'at+jwt' }));
    expect((await get('/private', await issuer.token({}, { typ: 'at+jwt' }), own)).status).toBe(200);
    expect(await refused(await issuer.token({}, { typ: 'JWT' }), own)).toContain('type');
    await own.stop();
  });
});

describe('The keys of an issuer', () => {
  it('are found by discovery (OpenID Connect Discovery 1.0 §4)', async () => {
    const own = await startGateway(configuration({ jwks: undefined }));
    expect((await get('/private', await issuer.token(), own)).status).toBe(200);
    await own.stop();
  });

  it('may turn without a refused token', async () => {
    const own = await startGateway(configuration());
    expect((await get('/private', await issuer.token(), own)).status).toBe(200);
    const next = await newKey();
    const before = issuer.keys;
    issuer.keys = [...before, next];
    expect((await get('/private', await issuer.token({}, {}, next), own)).status).toBe(200);
    expect((await get('/private', await issuer.token({}, {}, before[0]), own)).status).toBe(200);
    issuer.keys = before;
    await own.stop();
  });

  it('are read about once a second however many unknown ones are named, and a new one is found meanwhile', async () => {
    const own = await startGateway(configuration());
    const { tokens } = own.gateway.assembly.auth.verifiers;
    await tokens.verify(await issuer.token());
    const next = await newKey();
    const [known] = issuer.keys;
    const storm = await Promise.all(
      Array.from({ length: 10_000 }, (_, index) => issuer.token({}, { kid: `no-${index}` }, known)),
    );
    const before = issuer.reads();
    const began = performance.now();
    const refusals = storm.map(async (token) => Promise.resolve(tokens.verify(token)).then(String, String));
    issuer.keys = [...issuer.keys, next];
    expect((await get('/private', await issuer.token({}, {}, next), own)).status).toBe(200);
    for (const refusal of await Promise.all(refusals)) expect(refusal).toContain('its key is not known');
    expect(issuer.reads() - before).toBeLessThanOrEqual(Math.ceil((performance.now() - began) / 1000) + 1);
    issuer.keys = issuer.keys.slice(0, 1);
    await own.stop();
  });

  it('that are known go on working while the issuer is down; what nobody knows is 503, never an open door', async () => {
    const own = await startGateway(configuration({ refresh: '1s' }));
    const token = await issuer.token();
    expect((await get('/private', token, own)).status).toBe(200);
    issuer.fail = 500;
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await get('/private', token, own)).status).toBe(200);
    expect((await get('/private', await issuer.token({ sub: 'other' }), own)).status).toBe(200);
    const response = await get('/private', await issuer.token({}, {}, await newKey()), own);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'AUTH_UNAVAILABLE' });
    issuer.fail = undefined;
    await own.stop();
  });

  it('that have left take the tokens they signed with them', async () => {
    const own = await startGateway(configuration({ refresh: '1s' }));
    const before = issuer.keys;
    const leaving = await newKey();
    issuer.keys = [...before, leaving];
    const token = await issuer.token({}, {}, leaving);
    expect((await get('/private', token, own)).status).toBe(200);
    issuer.keys = before;
    let status = 200;
    while (status === 200) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      ({ status } = await get('/private', token, own));
    }
    expect(status).toBe(401);
    await own.stop();
  });
});
