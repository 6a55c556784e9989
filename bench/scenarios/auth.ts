/**
 * The pass-through GET by callers of all kinds, side by side: nobody, one with a key, one with a token that has been verified
 * before, and one with a token that has not.
 */
import { hash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import type { Request } from '../load.ts';
import type { Scenario, Subject } from '../scenario.ts';
import { weir } from '../subjects/weir.ts';
import { fixedAnswer, startFixedUpstream } from '../upstreams/fixed.ts';

const baseline = 'no credential, auth: none';

/** Far more targets than connections, so that no two in flight are the same; and far more tokens than are remembered. */
const targets = 4096;
const remembered = 64;

/** As long as those that the gateway makes. */
const key = `weir_live_${'k'.repeat(38)}`;

type Credentials = Readonly<Record<string, string>>;

export const auth: Scenario = {
  name: 'auth',
  title: 'Pass-through GET, answers of 1 KiB, by who asks',
  baseline,
  async prepare(run, stack) {
    const upstream = await startFixedUpstream(run, stack);
    const rs256 = await newSigner('RS256');
    const es256 = await newSigner('ES256');
    const issuer = await startIssuer([rs256.jwk, es256.jwk], stack);
    const known = bearer(await rs256.token(issuer));
    const fresh = async (signer: Signer): Promise<Credentials[]> =>
      Promise.all(Array.from({ length: targets }, async () => bearer(await signer.token(issuer))));

    const config = (mode: string, tokenCache: number) => ({
      upstreams: { items: { endpoints: [upstream.origin] } },
      routes: [{ path: '/items{/*rest}', upstream: 'items', auth: mode }],
      consumers: [{ id: 'bench', tier: 'pro', scopes: ['items:read'], keys: [`sha256:${hash('sha256', key)}`] }],
      auth: {
        tokenCache,
        // Read once: the rounds are about tokens.
        jwt: [{ issuer, audience: 'bench', jwks: `${issuer}/jwks`, refresh: '24h' }],
      },
    });
    const subjects = (name: string, credentials: readonly Credentials[], mode = 'required', tokens = 10_000) =>
      run.checkouts.map((checkout, index): Subject => {
        const label = index === 0 ? name : `${name}; ${checkout.name}`;
        return {
          ...weir(run, { ...checkout, name: label }, config(mode, tokens)),
          requests: requestsWith(credentials),
        };
      });
    return {
      upstream,
      workload: { connections: 64, requests: requestsWith([{}]), answer: fixedAnswer, compareAll: false },
      subjects: [
        ...subjects(baseline, [{}], 'none'),
        ...subjects('an API key', [{ 'x-api-key': key }]),
        ...subjects('a JWT, verified before', [known]),
        ...subjects('a JWT of RS256, never seen', await fresh(rs256), 'required', remembered),
        ...subjects('a JWT of ES256, never seen', await fresh(es256), 'required', remembered),
      ],
    };
  },
};

function bearer(token: string): Credentials {
  return { authorization: `Bearer ${token}` };
}

/** One request for each target, with the credentials in turn. */
function requestsWith(credentials: readonly Credentials[]): Request[] {
  return Array.from({ length: targets }, (_, index) => ({
    method: 'GET',
    path: `/items/${index}`,
    headers: { accept: 'application/json', ...credentials[index % credentials.length] },
  }));
}

interface Signer {
  readonly jwk: JWK;
  /** Another one each time. */
  readonly token: (issuer: string) => Promise<string>;
}

async function newSigner(alg: 'RS256' | 'ES256'): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), kid: alg, alg, use: 'sig' },
    token: (issuer) =>
      new SignJWT({ azp: 'bench', sub: 'user-7', scope: 'items:read', roles: ['reader'] })
        .setProtectedHeader({ alg, kid: alg, typ: 'at+jwt' })
        .setIssuer(issuer)
        .setAudience('bench')
        .setIssuedAt()
        .setJti(crypto.randomUUID())
        .setExpirationTime('12h')
        .sign(privateKey),
  };
}

/** Publishes the keys. @returns its URL, which is its name */
async function startIssuer(keys: readonly JWK[], stack: AsyncDisposableStack): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
