import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoredAnswer, StoredAnswers } from '#upstreams/cache/stored-answers.ts';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { weirAt } from '../cli/running.ts';
import { askEach, readyWorkers, startFleet } from '../support/fleet.ts';
import { untilIdle, type TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { send } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startSharing, untilShared } from './levels.ts';
import { asking, oneName, startCacheService, type CacheService } from './service.ts';

const acme = newApiKey();

let service: CacheService;
let issuer: TestIssuer;
let redis: TestRedis;
let one: TestGateway;
let other: TestGateway;
/** What each way to be known shows to the gateway. */
let callers: Record<'nobody' | 'key' | 'token', Record<string, string>>;

const ask = asking(() => one.url, oneName);
const askOther = asking(() => other.url, oneName);

beforeAll(async () => {
  service = await startCacheService();
  issuer = await startIssuer();
  redis = await startRedis();
  const token = await issuer.token({ azp: 'acme', sub: 'ann' });
  callers = { nobody: {}, key: { 'x-api-key': acme.key }, token: { authorization: `Bearer ${token}` } };
  const endpoints = [service.url];
  const config = {
    upstreams: {
      known: { endpoints, cookies: ['session'] },
      unknown: { endpoints, identity: 'none' },
      tokens: { endpoints, identity: 'token' },
      fixed: { endpoints, identity: { static: { authorization: 'Basic b3VyczpvdXJz' } } },
    },
    routes: ['known', 'unknown', 'tokens', 'fixed'].map((upstream) => ({ path: `/${upstream}{/*rest}`, upstream })),
    consumers: [{ id: 'acme', tier: 'gold', scopes: ['read'], keys: [acme.hash] }],
    auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }] },
  };
  config.routes.push(
    Object.assign({ path: '/known/consumer{/*rest}', upstream: 'known' }, { cache: { ttl: '1h', scope: 'consumer' } }),
  );
  [one, other] = await Promise.all([startSharing(redis, config), startSharing(redis, config)]);
});

afterAll(async () => {
  await Promise.all([untilIdle(one), untilIdle(other)]);
  await Promise.all([one.stop(), other.stop()]);
  await redis.close();
  await issuer.close();
  await service.close();
});

async function stored(url: string, { at = one.adminUrl, upstream = '' } = {}): Promise<StoredAnswers> {
  const query = new URLSearchParams({ url, ...(upstream !== '' && { upstream }) }).toString();
  const answer = await send(`${at}/admin/cache?${query}`);
  expect(answer.status).toBe(200);
  return answer.json() as unknown as StoredAnswers;
}

async function only(url: string, at?: string): Promise<StoredAnswer> {
  const { answers, total } = await stored(url, at === undefined ? {} : { at });
  expect([answers.length, total]).toEqual([1, 1]);
  return answers[0]!;
}

const anonymous = ['x-weir-consumer', 'x-weir-tier'];

describe('Every stored answer records by which fields the upstream was shown who asked', () => {
  const forAll = { 'cache-control': 'public, max-age=3600' };
  const ownOnly = { 'cache-control': 'max-age=3600' };

  test.each([
    ['known', 'nobody', {}, anonymous],
    ['known', 'nobody', { cookie: 'session=1; other=2' }, [...anonymous, 'cookie']],
    ['known', 'key', {}, [...anonymous, 'x-weir-scopes']],
    ['known', 'token', {}, [...anonymous, 'x-weir-scopes', 'x-weir-subject']],
    ['unknown', 'token', { cookie: 'session=1' }, []],
    ['tokens', 'token', {}, ['authorization']],
    ['tokens', 'key', {}, []],
    ['fixed', 'token', {}, []],
  ] as const)(
    'of %s, asked by %s with %o: also of one that is for everybody',
    async (upstream, who, headers, shown) => {
      const path = `/${upstream}/${who}/${Object.keys(headers).join('')}`;
      for (const [control, audience] of [
        [forAll, 'everybody'],
        [ownOnly, shown.length > 0 || upstream === 'tokens' ? 'identity' : 'everybody'],
      ] as const) {
        service.answer(path, { headers: control });
        await ask(path, { ...callers[who], ...headers, 'cache-control': 'no-cache' });
        const { answers } = await stored(path);
        expect(answers.find((answer) => answer.audience === audience)).toMatchObject({ upstream, shown });
        // Nothing of it says who that was.
        expect(JSON.stringify(answers)).not.toMatch(/acme|ann|session=/);
      }
    },
  );

  test('of one that is for all of a consumer', async () => {
    service.answer('/known/consumer/1', {});
    await ask('/known/consumer/1', callers.key);
    expect(await only('/known/consumer/1')).toMatchObject({
      audience: 'consumer',
      shown: [...anonymous, 'x-weir-scopes'],
    });
  });

  test('of one that another instance has fetched', async () => {
    service.answer('/known/shared', { headers: forAll });
    await ask('/known/shared', callers.token);
    await untilShared(one);
    expect((await askOther('/known/shared', callers.nobody)).headers['cache-status']).toContain('hit');
    expect(service.asked('/known/shared')).toHaveLength(1);
    expect(await only('/known/shared', other.adminUrl)).toMatchObject({
      audience: 'everybody',
      shown: [...anonymous, 'x-weir-scopes', 'x-weir-subject'],
    });
  });
});

