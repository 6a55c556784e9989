import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoredAnswers } from '#upstreams/cache/stored-answers.ts';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { FileGateway } from '../support/file-gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { send } from '../support/raw-client.ts';
import { asking, startCacheService, type CacheService } from './service.ts';

/** Whom what is stored belongs to, where that is not as plain as the identity that every call shows. */

const acme = newApiKey();
const rival = newApiKey();
const bearing = ({ key }: { readonly key: string }) => ({ 'x-api-key': key });

let service: CacheService;
let issuer: TestIssuer;
let gateway: FileGateway;
const ask = asking(() => gateway.url);

const configuration = (route: object = { scope: 'shared' }) => ({
  upstreams: {
    plain: { endpoints: [service.url], identity: 'none', retry: { attempts: 0 } },
    known: { endpoints: [service.url], retry: { attempts: 0 } },
  },
  routes: [
    {
      path: '/templated{/*rest}',
      upstream: 'plain',
      cache: { ttl: '1h' },
      headers: { request: { set: { 'X-User': '{consumer.id}' } } },
    },
    {
      path: '/orgs{/*rest}',
      upstream: 'known',
      cache: { ttl: '1h' },
      headers: { request: { set: { 'x-org': '{claims.org}' } } },
    },
    ...['mobile', 'web'].map((channel) => ({
      path: `/${channel}{/*rest}`,
      upstream: 'plain',
      rewrite: '/home{/*rest}',
      headers: { request: { set: { 'x-channel': channel, 'x-id': '{request.id}' } } },
    })),
    { path: '/home{/*rest}', upstream: 'plain' },
    {
      path: '/of/:tenant',
      upstream: 'plain',
      rewrite: '/tenants',
      headers: { request: { set: { 'x-tenant': '{params.tenant}' } } },
    },
    { path: '/declared{/*rest}', upstream: 'known', rewrite: '/of-all{/*rest}', cache: { ttl: '1h', ...route } },
    {
      path: '/consumer{/*rest}',
      upstream: 'known',
      rewrite: '/of-all{/*rest}',
      cache: { ttl: '1h', scope: 'consumer' },
    },
    { path: '/undeclared{/*rest}', upstream: 'known', rewrite: '/of-all{/*rest}', cache: { ttl: '1h' } },
    { path: '/known{/*rest}', upstream: 'known' },
  ],
  consumers: [
    { id: 'acme', keys: [acme.hash] },
    { id: 'rival', keys: [rival.hash] },
  ],
  auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }] },
});

beforeAll(async () => {
  service = await startCacheService();
  issuer = await startIssuer();
  gateway = await FileGateway.start(configuration());
});

afterAll(async () => {
  await gateway.stop();
  await issuer.close();
  await service.close();
});

async function stored(url: string): Promise<StoredAnswers> {
  return (await send(`${gateway.adminUrl}/admin/cache?url=${url}`)).json() as unknown as StoredAnswers;
}

/** Has a path answer with a field of the request. */
function echo(path: string, name: string, headers: Record<string, string> = {}): void {
  service.answer(path, (request, response) => {
    const text = String(request.headers[name]);
    response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text);
  });
}

describe('What a route’s template tells the upstream of who asks counts as identity', () => {
  test('where the upstream is shown nothing else', async () => {
    echo('/templated/1', 'x-user');
    for (const who of [acme, rival, acme, rival])
      expect((await ask('/templated/1', bearing(who))).text).toBe(who === acme ? 'acme' : 'rival');
    expect((await ask('/templated/1')).text).toBe('anonymous');
    expect(service.asked('/templated/1')).toHaveLength(3);
    const { answers } = await stored('/templated/1');
    expect(answers.map(({ audience, shown }) => [audience, shown])).toEqual(
      Array.from({ length: 3 }, () => ['identity', ['x-user']]),
    );
  });

  test('beside what it is shown', async () => {
    echo('/orgs/1', 'x-org');
    for (const org of ['one', 'two', 'one'])
      expect(
        (await ask('/orgs/1', { authorization: `Bearer ${await issuer.token({ azp: 'acme', sub: 'ann', org })}` }))
          .text,
      ).toBe(org);
    expect(service.asked('/orgs/1')).toHaveLength(2);
  });

  test('and is for all where the upstream says so (RFC 9111 §3.5)', async () => {
    echo('/templated/2', 'x-user', { 'cache-control': 'public, max-age=3600' });
    for (const who of [acme, rival]) expect((await ask('/templated/2', bearing(who))).text).toBe('acme');
    expect((await stored('/templated/2')).answers).toMatchObject([{ audience: 'everybody', shown: ['x-user'] }]);
  });

  test('so that other caches are told that it is for one alone', async () => {
    echo('/templated/3', 'x-user', { 'cache-control': 'max-age=3600' });
    for (const from of ['miss', 'hit'])
      expect([from, (await ask('/templated/3', bearing(acme))).headers['cache-control']]).toEqual([
        from,
        'private, max-age=3600',
      ]);
  });
});

