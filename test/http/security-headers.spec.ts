import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Certificates } from '../support/certificates.ts';
import { startGateway, type TestConfig, type TestGateway } from '../support/gateway.ts';
import { send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const files = new Certificates();
let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  files.authority('ca');
  files.certificate('server', 'ca', { extension: 'subjectAltName=IP:127.0.0.1' });
  upstream = await startUpstream((_request, response) => {
    response
      .writeHead(200, {
        server: 'orders/1.2',
        'x-powered-by': 'Express',
        'x-weir-tier': 'forged',
        'x-backend': 'orders-7',
        'x-debug-sql': '17',
        'x-debug-host': 'db-3',
        'x-kept': 'kept',
        trailer: 'x-debug-time',
      })
      .end('ok');
  });
  gateway = await startGateway(configuration(), { modules: resolve(import.meta.dirname, '../fixtures/graphql') });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  files.remove();
});

function configuration(more: TestConfig = {}) {
  return {
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [{ path: '/s', upstream: 'service' }],
    headers: { remove: ['X-Backend', 'x-debug-*'] },
    ...more,
  };
}

describe('What names software or the inside', () => {
  test('does not leave: Server, X-Powered-By, x-weir-*, and what the configuration names', async () => {
    const { headers } = await send(`${gateway.url}/s`);
    expect(headers['x-kept']).toBe('kept');
    for (const name of ['server', 'x-powered-by', 'x-weir-tier', 'x-backend', 'x-debug-sql', 'x-debug-host'])
      expect(headers).not.toHaveProperty(name);
  });

  test('is not on answers of the gateway either', async () => {
    for (const path of ['/nothing', '/graphql', '/docs/errors']) {
      const { headers } = await send(`${gateway.url}${path}`);
      expect(headers).not.toHaveProperty('server');
      expect(headers).not.toHaveProperty('x-powered-by');
    }
  });
});

describe('X-Content-Type-Options: nosniff', () => {
  test.each(['/s', '/nothing', '/docs/errors/INTERNAL', '/graphql', '/%zz'])('is on every answer: %s', async (path) => {
    expect((await send(`${gateway.url}${path}`)).headers['x-content-type-options']).toBe('nosniff');
  });

  test('can be turned off', async () => {
    const one = await startGateway(configuration({ headers: { nosniff: false } }));
    try {
      const { headers } = await send(`${one.url}/s`);
      expect(headers).not.toHaveProperty('x-content-type-options');
      expect(headers['x-backend']).toBe('orders-7');
    } finally {
      await one.stop();
    }
  });
});

describe('Strict-Transport-Security', () => {
  const tls = () => ({ listen: { tls: { cert: files.path('server.crt'), key: files.path('server.key') } } });

  async function overTls(one: TestGateway, path: string): Promise<string | undefined> {
    const request = httpsRequest(`${one.url.replace('http:', 'https:')}${path}`, { ca: files.read('ca.crt') }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.headers['strict-transport-security'];
  }

  test('is never said over plain HTTP (RFC 6797 §7.2), whatever a client claims', async () => {
    for (const headers of [{}, { 'x-forwarded-proto': 'https' }]) {
      const answer = await send(`${gateway.url}/s`, { headers });
      expect(answer.headers).not.toHaveProperty('strict-transport-security');
    }
  });

  test('is on every answer over TLS, refusals too', async () => {
    const one = await startGateway(configuration(tls()));
    try {
      expect(await overTls(one, '/s')).toBe('max-age=31536000');
      expect(await overTls(one, '/nothing')).toBe('max-age=31536000');
    } finally {
      await one.stop();
    }
  });

  test('is as the configuration says', async () => {
    const hsts = { maxAge: '366d', includeSubDomains: true, preload: true };
    for (const [headers, expected] of [
      [{ hsts }, 'max-age=31622400; includeSubDomains; preload'],
      [{ hsts: 'off' }, undefined],
    ] as const) {
      const one = await startGateway(configuration({ ...tls(), headers }));
      try {
        expect(await overTls(one, '/s')).toBe(expected);
      } finally {
        await one.stop();
      }
    }
  });

  test('is said for TLS that ends at a trusted proxy', async () => {
    const one = await startGateway(configuration({ listen: { trustedProxies: ['127.0.0.1'] } }));
    try {
      const answer = await send(`${one.url}/s`, { headers: { 'x-forwarded-proto': 'https' } });
      expect(answer.headers['strict-transport-security']).toBe('max-age=31536000');
      expect((await send(`${one.url}/s`)).headers).not.toHaveProperty('strict-transport-security');
    } finally {
      await one.stop();
    }
  });
});

describe('A page of the gateway', () => {
  test('of errors runs no script, loads nothing, and cannot be framed', async () => {
    for (const path of ['/docs/errors', '/docs/errors/INTERNAL', '/docs/errors/NOTHING']) {
      const { headers, text } = await send(`${gateway.url}${path}`);
      const [, style = ''] = /<style>([^]*?)<\/style>/.exec(text) ?? [];
      expect(headers['content-security-policy']).toBe(
        `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; ` +
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      expect(headers['referrer-policy']).toBe('no-referrer');
    }
  });

  test('of GraphiQL keeps a policy of its own', async () => {
    const { headers } = await send(`${gateway.url}/graphql`, { headers: { accept: 'text/html' } });
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'sha256-/);
    expect(headers['referrer-policy']).toBe('no-referrer');
    expect(headers['x-content-type-options']).toBe('nosniff');
  });
});

test.each([
  ['{ hsts: { preload: true } }', 'headers.hsts.preload'],
  ['{ hsts: on }', 'headers.hsts'],
  ['{ remove: [content-length] }', 'headers.remove[0]'],
  ['{ remove: ["*"] }', 'headers.remove[0]'],
  ['{ remove: ["a b"] }', 'headers.remove[0]'],
])('What is wrong is refused with its place: %s', async (yaml, path) => {
  const starting = startGateway(`headers: ${yaml}\n`);
  await expect(starting).rejects.toThrow(` ${path}: `);
  await expect(starting).rejects.toThrow(/test\.yaml:\d+:\d+/);
});
