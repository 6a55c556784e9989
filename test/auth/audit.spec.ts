import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { newApiKey, prefixOf } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import type { TestConfig, TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

const plain = newApiKey();
const unknown = newApiKey();
const adminToken = 'the-token-of-operators';

let service: TestUpstream;
let issuer: TestIssuer;
let redis: TestRedis;
let server: GraphqlServer;
const others: TestGateway[] = [];

beforeAll(async () => {
  service = await startUpstream((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('"ok"');
  });
  issuer = await startIssuer();
  redis = await startRedis();
  // Not even errors are logged here; what is audited is.
  server = await startModules('test/fixtures/guarded', configuration({ telemetry: { log: 'silent' } }));
  // Until Redis is there, keys that it might hold are answered with 503.
  while ((await admin('GET', '/admin/keys')).status === 503) await new Promise((resolve) => setTimeout(resolve, 10));
});

afterEach(async () => {
  for (const other of others.splice(0)) await other.stop();
});

afterAll(async () => {
  await server.stop();
  await redis.close();
  await issuer.close();
  await service.close();
});

function configuration(more: TestConfig = {}): TestConfig {
  return {
    upstreams: { vault: { endpoints: [service.url] } },
    routes: [
      { name: 'private', path: '/private', upstream: 'vault', auth: 'required' },
      { name: 'read', path: '/read', upstream: 'vault', auth: { scopes: { all: ['orders:delete'] } } },
    ],
    consumers: [{ id: 'plain', keys: [plain.hash] }],
    auth: {
      jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }],
      failures: { maxDelay: '0ms' },
    },
    admin: { token: adminToken },
    redis: { url: redis.url },
    ...more,
  };
}

async function another(more: TestConfig = {}): Promise<GraphqlServer> {
  const other = await startModules('test/fixtures/guarded', configuration(more));
  others.push(other);
  return other;
}

type Line = Readonly<Record<string, unknown>>;

async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const audited = ({ log }: TestGateway): Line[] => log.filter((line) => line.log === 'audit');

/** What is written down of a request. */
async function lineOf(path: string, headers: Record<string, string> = {}): Promise<Line> {
  const id = crypto.randomUUID();
  await fetch(`${server.url}${path}`, { headers: { 'x-request-id': id, ...headers } });
  return until(() => audited(server).find(({ requestId }) => requestId === id));
}

