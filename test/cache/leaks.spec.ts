import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { startIssuer, type TestIssuer } from '../support/issuer.ts';
import { send } from '../support/raw-client.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { exposition } from '../telemetry/exposition.ts';
import { forgetMemory, startSharing, untilShared } from './levels.ts';
import { startCacheService, type CacheService } from './service.ts';

/**
 * A hunt for leaks: many who ask, in every order, through every door and instance, of an upstream that says at random what may be
 * shared. Each answer says whom the upstream was shown when it made it, and what it said then of sharing it.
 */

const acme = newApiKey();
const rival = newApiKey();

let service: CacheService;
let issuer: TestIssuer;
/** What each shows to be who he is. */
let callers: readonly Record<string, string>[];

beforeAll(async () => {
  service = await startCacheService();
  issuer = await startIssuer();
  const token = async (azp: string, sub: string) => ({ authorization: `Bearer ${await issuer.token({ azp, sub })}` });
  callers = [
    {},
    { 'x-api-key': acme.key },
    { 'x-api-key': rival.key },
    await token('acme', 'ann'),
    await token('acme', 'bob'),
    await token('rival', 'ann'),
  ];
});

afterAll(async () => {
  await issuer.close();
  await service.close();
});

/** A way to tell an upstream who asks that it is otherwise not told. */
const template = { 'x-user': '{consumer.id}', 'x-sub': '{claims.sub}' };

const configuration = () => {
  // Its failures are a part of the hunt, and are to keep nobody from asking.
  const untiring = {
    endpoints: [service.url],
    retry: { attempts: 0 },
    breaker: { failures: 10_000 },
    ejection: { failures: 10_000 },
  };
  return {
    upstreams: {
      things: { ...untiring, cookies: ['session'] },
      tokens: { ...untiring, identity: 'token' },
      plain: { ...untiring, identity: 'none' },
    },
    routes: [
      { path: '/open{/*rest}', upstream: 'things' },
      {
        path: '/ttl{/*rest}',
        upstream: 'things',
        cache: { ttl: '1h', staleWhileRevalidate: '1h', staleIfError: '1h' },
      },
      { path: '/subject{/*rest}', upstream: 'things', cache: { ttl: '1h', scope: 'subject' } },
      { path: '/consumer{/*rest}', upstream: 'things', cache: { ttl: '1h', scope: 'consumer' } },
      { path: '/shared{/*rest}', upstream: 'things', cache: { ttl: '1h', scope: 'shared' } },
      { path: '/token{/*rest}', upstream: 'tokens', cache: { ttl: '1h' } },
      { path: '/template{/*rest}', upstream: 'plain', cache: { ttl: '1h' }, headers: { request: { set: template } } },
      { path: '/who/plain', upstream: 'plain', cache: false, headers: { request: { set: template } } },
      { path: '/who/things', upstream: 'things', cache: false },
      { path: '/who/tokens', upstream: 'tokens', cache: false },
    ],
    consumers: [
      { id: 'acme', keys: [acme.hash], scopes: ['a'] },
      { id: 'rival', keys: [rival.hash] },
    ],
    auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }] },
  };
};

const doors = ['open', 'ttl', 'subject', 'consumer', 'shared', 'token', 'template'] as const;
const whose: Partial<Record<Door, string>> = { token: 'tokens', template: 'plain' };
/** Few enough that many ask for the same, in other ways. */
const languages = ['de', 'de', 'en', undefined] as const;
const sessions = [undefined, undefined, undefined, '1'] as const;
const hosts = ['a.example', 'a.example', 'a.example', 'b.example'] as const;

const step = fc.record({
  who: fc.nat(5),
  at: fc.nat(1),
  language: fc.constantFrom(...languages),
  session: fc.constantFrom(...sessions),
  host: fc.constantFrom(...hosts),
  after: fc.constantFrom('nothing', 'nothing', 'settle', 'settle', 'forget', 'write', 'head'),
});

