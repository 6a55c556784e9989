import { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { cpSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Certificates } from '../support/certificates.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const files = new Certificates();
let upstream: TestUpstream;
let issuer: TestIssuer;
let gateway: TestGateway;

beforeAll(async () => {
  files.authority('ca');
  files.authority('other-ca');
  files.certificate('server', 'ca', { extension: 'subjectAltName=DNS:localhost,IP:127.0.0.1' });
  files.certificate('acme', 'ca');
  files.certificate('globex', 'ca');
  files.certificate('withdrawn', 'ca');
  files.certificate('stranger', 'other-ca');
  files.certificate('named', 'ca', { extension: 'subjectAltName=URI:spiffe://shop/orders,DNS:a.example' });
  files.withdraw('ca', 'withdrawn');
  upstream = await startUpstream((_request, response) => response.end('ok'));
  issuer = await startIssuer();
  gateway = await startGateway(configuration());
});

afterAll(async () => {
  await gateway.stop();
  await issuer.close();
  await upstream.close();
  files.remove();
});

function configuration(tls: object = {}, auth: object = { mtls: {} }) {
  return {
    listen: {
      tls: {
        cert: files.path('server.crt'),
        key: files.path('server.key'),
        clientCa: files.path('ca.crt'),
        crl: files.path('ca.crl'),
        ...tls,
      },
    },
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [
      { path: '/any', upstream: 'service' },
      { path: '/private', upstream: 'service', auth: 'required' },
      { path: '/tokens', upstream: 'service', auth: { accept: ['jwt'] } },
    ],
    consumers: [{ id: 'acme', tier: 'pro', scopes: ['orders:read'] }],
    auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }], ...auth },
  };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Over a connection of its own, with the certificate of this name. */
async function get(
  path: string,
  certificate?: string,
  headers: Record<string, string> = {},
  at = gateway,
): Promise<Answer> {
  const options: RequestOptions = {
    host: '127.0.0.1',
    port: new URL(at.url).port,
    path,
    headers,
    agent: false,
    ca: files.read('ca.crt'),
    ...(certificate !== undefined && { cert: files.read(`${certificate}.crt`), key: files.read(`${certificate}.key`) }),
  };
  const request = httpsRequest(options);
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += String(chunk);
  return { status: response.statusCode!, body };
}

const seen = () => upstream.requests.at(-1)!.headers;

function thumbprint(name: string): string {
  const { fingerprint256 } = new X509Certificate(files.read(`${name}.crt`));
  return Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url');
}

describe('A client certificate', () => {
  it('names the consumer, where nothing else is shown', async () => {
    expect((await get('/private', 'acme')).status).toBe(200);
    expect(seen()).toMatchObject({ 'x-weir-consumer': 'acme', 'x-weir-tier': 'pro', 'x-weir-scopes': 'orders:read' });
    expect(seen()['x-forwarded-proto']).toBe('https');
  });

  it('is not needed where it is optional, and never taken when it is not in order', async () => {
    expect((await get('/any')).status).toBe(200);
    expect((await get('/private')).status).toBe(401);
    await expect(get('/any', 'stranger')).rejects.toThrow();
    await expect(get('/any', 'withdrawn')).rejects.toThrow();
  });

  it('may be required of everybody who connects', async () => {
    const own = await startGateway(configuration({ clientCertificate: 'required' }));
    await expect(get('/any', undefined, {}, own)).rejects.toThrow();
    await expect(get('/any', 'withdrawn', {}, own)).rejects.toThrow();
    expect((await get('/any', 'acme', {}, own)).status).toBe(200);
    await own.stop();
  });

  it('beside a token only binds it: the token says who is asking', async () => {
    const token = await issuer.token({ azp: 'globex' });
    expect((await get('/private', 'acme', { authorization: `Bearer ${token}` })).status).toBe(200);
    expect(seen()['x-weir-consumer']).toBe('globex');
  });

  it('is needed for a token that is bound to it (RFC 8705 §3)', async () => {
    const bound = await issuer.token({ cnf: { 'x5t#S256': thumbprint('acme') } });
    const headers = { authorization: `Bearer ${bound}` };
    expect((await get('/private', 'acme', headers)).status).toBe(200);
    expect((await get('/private', 'globex', headers)).status).toBe(401);
    expect((await get('/private', undefined, headers)).body).toContain('bound to a certificate');
    const other = await issuer.token({ cnf: { jkt: 'a-key-of-another-kind' } });
    expect((await get('/private', 'acme', { authorization: `Bearer ${other}` })).status).toBe(401);
  });

  it('counts where the route accepts it, and nowhere else', async () => {
    expect((await get('/tokens', 'acme')).status).toBe(401);
    const own = await startGateway(configuration({}, {}));
    expect((await get('/private', 'acme', {}, own)).status).toBe(401);
    await own.stop();
  });

  it('may name its consumer by an alternative name, or by its fingerprint in the file', async () => {
    const own = await startGateway(configuration({}, { mtls: { subject: 'uri' } }));
    expect((await get('/private', 'named', {}, own)).status).toBe(200);
    expect(seen()['x-weir-consumer']).toBe('spiffe://shop/orders');
    expect((await get('/private', 'acme', {}, own)).status).toBe(401);
    await own.stop();
    const { fingerprint256 } = new X509Certificate(files.read('acme.crt'));
    const listed = {
      ...configuration({}, { mtls: { subject: 'fingerprint' } }),
      consumers: [{ id: 'shop', certificates: [fingerprint256] }],
    };
    const pinned = await startGateway(listed);
    expect((await get('/private', 'acme', {}, pinned)).status).toBe(200);
    expect(seen()['x-weir-consumer']).toBe('shop');
    expect((await get('/private', 'globex', {}, pinned)).status).toBe(401);
    await pinned.stop();
  });

  it('that a client made up in headers is dropped (RFC 9440 §4)', async () => {
    const made = {
      'client-cert': ':MIIB:',
      'x-client-cert': 'x',
      'x-forwarded-client-cert': 'x',
      'ssl-client-verify': 'SUCCESS',
    };
    expect((await get('/any', undefined, made)).status).toBe(200);
    for (const name in made) expect(seen()).not.toHaveProperty(name);
  });
});

