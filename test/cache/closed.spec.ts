import type { IncomingMessage } from 'node:http';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { startGateway } from '../support/gateway.ts';
import { startNginx, type TestNginx } from '../support/nginx.ts';
import { send, type Answer, type Sending } from '../support/raw-client.ts';
import { acme, bearing, forHour, rival, startAnswerServer, type AnswerServer } from './answers/server.ts';

/**
 * Answers that depend on who asks although nothing of that is shown to their upstream, or although it says that they are for all:
 * what a credential is asked for, and what the gateway itself puts into the call or the answer. Before the gateway stands a CDN as
 * in cdn.spec.ts: it stores under the URI alone what it is let store, and passes on whoever shows an API key.
 */

const documents: Readonly<Record<string, string>> = {
  named: 'query Named($id: ID!) { thing(id: $id) { id name } }',
  listed: 'query Listed($first: Int) { things(first: $first) { name } }',
};

/** What an upstream can say so that everybody's caches keep its answer. */
const forAll = {
  'cache-control': 'public, max-age=3600, s-maxage=7200',
  'cdn-cache-control': 'max-age=600',
  'surrogate-control': 'max-age=600',
  'example-cdn-cache-control': 'max-age=600',
  'x-accel-expires': '600',
};

const credentials: Readonly<Record<string, object | string>> = {
  required: 'required',
  scopes: { mode: 'optional', scopes: { all: ['vip'] } },
  'any-scope': { mode: 'optional', scopes: { any: ['vip', 'other'] } },
  roles: { mode: 'optional', roles: ['buyer'] },
  rule: { mode: 'optional', rule: 'consumer.id == "acme"' },
};

/** By what a route's answer is another for somebody else. */
const differing: Readonly<Record<string, object>> = {
  query: { query: { set: { who: '{consumer.id}' } } },
  address: { query: { set: { ip: '{client.ip}' } } },
  field: { headers: { response: { set: { 'x-tier': 'of {consumer.tier}' } } } },
  subject: { headers: { response: { set: { 'x-for': '{subject}' } } } },
  body: { body: { response: { set: { '/a/b': [{ c: '{claims.sub}' }] } } } },
};

/** By what it is the same for all. */
const same: Readonly<Record<string, object>> = {
  nothing: {},
  path: { query: { set: { id: '{params.rest}', host: '{request.host}' } } },
  number: { headers: { response: { set: { 'x-number': '{request.id}' } } } },
  upstreams: { headers: { request: { set: { 'x-address': '{client.ip}' } } } },
  content: { body: { request: { set: { '/who': '{consumer.id}' } } } },
  asked: { auth: { mode: 'none', scopes: { all: ['vip'] } } },
};

let folder: string;
let server: AnswerServer;
let nginx: TestNginx;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weir-closed-'));
  for (const [name, text] of Object.entries(documents)) writeFileSync(join(folder, `${name}.graphql`), text);
  const route = (name: string, rest: object) => ({
    path: `/${name}{/*rest}`,
    upstream: 'more',
    rewrite: '/at{/*rest}',
    ...rest,
  });
  const operation = (document: string, variables: object) => ({ document, variables });
  server = await startAnswerServer({
    consumers: [
      { id: 'acme', tier: 'gold', scopes: ['vip'], roles: ['buyer'], keys: [acme.hash] },
      { id: 'rival', keys: [rival.hash] },
    ],
    upstreams: { more: { identity: 'none' } },
    graphql: { documents: { path: folder } },
    routes: [
      ...Object.entries(credentials).map(([name, auth]) => route(name, { auth })),
      route('off', { auth: 'required', cache: false }),
      route('shared', { auth: 'required', cache: { ttl: '1h', scope: 'shared' } }),
      route('moved', {
        auth: 'required',
        headers: { response: { rename: { 'x-said': 'cache-control' }, set: { 'cdn-cache-control': 'max-age=9' } } },
      }),
      ...Object.entries(differing).map(([name, changes]) => route(name, changes)),
      ...Object.entries(same).map(([name, changes]) => route(name, changes)),
      route('told', { headers: { request: { set: { 'X-User': '{consumer.id}' } } } }),
      { path: '/known{/*rest}', upstream: 'things', rewrite: '/at{/*rest}' },
      { path: '/op/named/:id', operation: 'named' },
      { path: '/op/asked', operation: operation('named', { id: '{query.id}' }) },
      { path: '/op/mine', operation: operation('named', { id: '{consumer.id}' }) },
      { path: '/op/own', operation: operation('named', { id: 'of-{consumer.tier}' }) },
      { path: '/op/near', operation: operation('named', { id: '{client.ip}' }) },
      { path: '/op/vip', operation: 'listed', auth: { mode: 'optional', scopes: { all: ['vip'] } } },
    ],
  });
  nginx = await startNginx(
    (port) => `
  proxy_cache_path cache keys_zone=cdn:1m use_temp_path=off;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass ${server.url};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_cache cdn;
      proxy_cache_key $uri$is_args$args;
      proxy_cache_bypass $http_x_api_key;
      add_header X-Cdn $upstream_cache_status always;
    }
  }`,
  );
}, 60_000);