/** What the upstream says, answer by answer. */
const said = fc.record({
  control: fc
    .uniqueArray(
      fc.constantFrom(
        'public',
        's-maxage=60',
        'must-revalidate',
        'max-age=60',
        'no-cache',
        'private',
        'no-store',
        'stale-while-revalidate=60',
        'stale-if-error=60',
      ),
      { maxLength: 2 },
    )
    .map((directives) => directives.join(', ')),
  /** Without it there would often be nothing to find. */
  fresh: fc.constantFrom('', ', max-age=60', ', max-age=60'),
  vary: fc.constantFrom('', '', 'accept-language', 'accept-language, x-weir-consumer', 'cookie', '*'),
  age: fc.constantFrom('0', '0', '0', '100'),
  status: fc.constantFrom(200, 200, 200, 200, 404, 503),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Door = (typeof doors)[number];
type Said = typeof said extends fc.Arbitrary<infer T> ? T : never;

/** What an answer says of how it was made. */
interface Made {
  readonly shown: string;
  readonly consumer: string;
  readonly language: string;
  readonly host: string;
  readonly said: Said;
}

/** Everything that the upstream is shown of who asks. */
function shownIn(headers: NodeJS.Dict<string | string[]>): string {
  const names = ['consumer', 'tier', 'roles', 'scopes', 'subject'].map((name) => `x-weir-${name}`);
  return [...names, 'authorization', 'x-user', 'x-sub', 'cookie'].map((name) => String(headers[name])).join(' | ');
}

let run = 0;

async function hunt(
  gateways: readonly TestGateway[],
  door: Door,
  sayings: readonly Said[],
  steps: readonly Step[],
): Promise<void> {
  run++;
  let count = 0;
  service.answer(`/${door}/${run}`, (request, response) => {
    if (request.method === 'PUT') {
      response.writeHead(204).end();
      return;
    }
    const saying = sayings[count++ % sayings.length]!;
    const shown = shownIn(request.headers);
    const language = String(request.headers['accept-language']);
    const consumer = String(request.headers['x-weir-consumer']);
    const host = String(request.headers['x-forwarded-host']);
    const etag = `"${Buffer.from(`${shown} ${language} ${host}`).toString('base64url')}"`;
    const { control, fresh, vary, age, status } = saying;
    const told = (control + fresh).replace(/^, /, '');
    const headers = { ...(told !== '' && { 'cache-control': told }), ...(vary !== '' && { vary }), age, etag };
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304, headers).end();
      return;
    }
    const body = JSON.stringify({ shown, consumer, language, host, said: saying } satisfies Made);
    response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
  });
  service.answer('/who/things', (request, response) => void response.end(shownIn(request.headers)));
  service.answer('/who/plain', (request, response) => void response.end(shownIn(request.headers)));
  service.answer('/who/tokens', (request, response) => void response.end(shownIn(request.headers)));
  for (const each of steps) await take(each, door, gateways);
}

async function take({ who, at, language, session, host, after }: Step, door: Door, gateways: readonly TestGateway[]) {
  const gateway = gateways[at % gateways.length]!;
  const headers = {
    ...callers[who],
    host,
    ...(language && { 'accept-language': language }),
    ...(session && { cookie: `session=${session}` }),
  };
  const answer = await send(`${gateway.url}/${door}/${run}`, { headers });
  if (answer.text.startsWith('{"shown"')) {
    const mine = await send(`${gateway.url}/who/${whose[door] ?? 'things'}`, { headers });
    expect(mine.status).toBe(200);
    check(JSON.parse(answer.text) as Made, { shown: mine.text, language: String(language), host, door });
  }
  if (after === 'write') await send(`${gateway.url}/${door}/${run}`, { method: 'PUT', headers, body: 'x' });
  if (after === 'head') await send(`${gateway.url}/${door}/${run}`, { method: 'HEAD', headers });
  if (after === 'settle') for (const each of gateways) if (gateways.length > 1) await untilShared(each);
  if (after === 'forget') forgetMemory(gateway);
}

function check(made: Made, asked: { shown: string; language: string; host: string; door: string }): void {
  const { control, vary } = made.said;
  expect(made.host).toBe(asked.host);
  if (vary.includes('accept-language')) expect(made.language).toBe(asked.language);
  if (asked.door === 'shared') return;
  if (asked.door === 'consumer') {
    expect(asked.shown.split(' | ')[0]).toBe(made.consumer);
    return;
  }
  const forAll = /public|s-maxage|must-revalidate/.test(control) && !/private|no-store/.test(control);
  if (!forAll || vary === '*' || asked.door === 'subject') expect(made.shown).toBe(asked.shown);
  if (vary.includes('x-weir-consumer')) expect(asked.shown.startsWith(`${made.consumer} |`)).toBe(true);
  if (vary.includes('cookie')) expect(made.shown.split(' | ').at(-1)).toBe(asked.shown.split(' | ').at(-1));
}

const door = fc.constantFrom(...doors);
const sayings = fc.array(said, { minLength: 1, maxLength: 3 });
const steps = fc.array(step, { minLength: 5, maxLength: 25 });

async function hits(gateway: TestGateway, name: string): Promise<number> {
  const { samples } = exposition((await send(`${gateway.adminUrl}/metrics`)).text).get(name)!;
  const hit = samples.filter(({ labels }) => labels.weir_cache_outcome === 'hit');
  return hit.reduce((sum, { value }) => sum + value, 0);
}

describe('No answer crosses to whom it must not', { timeout: 180_000 }, () => {
  test('out of memory', async () => {
    const gateway = await startGateway(configuration());
    try {
      await fc.assert(
        fc.asyncProperty(door, sayings, steps, (where, what, taken) => hunt([gateway], where, what, taken)),
        { numRuns: 80 },
      );
      await untilIdle(gateway);
      expect(await hits(gateway, 'weir_cache_reads_total')).toBeGreaterThan(20);
    } finally {
      await gateway.stop();
    }
  });

  test('out of a Redis that two instances share', async () => {
    const redis: TestRedis = await startRedis();
    const gateways = await Promise.all([startSharing(redis, configuration()), startSharing(redis, configuration())]);
    try {
      await fc.assert(
        fc.asyncProperty(door, sayings, steps, (where, what, taken) => hunt(gateways, where, what, taken)),
        { numRuns: 80 },
      );
      await Promise.all(gateways.map(untilIdle));
      // It has hunted where there was something to find.
      for (const name of ['weir_cache_redis_reads_total', 'weir_cache_reads_total']) {
        const found = await Promise.all(gateways.map((gateway) => hits(gateway, name)));
        expect(found.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(20);
      }
    } finally {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await redis.close();
    }
  });
});
