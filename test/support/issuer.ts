import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload, type JWTHeaderParameters } from 'jose';
import { startUpstream, type TestUpstream } from './upstream.ts';

export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly jwk: object;
}

/** An issuer of tokens, with its keys at `/jwks` and its discovery document, whose keys a test turns as it likes. */
export interface TestIssuer {
  readonly url: string;
  /** Of the set that is published now. */
  keys: SigningKey[];
  /** How often the set has been read. */
  readonly reads: () => number;
  /** Answers every request so, where set. */
  fail: number | undefined;
  /** A token that is right, but for what the test says. */
  token(claims?: JWTPayload, header?: Partial<JWTHeaderParameters>, key?: SigningKey): Promise<string>;
  close(): Promise<void>;
}

export async function newKey(alg = 'ES256', kid: string = crypto.randomUUID()): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export async function startIssuer(alg = 'ES256'): Promise<TestIssuer> {
  const first = await newKey(alg);
  const server: TestUpstream = await startUpstream((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (issuer.fail !== undefined) {
      response.statusCode = issuer.fail;
      response.end('{}');
    } else if (request.url === '/jwks') {
      response.end(JSON.stringify({ keys: issuer.keys.map(({ jwk }) => jwk) }));
    } else {
      response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${server.url}/jwks` }));
    }
  });
  const issuer: TestIssuer = {
    url: server.url,
    keys: [first],
    reads: () => server.requests.filter(({ url }) => url === '/jwks').length,
    fail: undefined,
    token: (claims = {}, header = {}, key = issuer.keys[0]!) =>
      new SignJWT({ azp: 'acme', sub: 'user-7', scope: 'orders:read orders:write', ...claims })
        .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
        .setIssuer(claims.iss ?? issuer.url)
        .setAudience(claims.aud ?? 'weir')
        .setIssuedAt(claims.iat)
        .setExpirationTime(claims.exp ?? '5m')
        .sign(key.privateKey),
    close: () => server.close(),
  };
  return issuer;
}