describe('The TLS of the listener', () => {
  it('speaks 1.2 and 1.3, or 1.3 alone', async () => {
    const speak = async (port: string, version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') => {
      const socket = connect({
        host: '127.0.0.1',
        port: Number(port),
        ca: files.read('ca.crt'),
        minVersion: version,
        maxVersion: version,
      });
      try {
        await once(socket, 'secureConnect');
        return socket.getProtocol();
      } catch {
        return undefined;
      } finally {
        socket.destroy();
      }
    };
    const { port } = new URL(gateway.url);
    expect(await speak(port, 'TLSv1.2')).toBe('TLSv1.2');
    expect(await speak(port, 'TLSv1.3')).toBe('TLSv1.3');
    expect(await speak(port, 'TLSv1.1')).toBeUndefined();
    const own = await startGateway(configuration({ minVersion: 'TLSv1.3' }));
    expect(await speak(new URL(own.url).port, 'TLSv1.2')).toBeUndefined();
    expect(await speak(new URL(own.url).port, 'TLSv1.3')).toBe('TLSv1.3');
    await own.stop();
  });

  it('takes renewed files at a reload, and drops no connection for it', async () => {
    files.certificate('first', 'ca', { extension: 'subjectAltName=IP:127.0.0.1' });
    files.certificate('second', 'ca', { extension: 'subjectAltName=IP:127.0.0.1' });
    for (const kind of ['crt', 'key']) cpSync(files.path(`first.${kind}`), files.path(`live.${kind}`));
    const own = await startGateway(configuration({ cert: files.path('live.crt'), key: files.path('live.key') }));
    const shownBy = async () => {
      const socket = connect({ host: '127.0.0.1', port: Number(new URL(own.url).port), ca: files.read('ca.crt') });
      await once(socket, 'secureConnect');
      return { socket, name: String(socket.getPeerCertificate().subject.CN) };
    };
    const before = await shownBy();
    expect(before.name).toBe('first');
    for (const kind of ['crt', 'key']) cpSync(files.path(`second.${kind}`), files.path(`live.${kind}`));
    expect(await own.gateway.control.reload()).toMatchObject({ ok: true });
    const after = await shownBy();
    expect(after.name).toBe('second');
    before.socket.write('GET /any HTTP/1.1\r\nhost: a\r\n\r\n');
    expect(String((await once(before.socket, 'data'))[0])).toContain('200 OK');
    before.socket.destroy();
    after.socket.destroy();
    await own.stop();
  });

  it('names files that cannot be used, and does not start', async () => {
    await expect(startGateway(configuration({ key: files.path('acme.key') }))).rejects.toThrow(/listen\.tls/);
    await expect(startGateway(configuration({ cert: files.path('nowhere.crt') }))).rejects.toThrow(/listen\.tls\.cert/);
  });
});
