import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startIssuer, type TestIssuer } from '../../support/issuer.ts';
import { send, until } from '../../support/raw-client.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { exposition } from '../../telemetry/exposition.ts';
import { forgetMemory, shares, untilShared } from '../levels.ts';
import { acme, bearing, rival, startAnswerServer, type AnswerServer } from './server.ts';

interface Caller {
  readonly headers: Record<string, string>;
  readonly consumer: string;
  /** As which an upstream knows the caller that is shown `headers`, and one that is shown a `token`. */
  readonly shown: string;
  readonly token: string;
}

/** A gateway over memory, and one that shares what it stores of its upstreams in Redis. */
let servers: Record<'memory' | 'Redis', AnswerServer>;
let redis: TestRedis;
let issuer: TestIssuer;
let callers: readonly Caller[];
/** Read with nothing stored, for each of the callers. */
let tiers: readonly string[];

beforeAll(async () => {
  issuer = await startIssuer();
  redis = await startRedis();
  const config = {
    auth: { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }] },
    upstreams: { more: { identity: 'token' } },
  };
  const shared = { cache: { redis: true }, redis: { url: redis.url, timeout: '1s' } };
  const [memory, Redis] = await Promise.all([startAnswerServer(config), startAnswerServer({ ...config, ...shared })]);
  servers = { memory, Redis };
  await until(() => shares(Redis));
  const token = async (azp: string, sub: string) => ({ authorization: `Bearer ${await issuer.token({ azp, sub })}` });
  const nobody = { consumer: 'anonymous', shown: 'anonymous', token: 'anonymous', headers: {} };
  callers = [
    nobody,
    { ...nobody, headers: bearing(acme), consumer: 'acme', shown: 'acme' },
    { ...nobody, headers: bearing(rival), consumer: 'rival', shown: 'rival' },
    { headers: await token('acme', 'ann'), consumer: 'acme', shown: 'ann', token: 'ann' },
    { headers: await token('acme', 'bob'), consumer: 'acme', shown: 'bob', token: 'bob' },
    { headers: await token('rival', 'ann'), consumer: 'rival', shown: 'ann', token: 'ann' },
  ];
  tiers = await Promise.all(
    callers.map(async ({ headers }) => {
      const answer = await servers.memory.post('{ tier }', { ...headers, 'cache-control': 'no-store' });
      return (answer.json().data as { tier: string }).tier;
    }),
  );
});

afterAll(async () => {
  await Promise.all([servers.memory.stop(), servers.Redis.stop()]);
  await redis.close();
  await issuer.close();
});

/** Whom an upstream takes a request for. */
function told({ headers }: { readonly headers: Record<string, string | undefined> }): object {
  const payload = headers.authorization?.split('.')[1];
  const claims =
    payload === undefined ? {} : (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sub?: string });
  const consumer = headers['x-weir-consumer'] ?? 'anonymous';
  return { id: '1', name: consumer, who: claims.sub ?? headers['x-weir-subject'] ?? consumer };
}

const control = fc
  .uniqueArray(
    fc.constantFrom('public', 's-maxage=60', 'must-revalidate', 'max-age=60', 'no-cache', 'private', 'no-store'),
  )
  .map((directives) => directives.join(', '));
