import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { KeyStatus } from '#policies/auth/api-keys/administration.ts';
import { hashOf } from '#policies/auth/api-keys/format.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { weirAt, type Weir } from './running.ts';

let upstream: TestUpstream;
let redis: TestRedis;
let gateway: TestGateway;
let weir: Weir;

beforeAll(async () => {
  upstream = await startUpstream((_request, response) => void response.end('ok'));
  redis = await startRedis();
  gateway = await startGateway({
    redis: { url: redis.url, timeout: '1s' },
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: [{ path: '/private', upstream: 'service', auth: 'required' }],
    auth: { failures: { free: 1_000 } },
  });
});

beforeEach(async () => {
  weir = weirAt(gateway.adminUrl);
  while ((await weir('keys', 'list')).status !== 0) await new Promise((resolve) => setTimeout(resolve, 10));
});

afterAll(async () => {
  await gateway.stop();
  await redis.close();
  await upstream.close();
});

async function status(key: string, method = 'GET'): Promise<number> {
  return (await fetch(`${gateway.url}/private`, { method, headers: { 'x-api-key': key } })).status;
}

async function issue(...options: readonly string[]): Promise<{ key: string; id: string }> {
  const issued = await weir('keys', 'issue', '--consumer', 'acme', ...options);
  expect(issued.status, issued.stderr).toBe(0);
  const id = /key_[0-9a-f]{12}/.exec(issued.stderr)?.[0] ?? '';
  return { key: issued.stdout.trim(), id };
}

async function list(): Promise<readonly KeyStatus[]> {
  return JSON.parse((await weir('keys', 'list', '--json')).stdout) as KeyStatus[];
}

describe('weir keys', () => {
  test('issue prints the key once, alone on stdout; nothing that is kept tells it again', async () => {
    const { key, id } = await issue('--name', 'build server', '--by', 'olga');
    expect(key).toMatch(/^weir_live_[0-9A-Za-z]{38}$/);
    expect(await status(key)).toBe(200);
    expect(upstream.requests.at(-1)!.headers['x-weir-consumer']).toBe('acme');
    const shown = (await list()).find((each) => each.id === id)!;
    expect(shown).toMatchObject({ consumer: 'acme', name: 'build server', createdBy: 'olga', state: 'active' });
    expect(key.startsWith(shown.prefix)).toBe(true);
    const dump = await Promise.all(
      (await redis.client.keys('*')).map((name) => redis.client.hgetall(name).catch(() => ({}))),
    );
    expect(JSON.stringify(dump)).not.toContain(key);
    expect(JSON.stringify(dump)).toContain(hashOf(key));
    expect(JSON.stringify(gateway.log)).not.toContain(key);
    expect(gateway.log.find((line) => line.happened === 'key issued' && line.id === id)).toMatchObject({ by: 'olga' });
  });

  test('issue limits a key to methods, scopes, addresses and a time', async () => {
    const { key, id } = await issue(
      '--methods',
      'GET,HEAD',
      '--scopes',
      'orders:read',
      '--allow-ips',
      '127.0.0.0/8',
      '--expires-in',
      '90d',
    );
    expect(await status(key)).toBe(200);
    expect(await status(key, 'POST')).toBe(403);
    expect((await list()).find((each) => each.id === id)).toMatchObject({
      methods: ['GET', 'HEAD'],
      scopes: ['orders:read'],
      allowIps: ['127.0.0.0/8'],
    });
    const wrong = await weir('keys', 'issue', '--consumer', 'acme', '--methods', 'get', '--expires-in', 'soon');
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toContain('methods.0: write the method in capitals');
    expect(wrong.stderr).toContain('expiresIn: write a duration');
  });

  test('rotate gives a successor with the same rights, and lets both work for the overlap', async () => {
    const old = await issue('--scopes', 'orders:read');
    const rotated = await weir('keys', 'rotate', old.id, '--overlap', '1h');
    expect(rotated.status).toBe(0);
    const next = rotated.stdout.trim();
    expect([await status(old.key), await status(next)]).toEqual([200, 200]);
    const at = await issue();
    const abrupt = (await weir('keys', 'rotate', at.id, '--overlap', '0ms')).stdout.trim();
    expect(await status(abrupt)).toBe(200);
    while ((await status(at.key)) !== 401) await new Promise((resolve) => setTimeout(resolve, 10));
    const states = await list();
    expect(states.find(({ id }) => id === at.id)?.state).toBe('expired');
    expect(states.find(({ id }) => id === old.id)).toMatchObject({ state: 'active', scopes: ['orders:read'] });
  });

  test('revoke ends a key, usage counts it, list shows them as a table', async () => {
    const { key, id } = await issue();
    for (let use = 0; use < 3; use++) expect(await status(key)).toBe(200);
    await gateway.gateway.assembly.auth.issuedKeys!.flush();
    expect((await weir('keys', 'usage', id)).stdout).toMatch(
      new RegExp(`^${id} of acme \\(active\\): 3 uses, last 20`),
    );
    expect((await weir('keys', 'revoke', id)).stdout).toBe(`${id} of acme is revoked.\n`);
    while ((await status(key)) !== 401) await new Promise((resolve) => setTimeout(resolve, 10));
    const table = (await weir('keys', 'list', '--consumer', 'acme')).stdout;
    expect(table).toMatch(/^ID +KEY +CONSUMER +STATE/);
    expect(table).toMatch(new RegExp(`${id} +weir_live_.{4}… +acme +revoked`));
    expect(await weir('keys', 'revoke', 'key_000000000000')).toMatchObject({
      status: 1,
      stderr: "There is no key 'key_000000000000'.\n",
    });
  });

  test('new makes a key for the file, without any gateway', async () => {
    const made = await weirAt('http://127.0.0.1:1')('keys', 'new');
    expect(made.status).toBe(0);
    expect(made.stderr).toContain(hashOf(made.stdout.trim()));
  });

  test('says what is missing: Redis, an id, a consumer', async () => {
    const alone = await startGateway({ upstreams: {}, routes: [] });
    const refused = await weirAt(alone.adminUrl)('keys', 'list');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('write redis.url');
    await alone.stop();
    expect((await weir('keys', 'issue')).stderr).toContain('needs --consumer ID');
    expect((await weir('keys', 'revoke')).stderr).toContain('needs the ID');
    expect((await weir('keys', 'polish')).stderr).toContain('new, issue, list, rotate, revoke, usage');
    expect((await weir('keys', 'new', '--consumer', 'a')).stderr).toContain("'weir keys new' takes no --consumer");
  });
});
