import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, type Configuration } from 'oidc-provider';

export interface TestProvider {
  readonly issuer: string;
  /** Requests by path. */
  readonly requests: ReadonlyMap<string, number>;
  /** A token by client credentials (RFC 6749 §4.4): opaque, or a JWT of RFC 9068. */
  token(format: 'opaque' | 'jwt', scope?: string): Promise<string>;
  revoke(token: string): Promise<void>;
  close(): Promise<void>;
}

const client = { id: 'shop-app', secret: 'shop-app-secret-of-some-length' };
export const resourceServer = { id: 'weir', secret: 'weir-secret-of-some-length' };

const audience = 'https://api.example.com';

/** A real authorization server on a free port of loopback. */
export async function startProvider(): Promise<TestProvider> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const configuration: Configuration = {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] },
    clients: [application(client, ['client_credentials']), application(resourceServer, ['client_credentials'])],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: 'orders:read orders:write',
          audience: resource,
          accessTokenFormat: resource.endsWith('/opaque') ? 'opaque' : 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  };
  const provider = new Provider(issuer, configuration);
  const requests = new Map<string, number>();
  const handle = provider.callback();
  server.on('request', (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]!;
    requests.set(path, (requests.get(path) ?? 0) + 1);
    void handle(request, response);
  });
  const post = async (path: string, form: Record<string, string>) => {
    const response = await fetch(`${issuer}${path}`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}` },
      body: new URLSearchParams(form),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.text();
  };
  return {
    issuer,
    requests,
    async token(format, scope = 'orders:read') {
      const resource = format === 'jwt' ? audience : `${audience}/opaque`;
      const answer = await post('/token', { grant_type: 'client_credentials', scope, resource });
      return (JSON.parse(answer) as { access_token: string }).access_token;
    },
    async revoke(token) {
      await post('/token/revocation', { token });
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function application({ id, secret }: typeof client, grants: string[]) {
  return {
    client_id: id,
    client_secret: secret,
    grant_types: grants,
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256' as const,
  };
}
