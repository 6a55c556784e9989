import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { weirAt } from '../cli/running.ts';
import { GatewayProgram } from '../support/gateway-program.ts';
import { startNginx, type TestNginx } from '../support/nginx.ts';
import { send } from '../support/raw-client.ts';
import { startCacheService, type CacheService } from './service.ts';

/**
 * A gateway behind a CDN: nginx with `proxy_cache`, which stores whatever an answer lets it store, under its URI alone. It takes
 * nothing out of its store for who shows a credential (`proxy_cache_bypass`), but would put in what such a one is given.
 */

const acme = newApiKey();
const rival = newApiKey();

let service: CacheService;
let gateway: GatewayProgram;
let nginx: TestNginx;

beforeAll(async () => {
  service = await startCacheService();
  gateway = await GatewayProgram.start({
    listen: { port: 0, trustedProxies: ['127.0.0.1'] },
    admin: { port: 0 },
    upstreams: {
      known: { endpoints: [service.url], cookies: ['session'] },
      open: { endpoints: [service.url], identity: 'none' },
    },
    routes: [
      { path: '/known{/*rest}', upstream: 'known' },
      { path: '/off{/*rest}', upstream: 'known', cache: false },
      { path: '/subject{/*rest}', upstream: 'known', cache: { scope: 'subject' } },
      { path: '/open{/*rest}', upstream: 'open' },
    ],
    consumers: [
      { id: 'acme', keys: [acme.hash] },
      { id: 'rival', keys: [rival.hash] },
    ],
  });
  nginx = await startNginx(
    (port) => `
  proxy_cache_path cache keys_zone=cdn:1m use_temp_path=off;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass ${gateway.url};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_cache cdn;
      proxy_cache_key $uri$is_args$args;
      proxy_cache_bypass $http_x_api_key $cookie_session;
      add_header X-Cdn $upstream_cache_status always;
    }
  }`,
  );
}, 60_000);

afterAll(async () => {
  await nginx.close();
  await gateway.stop();
  await service.close();
});

const ask = (path: string, headers: Record<string, string> = {}) => send(nginx.url + path, { headers });
const cdnOf = (answer: { headers: NodeJS.Dict<string | string[]> }) => answer.headers['x-cdn'];
const bearing = ({ key }: { key: string }) => ({ 'x-api-key': key });

/** The CDN's own copies that have this in their fields. */
function copies(text: string): string[] {
  const folder = join(nginx.folder, 'cache');
  const files = readdirSync(folder).map((name) => join(folder, name));
  return files.filter((file) => readFileSync(file, 'latin1').split('\r\n\r\n', 1)[0]!.includes(text));
}

/**
 * What a CDN does for a surrogate key. nginx has no such command (its `proxy_cache_purge` is not in the open version), so its
 * copies are found by their fields and taken from its folder, which it notices.
 */
function purgeCdn(key: string): void {
  const named = new RegExp(`^surrogate-key:.*\\b${key}\\b`, 'im');
  for (const file of copies('')) {
    const [head] = readFileSync(file, 'latin1').split('\r\n\r\n', 1);
    if (named.test(head!)) rmSync(file);
  }
}

describe('Behind a CDN', { timeout: 60_000 }, () => {
  test('what is for all is a hit there, and reaches neither gateway nor service again', async () => {
    for (const [path, control] of [
      ['/open/1', 'max-age=3600'],
      ['/known/public', 'public, max-age=3600'],
      ['/known/shared', 's-maxage=3600'],
    ] as const) {
      service.answer(path, { headers: { 'cache-control': control } });
      expect(cdnOf(await ask(path))).toBe('MISS');
      const second = await ask(path);
      expect([cdnOf(second), second.text]).toEqual(['HIT', 'stored']);
      // The gateway has it too.
      expect((await ask(path, bearing(acme))).text).toBe('stored');
      expect(service.asked(path)).toHaveLength(1);
    }
  });

  test.each([
    ['/known/me', 'max-age=3600'],
    ['/known/expires', undefined],
    ['/known/private', 'private, max-age=3600'],
    ['/off/me', 'max-age=3600'],
    ['/subject/me', 'public, s-maxage=3600'],
    ['/known/bridged', 'max-age=3600, stale-while-revalidate=60'],
  ])('what was made for one is never stored there: %s (%s)', async (path, control) => {
    service.answer(path, (request, response) => {
      const text = `${String(request.headers['x-weir-consumer'])} ${String(request.headers.cookie)}`;
      const headers =
        control === undefined
          ? { expires: new Date(Date.now() + 3_600_000).toUTCString() }
          : { 'cache-control': control };
      response.writeHead(200, { ...headers, 'content-length': text.length }).end(text);
    });
    const callers = [bearing(acme), bearing(rival), { ...bearing(acme), cookie: 'session=1' }, { cookie: 'session=2' }];
    const [ours, theirs, cookie, other] = [
      'acme undefined',
      'rival undefined',
      'acme session=1',
      'anonymous session=2',
    ];
    for (let times = 0; times < 2; times++) {
      const texts: string[] = [];
      for (const who of callers) {
        const answer = await ask(path, who);
        expect(cdnOf(answer)).toBe('BYPASS');
        texts.push(answer.text);
      }
      expect(texts).toEqual([ours, theirs, cookie, other]);
      expect(copies(path)).toEqual([]);
    }
    // Nobody in particular gets what is for nobody in particular.
    expect((await ask(path)).text).toBe('anonymous undefined');
    for (const copy of copies(path)) expect(readFileSync(copy, 'latin1')).not.toMatch(/acme|rival|session/);
  });

  test('what the gateway gives out again says the same', async () => {
    service.answer('/known/again', { headers: { 'cache-control': 'max-age=3600', 'cdn-cache-control': 'max-age=60' } });
    for (let times = 0; times < 2; times++) {
      const answer = await ask('/known/again', bearing(acme));
      expect(cdnOf(answer)).toBe('BYPASS');
      expect(answer.headers['cache-control']).toBe('private, max-age=3600');
      expect(answer.headers['cdn-cache-control']).toBeUndefined();
    }
    // The gateway itself may, for acme alone.
    expect(service.asked('/known/again')).toHaveLength(1);
  });

  test('a surrogate key purges both, and leaves what has it not', async () => {
    for (const [path, key] of [
      ['/open/p1', 'p1 catalog'],
      ['/open/p2', 'p2 catalog'],
      ['/open/home', 'home'],
    ] as const) {
      service.answer(path, { headers: { 'cache-control': 'max-age=3600', 'surrogate-key': key }, text: 'old' });
      await ask(path);
      expect(cdnOf(await ask(path))).toBe('HIT');
      service.answer(path, { headers: { 'cache-control': 'max-age=3600', 'surrogate-key': key }, text: 'new' });
    }
    // First where the CDN would take it from.
    expect(await weirAt(gateway.adminUrl)('cache', 'purge', '--tag', 'catalog')).toMatchObject({ status: 0 });
    purgeCdn('catalog');
    for (const path of ['/open/p1', '/open/p2']) expect((await ask(path)).text).toBe('new');
    const home = await ask('/open/home');
    expect([cdnOf(home), home.text]).toEqual(['HIT', 'old']);
  });

  test('refusals and errors of the gateway are not stored there', async () => {
    for (const [path, headers] of [
      ['/nowhere', {}],
      ['/known/refused', { 'x-api-key': 'wrong' }],
    ] as const) {
      for (let times = 0; times < 2; times++) await ask(path, headers);
      expect(copies(path)).toEqual([]);
    }
  });
});