describe('What a route asks for in words of its own', () => {
  const forAll = { 'cache-control': 'public, max-age=3600' };

  test('is for that route, though others ask the same URI', async () => {
    echo('/home/1', 'x-channel', forAll);
    for (const [route, text] of [
      ['mobile', 'mobile'],
      ['web', 'web'],
      ['home', 'undefined'],
      ['mobile', 'mobile'],
    ] as const)
      expect((await ask(`/${route}/1`)).text).toBe(text);
    expect(service.asked('/home/1')).toHaveLength(3);
  });

  test('is for whose URL was of the same words', async () => {
    echo('/tenants', 'x-tenant', forAll);
    for (const tenant of ['a', 'b', 'a']) expect((await ask(`/of/${tenant}`)).text).toBe(tenant);
    expect(service.asked('/tenants')).toHaveLength(2);
  });
});

describe('What is for all because a route says so', () => {
  test('is not given out by a route that does not, nor by one that is narrower, nor the other way round', async () => {
    echo('/of-all/1', 'x-weir-consumer');
    expect((await ask('/declared/1', bearing(acme))).text).toBe('acme');
    expect((await ask('/declared/1', bearing(rival))).text).toBe('acme');
    for (const route of ['consumer', 'undeclared'])
      for (const [who, text] of [
        [rival, 'rival'],
        [acme, 'acme'],
      ] as const)
        expect((await ask(`/${route}/1`, bearing(who))).text).toBe(text);
    const { answers } = await stored('/of-all/1');
    expect(answers.map(({ audience }) => audience).toSorted()).toEqual([
      'consumer',
      'consumer',
      'everybody',
      'identity',
      'identity',
    ]);
  });

  test('is no more once a reload has taken that back', async () => {
    echo('/of-all/2', 'x-weir-consumer');
    await ask('/declared/2', bearing(acme));
    for (const route of [{}, { scope: 'consumer' }, { scope: 'subject' }]) {
      expect(await gateway.change(configuration(route))).toMatchObject({ ok: true });
      expect((await ask('/declared/2', bearing(rival))).text).toBe('rival');
    }
    expect(await gateway.change(configuration())).toMatchObject({ ok: true });
  });

  test('is for all caches, too', async () => {
    echo('/of-all/3', 'x-weir-consumer', { 'cache-control': 'max-age=3600' });
    for (const who of [acme, rival])
      expect((await ask('/declared/3', bearing(who))).headers['cache-control']).toBe('max-age=3600');
  });
});

describe('What one caller is told of an answer that is for everybody', () => {
  const everybodys = { 'cache-control': 'public, max-age=3600', age: '7200', etag: '"1"' };

  test.each([
    ['for that caller alone', { 'cache-control': 'max-age=3600', 'x-account': 'acme' }],
    ['for one language', { 'cache-control': 'public, max-age=3600', vary: 'accept-language', 'x-account': 'acme' }],
  ])('by an answer to HEAD that is %s takes it out of the store (RFC 9111 §4.3.5)', async (what, headers) => {
    const path = `/known/head/${what.replaceAll(' ', '-')}`;
    service.answer(path, { headers: everybodys, text: 'common' });
    await ask(path);
    service.answer(path, { headers: { ...headers, etag: '"1"' }, text: 'common' });
    expect((await ask(path, { ...bearing(acme), 'accept-language': 'de' }, { method: 'HEAD' })).status).toBe(200);
    service.answer(path, { headers: { ...everybodys, age: '0' }, text: 'common' });
    const { headers: given } = await ask(path, { ...bearing(rival), 'accept-language': 'en' });
    expect(given['x-account']).toBeUndefined();
  });

  test('is recorded with what the upstream was shown for it, by a 304 and by HEAD', async () => {
    for (const method of ['GET', 'HEAD']) {
      const path = `/known/shown/${method}`;
      service.answer(path, { headers: everybodys, text: 'common' });
      await ask(path);
      expect((await stored(path)).answers[0]!.shown).not.toContain('x-weir-subject');
      service.answer(path, (request, response) => {
        const status = request.headers['if-none-match'] === '"1"' && request.method === 'GET' ? 304 : 200;
        const length = status === 200 ? { 'content-length': '6' } : {};
        response.writeHead(status, { ...everybodys, ...length, age: '0' }).end();
      });
      const authorization = `Bearer ${await issuer.token({ azp: 'acme', sub: 'ann' })}`;
      await ask(path, { authorization }, { method });
      expect((await stored(path)).answers).toMatchObject([
        { shown: ['x-weir-consumer', 'x-weir-tier', 'x-weir-scopes', 'x-weir-subject'] },
      ]);
    }
  });
});

test('An answer that is renewed in the background stays for one alone, as other caches are told', async () => {
  let asked = 0;
  service.answer('/known/renewed', (_, response) => {
    const headers = {
      'cache-control': 'max-age=3600, stale-while-revalidate=86400',
      age: asked++ === 0 ? '7200' : '0',
    };
    response.writeHead(200, { ...headers, 'content-length': '1' }).end(String(asked));
  });
  await ask('/known/renewed', bearing(acme));
  await ask('/known/renewed', bearing(acme));
  await expect.poll(async () => (await ask('/known/renewed', bearing(acme))).text).toBe('2');
  const { headers } = await ask('/known/renewed', bearing(acme));
  expect(headers['cache-control']).toBe('private, max-age=3600, stale-while-revalidate=86400');
});