async function admin(method: string, path: string, body?: object, at: TestGateway = server): Promise<Response> {
  const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
  return fetch(`${at.adminUrl}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
}

const operators = (happened: string) =>
  until(() => audited(server).find((line) => line.msg === 'operator' && line.happened === happened));

describe('A denial is written down, though nothing else is logged:', () => {
  it('who shows no credential', async () => {
    expect(await lineOf('/private')).toMatchObject({
      log: 'audit',
      msg: 'denied',
      code: 'UNAUTHENTICATED',
      method: 'GET',
      route: 'private',
      clientIp: '127.0.0.1',
      shown: [],
    });
  });

  it('who shows a key that is refused, by no more than what may be shown of a key', async () => {
    const line = await lineOf('/private', { 'x-api-key': unknown.key });
    expect(line).toMatchObject({
      code: 'UNAUTHENTICATED',
      why: 'The credential is refused: it is not known.',
      shown: ['apiKey'],
      keyPrefix: prefixOf(unknown.key),
    });
    expect(line).not.toHaveProperty('consumer');
  });

  it('who shows something else for a key, of which nothing is written: it may be a password', async () => {
    const line = await lineOf('/private', { 'x-api-key': 'hunter2' });
    expect(line).toMatchObject({ shown: ['apiKey'] });
    expect(line).not.toHaveProperty('keyPrefix');
    expect(JSON.stringify(line)).not.toContain('hunter');
  });

  it('who shows a token that is refused', async () => {
    const token = await issuer.token({ aud: 'another' });
    const line = await lineOf('/private', { authorization: `Bearer ${token}` });
    expect(line).toMatchObject({ code: 'UNAUTHENTICATED', shown: ['jwt'] });
    expect(JSON.stringify(server.log)).not.toContain(token.split('.')[2]);
  });

  it('who is known and may not, with the consumer and what showed it', async () => {
    expect(await lineOf('/read', { 'x-api-key': plain.key })).toMatchObject({
      code: 'FORBIDDEN',
      why: 'A scope is missing; needed: orders:delete.',
      consumer: 'plain',
      shown: ['apiKey'],
    });
  });

  it('who shows two credentials of different consumers', async () => {
    const headers = { 'x-api-key': plain.key, authorization: `Bearer ${await issuer.token()}` };
    const line = await lineOf('/private', headers);
    expect(line).toMatchObject({ code: 'CREDENTIALS_CONFLICT', keyPrefix: prefixOf(plain.key) });
    expect(line.shown).toEqual(expect.arrayContaining(['jwt', 'apiKey']));
  });

  it('who reads a field that asks for more, once for the whole operation', async () => {
    const before = audited(server).length;
    await server.query('query Mine { a: private b: private report }', { 'x-api-key': plain.key });
    await until(() => (audited(server).length > before ? true : undefined));
    await lineOf('/private');
    expect(audited(server).slice(before, -1)).toEqual([
      expect.objectContaining({ msg: 'denied', code: 'FORBIDDEN', operation: 'Mine', consumer: 'plain' }),
    ]);
  });

  it('an operation on a WebSocket at once, with the id of its connection', async () => {
    const before = audited(server).length;
    const client = createClient({
      url: server.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      connectionParams: { 'x-api-key': plain.key },
      lazy: false,
    });
    await Array.fromAsync(client.iterate({ query: 'query Report { report }' }));
    const line = await until(() => audited(server)[before]);
    expect(line).toMatchObject({ code: 'FORBIDDEN', operation: 'Report', consumer: 'plain' });
    expect(line.connection).toEqual(expect.any(String));
    await client.dispose();
    await lineOf('/private');
    expect(audited(server)).toHaveLength(before + 2);
  });

  it('who is not let in by connection_init', async () => {
    const before = audited(server).length;
    const client = createClient({
      url: server.graphqlUrl.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      connectionParams: { 'x-api-key': unknown.key },
    });
    await Array.fromAsync(client.iterate({ query: '{ public }' })).catch(() => {});
    expect(await until(() => audited(server)[before])).toMatchObject({
      code: 'UNAUTHENTICATED',
      shown: ['apiKey'],
      keyPrefix: prefixOf(unknown.key),
    });
  });

  it('and of a flood a few, and the sum with its addresses', async () => {
    const own = await another();
    const ask = () => fetch(`${own.url}/private`, { headers: { 'x-api-key': 'nobody' } });
    const began = performance.now();
    for (let round = 0; round < 40; round++) await Promise.all(Array.from({ length: 10 }, ask));
    const seconds = Math.ceil((performance.now() - began) / 1_000) + 1;
    await own.stop();
    others.length = 0;
    const denied = audited(own).filter(({ msg }) => msg === 'denied');
    const sums = audited(own).filter(({ msg }) => msg === 'refused');
    expect(denied.length).toBeLessThanOrEqual(10 * seconds);
    expect(sums.length).toBeGreaterThan(0);
    expect(sums[0]).toMatchObject({ code: 'UNAUTHENTICATED', clientIps: ['127.0.0.1'] });
    expect(denied.length + sums.reduce((sum, { count }) => sum + Number(count), 0)).toBe(400);
  });
});

describe('What operators do is written down:', () => {
  it('a wrong admin token, and where it came from; a flood at the public door does not hide it', async () => {
    await Promise.all(Array.from({ length: 50 }, () => fetch(`${server.url}/private`)));
    const path = `/admin/keys?for=${crypto.randomUUID()}`;
    const answer = await fetch(`${server.adminUrl}${path}`, { headers: { authorization: 'Bearer guessed' } });
    expect(answer.status).toBe(401);
    const line = audited(server).findLast(({ listener }) => listener === 'admin');
    expect(line).toMatchObject({ msg: 'denied', level: 'warn', method: 'GET', path: '/admin/keys', from: '127.0.0.1' });
    expect(JSON.stringify(line)).not.toContain('guessed');
  });

  it('a page of another origin that asks by way of an operator', async () => {
    const answer = await fetch(`${server.adminUrl}/admin/reload`, {
      method: 'POST',
      headers: { origin: 'https://evil.example' },
    });
    expect(answer.status).toBe(403);
    expect(audited(server).findLast(({ listener }) => listener === 'admin')).toMatchObject({
      why: 'The request comes from another site',
      method: 'POST',
      path: '/admin/reload',
    });
  });

  it('the life of a key, and never the key', async () => {
    const answer = await admin('POST', '/admin/keys', { consumer: 'acme', by: 'anna' });
    const issued = (await answer.json()) as { id: string; key: string; prefix: string };
    expect(await operators('key issued')).toMatchObject({
      id: issued.id,
      consumer: 'acme',
      prefix: prefixOf(issued.key),
      by: 'anna',
      from: '127.0.0.1',
    });
    const rotated = await admin('POST', `/admin/keys/${issued.id}/rotate`, { by: 'ben' });
    const next = (await rotated.json()) as { id: string; key: string };
    expect(await operators('key rotated')).toMatchObject({ id: next.id, replaces: issued.id, by: 'ben' });
    await admin('DELETE', `/admin/keys/${next.id}?by=carla`);
    expect(await operators('key revoked')).toMatchObject({ id: next.id, consumer: 'acme', by: 'carla' });
    for (const { key } of [issued, next]) expect(JSON.stringify(server.log)).not.toContain(key);
  });

  it('what is held for a while, and who let go of it', async () => {
    const held = { kind: 'upstream', target: 'vault', action: 'close', by: 'anna' };
    expect((await admin('POST', '/admin/overrides', held)).status).toBe(201);
    expect(await operators('set')).toMatchObject({ log: 'audit', level: 'warn', target: 'vault', by: 'anna' });
    await admin('DELETE', '/admin/overrides?kind=upstream&target=vault&by=ben');
    expect(await operators('removed')).toMatchObject({ target: 'vault', by: 'ben' });
  });

  it('a reload', async () => {
    const own = await another();
    expect((await admin('POST', '/admin/reload', { by: 'dora', reason: 'new route' }, own)).status).toBe(200);
    expect(audited(own)).toEqual([
      expect.objectContaining({ happened: 'reload', ok: true, by: 'dora', reason: 'new route', from: '127.0.0.1' }),
    ]);
  });
});

describe('telemetry.audit', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-audit-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('names a file that the lines are added to instead, for its owner to read', async () => {
    const file = join(folder, 'audit.log');
    for (const round of [1, 2]) {
      const own = await another({ telemetry: { audit: file } });
      await fetch(`${own.url}/private`, { headers: { 'x-request-id': `round-${round}` } });
      await own.accessOf(`round-${round}`);
      await own.stop();
      expect(audited(own)).toEqual([]);
    }
    others.length = 0;
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const read = lines.map((line) => JSON.parse(line) as Line);
    expect(read.map(({ log, requestId }) => [log, requestId])).toEqual([
      ['audit', 'round-1'],
      ['audit', 'round-2'],
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('is a problem of the configuration where the file cannot be', async () => {
    await expect(another({ telemetry: { audit: join(folder, 'nowhere', 'audit.log') } })).rejects.toThrow(
      /telemetry\.audit: names a file in a folder that does not exist/,
    );
    await expect(another({ telemetry: { audit: folder } })).rejects.toThrow(/telemetry\.audit: EISDIR/);
  });
});