afterAll(async () => {
  await nginx.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  server.gives('/at/1', { a: {} }, forAll);
});

const direct = (path: string, headers: Record<string, string> = {}, sending: Sending = {}) =>
  send(server.url + path, { ...sending, headers });
const ask = (path: string, headers: Record<string, string> = {}) => send(nginx.url + path, { headers });

/** The CDN's own copies of answers to a path. */
function copies(path: string): string[] {
  const cache = join(nginx.folder, 'cache');
  return readdirSync(cache).filter((name) =>
    readFileSync(join(cache, name), 'latin1').split('\r\n\r\n', 1)[0]!.includes(`KEY: ${path}`),
  );
}

/** What caches in between go by. */
const rulesOf = ({ headers }: Answer) => Object.keys(forAll).map((name) => headers[name]);
const closed = ['private, max-age=3600', undefined, undefined, undefined, undefined];

describe('A route that asks for a credential', () => {
  test.each([...Object.keys(credentials), 'off', 'shared'])(
    'gives no cache between what it does not give everybody: %s',
    async (name) => {
      const path = `/${name}/1`;
      for (let times = 0; times < 2; times++) {
        const answer = await ask(path, bearing(acme));
        expect([answer.status, answer.headers['x-cdn'], ...rulesOf(answer)]).toEqual([200, 'BYPASS', ...closed]);
      }
      expect(copies(path)).toEqual([]);
      expect((await ask(path)).status).toBe(name === 'rule' ? 403 : 401);
      expect(copies(path)).toEqual([]);
    },
  );

  test('where `auth.default` says so', async () => {
    const gateway = await startGateway({
      auth: { default: 'required' },
      consumers: [{ id: 'acme', keys: [acme.hash] }],
      upstreams: { more: { endpoints: [server.service.url], identity: 'none' } },
      routes: [
        { path: '/at{/*rest}', upstream: 'more' },
        { path: '/free{/*rest}', upstream: 'more', rewrite: '/at{/*rest}', auth: 'optional' },
      ],
    });
    onTestFinished(() => gateway.stop());
    const get = (path: string) => send(gateway.url + path, { headers: bearing(acme) });
    expect(rulesOf(await get('/at/1'))).toEqual(closed);
    expect(rulesOf(await get('/free/1'))).toEqual(Object.values(forAll));
  });

  test('whatever its upstream says, and whatever the answer is', async () => {
    const said = async (path: string, headers: Record<string, string>, sending: Sending = {}, status = 200) => {
      server.service.answer('/at/2', { status, headers });
      const answer = await direct(path, bearing(acme), sending);
      expect(answer.status).toBe(status);
      return answer.headers['cache-control'];
    };
    // Nothing is said of caching, and some would guess.
    expect(await said('/off/2', {})).toBe('private');
    expect(await said('/off/2', { 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' })).toBe('private');
    expect(await said('/off/2', { expires: 'Thu, 01 Jan 2100 00:00:00 GMT' })).toBe('private');
    // It says so itself.
    expect(await said('/off/2', { 'cache-control': 'no-store' })).toBe('no-store');
    expect(await said('/off/2', { 'cache-control': 'max-age=5, Private' })).toBe('max-age=5, Private');
    expect(await said('/off/2', { 'cache-control': 'private="set-cookie", max-age=5' })).toBe(
      'private, private="set-cookie", max-age=5',
    );
    // RFC 9111 §5.2.2.3: to who understands the status that is no `no-store`.
    expect(await said('/off/2', { 'cache-control': 'no-store, must-understand, max-age=5' })).toBe(
      'private, no-store, must-understand, max-age=5',
    );
    expect(await said('/off/2', { 'cache-control': 'max-age=5' })).toBe('private, max-age=5');
    expect(await said('/off/2', { 'cache-control': 'max-age=6' }, { method: 'HEAD' })).toBe('private, max-age=6');
    expect(await said('/off/2', { 'cache-control': 'max-age=7' }, {}, 404)).toBe('private, max-age=7');
    expect(await said('/off/2', { 'cache-control': 'max-age=8', etag: '"1"' }, {}, 304)).toBe('private, max-age=8');
    // Nobody keeps these.
    expect(await said('/off/2', { 'cache-control': 'max-age=9' }, { method: 'DELETE' })).toBe('max-age=9');
  });

  test('is not opened by what the route does with fields', async () => {
    server.service.answer('/at/3', { headers: { 'x-said': 'public, max-age=60' } });
    const answer = await direct('/moved/3', bearing(acme));
    expect([answer.headers['cache-control'], answer.headers['cdn-cache-control']]).toEqual([
      'private, max-age=60',
      undefined,
    ]);
  });

  test('has its upstream pay no more for that: the gateway itself still keeps what it may', async () => {
    server.gives('/at/4', {}, forAll);
    for (const who of [acme, rival, acme]) await direct('/required/4', bearing(who));
    expect(server.service.asked('/at/4')).toHaveLength(1);
  });
});

describe('A route whose answers differ by who asks', () => {
  test.each(Object.keys(differing))('says so, though its URL and its upstream do not: by %s', async (name) => {
    const path = `/${name}/1`;
    const answer = await ask(path, bearing(acme));
    expect([answer.headers['x-cdn'], ...rulesOf(answer)]).toEqual(['BYPASS', ...closed]);
    expect(rulesOf(await ask(path, bearing(rival)))).toEqual(closed);
    expect(copies(path)).toEqual([]);
  });

  test.each(Object.keys(same))('is not one whose answers are the same for all: %s', async (name) => {
    const path = `/${name}/1`;
    const answer = await direct(path, bearing(acme));
    expect(rulesOf(answer)).toEqual(Object.values(forAll));
    await ask(path);
    const { headers } = await ask(path);
    expect(headers['x-cdn']).toBe('HIT');
  });
});

test('What a route tells the upstream of who asks makes its answer one for that one alone, which the upstream can deny', async () => {
  server.gives('/at/6', ({ headers }: IncomingMessage) => headers['x-user'], { 'cache-control': 'max-age=3600' });
  for (const [who, name] of [
    [acme, 'acme'],
    [rival, 'rival'],
    [acme, 'acme'],
  ] as const) {
    const answer = await ask('/told/6', bearing(who));
    expect([answer.json(), answer.headers['cache-control']]).toEqual([name, 'private, max-age=3600']);
    expect(copies('/told/6')).toEqual([]);
  }
  server.gives('/at/7', {}, forHour);
  expect((await direct('/told/7', bearing(acme))).headers['cache-control']).toBe('public, max-age=3600');
});

test('What the upstream made for one stays out of a CDN by whatever name that is told how long it is good', async () => {
  server.gives('/at/5', {}, { ...forAll, 'cache-control': 'max-age=3600' });
  for (let times = 0; times < 2; times++) {
    const answer = await ask('/known/5', bearing(acme));
    expect([answer.headers['x-cdn'], ...rulesOf(answer)]).toEqual(['BYPASS', ...closed]);
    expect(copies('/known/5')).toEqual([]);
  }
});

describe('A route that an operation answers', () => {
  const idsOf = (url: string | undefined) => new URL(url!, 'http://service').searchParams.getAll('ids');
  const named = (id: string) => ({ id, name: `of ${id}` });

  beforeEach(() => {
    server.gives(
      '/things',
      ({ url }: { url?: string }) => ({ items: idsOf(url).flatMap((ids) => ids.split(',').map(named)) }),
      forHour,
    );
  });

  test.each(['/op/mine', '/op/own', '/op/near', '/op/vip'])(
    'is closed where its URL does not tell its answers apart: %s',
    async (path) => {
      for (let times = 0; times < 2; times++) {
        const answer = await ask(path, bearing(acme));
        expect(answer.headers['cache-control']).toMatch(/^private, max-age=3\d{3}$/);
        expect(answer.headers).toMatchObject({ vary: 'Accept, authorization, x-api-key', 'x-cdn': 'BYPASS' });
        expect(answer.headers['surrogate-key']).toBeUndefined();
        expect(copies(path)).toEqual([]);
      }
      const { etag } = (await direct(path, bearing(acme))).headers;
      const unchanged = await direct(path, { ...bearing(acme), 'if-none-match': etag! });
      expect([unchanged.status, unchanged.headers['cache-control']]).toEqual([
        304,
        expect.stringMatching(/^private, /),
      ]);
    },
  );

  test('gives each his own', async () => {
    const seen: unknown[] = [];
    for (const who of [bearing(acme), bearing(rival), {}, bearing(acme)])
      seen.push((await ask('/op/mine', who)).json().thing);
    expect(seen).toEqual([named('acme'), named('rival'), named('anonymous'), named('acme')]);
  });

  test('is for everybody where its URL says all', async () => {
    for (const path of ['/op/named/8', '/op/asked?id=9']) {
      const answer = await ask(path, bearing(acme));
      expect(answer.headers['cache-control']).toMatch(/^public, max-age=3\d{3}$/);
      await ask(path);
      expect((await ask(path)).headers['x-cdn']).toBe('HIT');
    }
  });
});

test('What /graphql asks of who asks closes its answers, if it is no credential in so many words', async () => {
  const asking = await startAnswerServer({ graphql: { auth: { mode: 'optional', scopes: { all: ['vip'] } } } });
  onTestFinished(() => asking.stop());
  asking.gives('/things', { items: [] }, forHour);
  for (let times = 0; times < 2; times++) {
    const { headers } = await asking.get({ query: '{ things { name } }' }, bearing(acme));
    expect(headers['cache-control']).toBe('private, max-age=3600');
  }
  expect((await asking.get({ query: '{ things { name } }' })).status).toBe(401);
});

describe('A route that is composed here', () => {
  test('is not opened by its code where it asks for a credential; an aggregate is for no cache', async () => {
    const modules = mkdtempSync(join(tmpdir(), 'weir-closed-modules-'));
    const said = `{ 'cache-control': 'public, max-age=60', 'cdn-cache-control': 'max-age=60' }`;
    writeFileSync(
      join(modules, 'registry.ts'),
      `import { answer, defineModule } from '${resolve('resolvers/index.ts')}';
      const give = () => answer(200, { told: true }, ${said});
      export const modules = [defineModule({
        name: 'coded', owner: 'team',
        routes: (route) => [
          route.get('/coded/closed', { auth: 'required', answer: give }),
          route.get('/coded/open', { answer: give }),
        ],
      })];`,
    );
    const gateway = await startGateway(
      {
        consumers: [{ id: 'acme', keys: [acme.hash] }],
        upstreams: { more: { endpoints: [server.service.url], identity: 'none' } },
        routes: [
          { path: '/joined', auth: 'required', aggregate: { parts: { one: { upstream: 'more', path: '/at/1' } } } },
        ],
      },
      { modules },
    );
    onTestFinished(async () => {
      await gateway.stop();
      rmSync(modules, { recursive: true });
    });
    const controls = async (path: string) => {
      const answer = await send(gateway.url + path, { headers: bearing(acme) });
      expect(answer.status).toBe(200);
      return [answer.headers['cache-control'], answer.headers['cdn-cache-control']];
    };
    expect(await controls('/coded/closed')).toEqual(['private, max-age=60', undefined]);
    expect(await controls('/coded/open')).toEqual(['public, max-age=60', 'max-age=60']);
    expect(await controls('/joined')).toEqual(['no-store', undefined]);
  });
});
