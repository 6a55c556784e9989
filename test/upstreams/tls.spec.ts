import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startNameServer } from '../support/dns.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-tls-'));
const file = (name: string) => join(folder, name);
let upstream: TestUpstream;
let gateway: TestGateway | undefined;

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] });
}

/** A CA, and a certificate signed by it. */
function authority(name: string): void {
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.crt`,
  );
}
function certificate(name: string, ca: string, extension: string): void {
  writeFileSync(file(`${name}.ext`), extension);
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  );
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${ca}.crt`,
    '-CAkey',
    `${ca}.key`,
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.crt`,
  );
}

beforeAll(async () => {
  authority('ca');
  authority('stranger');
  certificate('server', 'ca', 'subjectAltName=IP:127.0.0.1');
  certificate('named', 'ca', 'subjectAltName=DNS:orders.test');
  certificate('client', 'ca', 'extendedKeyUsage=clientAuth');
  upstream = await startUpstream(
    (request, response, body) => {
      const peer = (request.socket as TLSSocket).getPeerCertificate();
      response.end(`${String(peer.subject.CN)} sent ${body.length}`);
    },
    {
      key: readFileSync(file('server.key')),
      cert: readFileSync(file('server.crt')),
      ca: readFileSync(file('ca.crt')),
      requestCert: true,
      rejectUnauthorized: true,
    },
  );
});
afterEach(async () => {
  if (gateway) await untilIdle(gateway);
  await gateway?.stop();
  gateway = undefined;
});
afterAll(async () => {
  await upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

async function front(tls: object): Promise<string> {
  gateway = await startGateway({
    upstreams: { things: { endpoints: [upstream.url], retry: { attempts: 0 }, tls } },
    routes: [{ path: '/*path', upstream: 'things' }],
  });
  return gateway.url;
}

/** Small enough to be held, and too large for it: the two forms of the exchange. */
const bodies = [100, 100_000];

describe('TLS to an upstream', () => {
  test.each(bodies)('with a CA of its own and a client certificate, body of %i bytes', async (length) => {
    const url = await front({ ca: file('ca.crt'), cert: file('client.crt'), key: file('client.key') });
    const answer = await send(`${url}/a`, { method: 'POST', body: 'x'.repeat(length) });
    expect(answer).toMatchObject({ status: 200, text: `client sent ${length}` });
  });

  test.each(bodies)('is refused where the certificate is of another CA, body of %i bytes', async (length) => {
    const url = await front({ ca: file('stranger.crt'), cert: file('client.crt'), key: file('client.key') });
    const answer = await send(`${url}/a`, { method: 'POST', body: 'x'.repeat(length) });
    expect(answer.status).toBe(502);
    expect(answer.json()).toMatchObject({ code: 'UPSTREAM_UNREACHABLE' });
  });

  test.each(bodies)(
    'is refused without a client certificate where the upstream asks for one, body of %i bytes',
    async (length) => {
      const url = await front({ ca: file('ca.crt') });
      expect(await send(`${url}/a`, { method: 'POST', body: 'x'.repeat(length) })).toMatchObject({ status: 502 });
    },
  );

  test.each(bodies)('checks the name in the certificate, body of %i bytes', async (length) => {
    const tls = { ca: file('ca.crt'), cert: file('client.crt'), key: file('client.key'), serverName: 'elsewhere.test' };
    expect(await send(`${await front(tls)}/a`, { method: 'POST', body: 'x'.repeat(length) })).toMatchObject({
      status: 502,
    });
  });
});

describe('TLS to discovered endpoints', () => {
  test.each(bodies)('verifies the name that they were discovered under, body of %i bytes', async (length) => {
    const asked: unknown[] = [];
    const service = await startUpstream(
      (request, response, body) => {
        asked.push((request.socket as TLSSocket).servername, request.headers.host);
        response.end(`sent ${body.length}`);
      },
      { key: readFileSync(file('named.key')), cert: readFileSync(file('named.crt')) },
    );
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1'] }, 'other.test': { a: ['127.0.0.1'] } });
    const discovery = { kind: 'dns', port: service.port, scheme: 'https', servers: [names.address] };
    const common = { retry: { attempts: 0 }, tls: { ca: file('ca.crt') } };
    gateway = await startGateway({
      upstreams: {
        things: { discovery: { ...discovery, name: 'orders.test' }, ...common },
        others: { discovery: { ...discovery, name: 'other.test' }, ...common },
        renamed: { discovery: { ...discovery, name: 'other.test', host: 'orders.test' }, ...common },
      },
      routes: ['things', 'others', 'renamed'].map((name) => ({ path: `/${name}`, upstream: name })),
    });
    const post = (path: string) => send(gateway!.url + path, { method: 'POST', body: 'x'.repeat(length) });
    expect(await post('/things')).toMatchObject({ status: 200, text: `sent ${length}` });
    expect(await post('/renamed')).toMatchObject({ status: 200 });
    expect(asked).toEqual(['orders.test', `orders.test:${service.port}`, 'orders.test', `orders.test:${service.port}`]);
    expect(await post('/others')).toMatchObject({ status: 502 });
    await Promise.all([service.close(), names.close()]);
  });
});