describe('What is stored of a path', () => {
  test('is told with its age, its time, its tags and what selects it, with whatever query, in whatever upstream', async () => {
    const headers = { 'cache-control': 'max-age=60', age: '20', vary: 'accept-language', 'surrogate-key': 'red blue' };
    service.answer('/unknown/all', { headers, text: 'twelve bytes' });
    for (const query of ['', '?a=1', '?a=2']) await ask(`/unknown/all${query}`, { 'accept-language': 'de' });
    await ask('/unknown/all', { 'accept-language': 'en' });
    const { answers, total } = await stored('/unknown/all?a=1');
    expect(total).toBe(4);
    expect(answers.map(({ url }) => url).toSorted()).toEqual(
      ['', '', '?a=1', '?a=2'].map((query) => `/unknown/all${query}`),
    );
    const { age, ttl, ...rest } = answers[0]!;
    expect(age + ttl).toBe(60);
    expect(age).toBeGreaterThanOrEqual(20);
    expect(rest).toMatchObject({ upstream: 'unknown', status: 200, bytes: 12, vary: ['accept-language'] });
    expect(rest.tags.toSorted()).toEqual(['blue', 'red']);
    expect((await stored('/unknown/all', { upstream: 'unknown' })).total).toBe(4);
    expect(await stored('/unknown/all', { upstream: 'known' })).toEqual({ answers: [], total: 0 });
  });

  test('by one audience is 32 variants at most, of which the newest', async () => {
    service.answer('/unknown/varied', { headers: { 'cache-control': 'max-age=3600', vary: 'accept-language' } });
    const languages = Array.from({ length: 40 }, (_, index) => `x-${index}`);
    for (const language of languages) await ask('/unknown/varied', { 'accept-language': language });
    expect((await stored('/unknown/varied')).total).toBe(32);
    // One that takes the place of its like needs no other's.
    await ask('/unknown/varied', { 'accept-language': languages[20]!, 'cache-control': 'no-cache' });
    const oldest = { 'accept-language': languages[8]!, 'cache-control': 'only-if-cached' };
    expect((await ask('/unknown/varied', oldest)).status).toBe(200);
    const asked = service.asked('/unknown/varied').length;
    await ask('/unknown/varied', { 'accept-language': languages[39]! });
    expect(service.asked('/unknown/varied')).toHaveLength(asked);
  });

  test('is counted where that is more than a hundred, of which a hundred are told', async () => {
    service.answer('/unknown/many', { headers: { 'cache-control': 'max-age=60' } });
    for (let index = 0; index < 105; index++) await ask(`/unknown/many?${index}`);
    const { answers, total } = await stored('/unknown/many');
    expect([answers.length, total]).toEqual([100, 105]);
    expect((await weirAt(one.adminUrl)('cache', 'show', '--url', '/unknown/many')).stdout).toMatch(/\nAnd 5 more\.\n$/);
  });

  test('is asked for by a path', async () => {
    for (const query of ['', '?url=', '?url=/a&colour=red', '?upstream=known', '?url=http://[', '?url=/a&url=/b'])
      expect((await send(`${one.adminUrl}/admin/cache${query}`)).status).toBe(400);
  });

  test('is shown by the command', async () => {
    const weir = weirAt(one.adminUrl);
    service.answer('/known/shown', { headers: { 'cache-control': 'public, max-age=60', 'surrogate-key': 'red' } });
    await ask('/known/shown');
    const { status, stdout } = await weir('cache', 'show', '--url', '/known/shown');
    expect(status).toBe(0);
    const [heads, row] = stdout.split('\n').map((line) => line.trim().split(/ {2,}/));
    const told = Object.fromEntries(heads!.map((head, index) => [head, row![index]]));
    expect(told).toMatchObject({
      UPSTREAM: 'known',
      URL: '/known/shown',
      STATUS: '200',
      BODY: '6 B',
      FOR: 'everybody',
      SHOWN: 'x-weir-consumer x-weir-tier',
      VARY: '–',
      TAGS: 'red',
    });
    const json = await weir('cache', 'show', '--url', '/known/shown', '--upstream', 'known', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ answers: [{ url: '/known/shown' }], total: 1 });
    expect((await weir('cache', 'show', '--url', '/never')).stdout).toBe('Nothing is stored of /never.\n');
    for (const wrong of [[], ['--url', '/a', '--tag', 'b'], ['--url', '/a', '--by', 'ann']])
      expect(await weir('cache', 'show', ...wrong)).toMatchObject({ status: 2 });
    expect(await weir('cache', 'look')).toMatchObject({ status: 2 });
  });

  test('is told of all workers', { timeout: 60_000 }, async () => {
    service.answer('/things/1', { headers: { 'cache-control': 'public, max-age=3600' } });
    const fleet = await startFleet(service.url);
    try {
      const pids = await readyWorkers(fleet, 2);
      await askEach(fleet, pids, '/things/1');
      const { total } = (await fleet.admin('/admin/cache?url=/things/1')).json() as unknown as StoredAnswers;
      expect(total).toBe(2);
    } finally {
      fleet.kill();
    }
  });
});