const vary = fc.constantFrom('', 'x-weir-consumer', 'accept-language', '*');
const fields = fc.uniqueArray(
  fc.constantFrom('things', 'thing', 'said', 'ones', 'everybodys', 'tier', 'language', 'constant'),
  { minLength: 1 },
);
const step = fc.record({
  who: fc.nat(5),
  language: fc.constantFrom('de', 'en', 'none'),
  lane: fc.constantFrom('post', 'get', 'yoga', 'batch'),
  /** What is in memory goes, as if other answers had needed the room. */
  forgets: fc.boolean(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Data {
  readonly things?: readonly { readonly who: string; readonly name: string }[];
  readonly thing?: { readonly who: string };
  readonly said?: { readonly who: string };
  readonly ones?: { readonly who: string };
  readonly tier?: string;
  readonly language?: string;
}

let run = 0;

const selection = (name: string): string => {
  if (name === 'things') return `things(first: ${run}) { who name }`;
  if (name === 'thing') return `thing(id: "${run}") { who }`;
  return ['said', 'ones', 'everybodys'].includes(name) ? `${name} { who }` : name;
};

/** What each answer says of itself: whom the upstream was shown, and what a resolver read. */
async function hunt(
  where: keyof typeof servers,
  directives: string,
  varied: string,
  chosen: readonly string[],
  steps: readonly Step[],
) {
  const server = servers[where];
  run++;
  const id = String(run);
  const forAll = /public|s-maxage|must-revalidate/.test(directives);
  const headers = { 'cache-control': directives, ...(varied !== '' && { vary: varied }) };
  server.gives('/things', (request: never) => ({ items: [{ ...told(request), id }] }), headers);
  // The same object for what reads it alone.
  server.gives(`/things/${id}`, (request: never) => ({ ...told(request), id }), headers);
  for (const path of ['/said', '/ones', '/everybodys']) server.gives(path, told, path === '/ones' ? headers : {});
  // Of its own each time, so that no run finds what another stored.
  const query = `query Hunt${run} { ${chosen.map(selection).join(' ')} }`;
  for (const { who, language, lane, forgets } of steps) {
    const caller = callers[who]!;
    const sent = { ...caller.headers, ...(language !== 'none' && { 'accept-language': language }) };
    const charset = { 'content-type': 'application/json;charset=utf-8' };
    const answer =
      lane === 'get'
        ? await server.get({ query }, sent)
        : await server.post(lane === 'batch' ? [{ query }] : { query }, { ...sent, ...(lane === 'yoga' && charset) });
    const json = answer.json() as unknown as { readonly data: Data } & { readonly data: Data }[];
    const { data } = lane === 'batch' ? json[0]! : json;
    if (data.things && !forAll) expect(data.things[0]!.who).toBe(caller.shown);
    if (data.things && varied === 'x-weir-consumer') expect(data.things[0]!.name).toBe(caller.consumer);
    if (data.thing && !forAll) expect(data.thing.who).toBe(caller.shown);
    if (data.said) expect(data.said.who).toBe(caller.token);
    if (data.ones) expect(data.ones.who).toBe(caller.token);
    if (data.tier !== undefined) expect(data.tier).toBe(tiers[who]);
    if (data.language !== undefined) expect(data.language).toBe(language);
    // Nor may a cache between give to one what was another's.
    const open = String(answer.headers['cache-control']).startsWith('public');
    const ofOne = chosen.some((name) => ['said', 'ones', 'tier'].includes(name));
    const shown = chosen.some((name) => ['things', 'thing'].includes(name)) && !forAll;
    if (ofOne || shown) expect(open).toBe(false);
    if (open && chosen.includes('language')) expect(answer.headers.vary).toContain('accept-language');
    if (where === 'Redis') {
      await untilShared(server);
      if (forgets) forgetMemory(server);
    }
  }
}

test.each(['memory', 'Redis'] as const)(
  'No finished answer, nor what is stored of its parts in %s, crosses what these were shown or its resolvers read, by whichever lane (leak hunt)',
  { timeout: 180_000 },
  async (where) => {
    const hunted = fc.asyncProperty(control, vary, fields, fc.array(step, { maxLength: 12 }), (...given) =>
      hunt(where, ...given),
    );
    await expect(fc.assert(hunted, { numRuns: 100 })).resolves.toBeUndefined();
    // It has hunted where there was something to find.
    const found = exposition((await send(`${servers[where].adminUrl}/metrics`)).text);
    const counter = where === 'Redis' ? 'weir_cache_redis_reads_total' : 'weir_cache_reads_total';
    const hits = found.get(counter)!.samples.filter(({ labels }) => labels.weir_cache_outcome === 'hit');
    expect(hits.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThan(20);
  },
);

test('Where the upstream is shown tokens, what it said to nobody is for nobody, not for who shows one', async () => {
  const upstreams = { things: { identity: 'token' } };
  const auth = { jwt: [{ issuer: issuer.url, audience: 'weir', jwks: `${issuer.url}/jwks` }] };
  const tokens = await startAnswerServer({ upstreams, auth });
  try {
    const who = ({ headers }: { headers: Record<string, unknown> }) => ({
      items: [{ id: '1', name: 'n', who: headers.authorization === undefined ? 'nobody' : 'somebody' }],
    });
    tokens.gives('/things', who, { 'cache-control': 'max-age=3600' });
    const query = '{ things(first: 1) { who } }';
    const authorization = `Bearer ${await issuer.token()}`;
    for (const [headers, expected] of [
      [{}, 'nobody'],
      [{ authorization }, 'somebody'],
      [{}, 'nobody'],
    ] as const)
      expect((await tokens.post({ query }, headers)).json()).toEqual({ data: { things: [{ who: expected }] } });
    expect(tokens.service.asked('/things')).toHaveLength(2);
  } finally {
    await tokens.stop();
  }
});
