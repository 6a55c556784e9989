import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import { untilIdle } from '../support/gateway.ts';
import { asking, startCacheService, type CacheService } from './service.ts';

const acme = newApiKey();
const rival = newApiKey();

let service: CacheService;
let server: GraphqlServer;
const ask = asking(() => server.url);
let version = 0;

const bearing = ({ key }: { key: string }) => ({ 'x-api-key': key });

beforeAll(async () => {
  service = await startCacheService();
  server = await startModules('test/fixtures/modules/library', {
    upstreams: { books: { endpoints: [service.url] } },
    routes: [
      { path: '/v1/books{/*rest}', upstream: 'books', rewrite: '/books{/*rest}' },
      { path: '/shared{/*rest}', upstream: 'books', cache: { ttl: '1h', scope: 'shared' } },
      { path: '/consumer{/*rest}', upstream: 'books', cache: { ttl: '1h', scope: 'consumer' } },
      { path: '/plain{/*rest}', upstream: 'books', cache: { ttl: '1h' } },
    ],
    consumers: [
      { id: 'acme', keys: [acme.hash] },
      { id: 'rival', keys: [rival.hash] },
    ],
  });
});

afterAll(async () => {
  await untilIdle(server);
  await server.stop();
  await service.close();
});

/** Books as the service has them now, for an hour. */
function shelve(headers: Record<string, string> = { 'cache-control': 'max-age=3600' }): void {
  version++;
  service.requests.length = 0;
  service.answer('/books', (request, response) => {
    const book = { id: 'b1', title: `version ${version}` };
    if (request.method !== 'GET') {
      version++;
      response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ ...book, id: 'b2' }));
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ items: [book] }));
  });
}

const titles = async (first: number, headers: Record<string, string> = {}): Promise<unknown> => {
  const { body } = await server.query(`{ books(first: ${first}) { title } }`, headers);
  expect(body.errors).toBeUndefined();
  return (body.data as { books: { title: string }[] }).books[0]!.title;
};

describe('Both doors share one store', () => {
  test('what GraphQL fetched is a hit for REST', async () => {
    shelve();
    const title = await titles(11);
    const answer = await ask('/v1/books?first=11');
    expect(answer.headers['cache-status']).toMatch(/^weir; hit/);
    expect(answer.json()).toMatchObject({ items: [{ title }] });
    expect(service.requests).toHaveLength(1);
  });

  test('what REST fetched is a hit for GraphQL, whatever JSON the client accepts; it costs no call', async () => {
    shelve();
    await ask('/v1/books?first=12', { accept: 'application/json, text/plain, */*', 'accept-encoding': 'gzip' });
    const { headers } = await server.query('{ books(first: 12) { title } }');
    expect(await server.accessOf(headers.get('x-request-id')!)).toMatchObject({ calls: 0, cached: 1 });
    expect(service.requests).toHaveLength(1);
  });

  test('a batch of a loader is a hit for the next operation that loads the same keys', async () => {
    shelve();
    const one = '{ book(id: "b1") { title } }';
    expect((await server.query(one)).body).toEqual((await server.query(one)).body);
    expect(service.requests).toHaveLength(1);
  });

  test.each(['POST', 'PATCH', 'PUT', 'DELETE'])('a proxied %s is seen by both', async (method) => {
    shelve();
    const before = await titles(13);
    await ask('/v1/books?first=13');
    await ask('/v1/books', { 'content-type': 'application/json' }, { method, body: '{"title":"new"}' });
    const after = await titles(13);
    expect(after).not.toBe(before);
    expect((await ask('/v1/books?first=13')).json()).toMatchObject({ items: [{ title: after }] });
  });

  test('so is a proxied PATCH to one member of what GraphQL read as a collection', async () => {
    shelve();
    service.answer('/books/b1', { status: 204 });
    const before = await titles(14);
    version++;
    await ask('/v1/books/b1', {}, { method: 'PATCH', body: '{}' });
    expect(await titles(14)).not.toBe(before);
  });

  test('so is a PATCH whose body is too large to hold, and is streamed', async () => {
    shelve();
    const before = await titles(15);
    await ask('/v1/books', {}, { method: 'PATCH', body: 'x'.repeat(200_000) });
    expect(await titles(15)).not.toBe(before);
  });

  test('so is a mutation', async () => {
    shelve();
    const before = (await ask('/v1/books?first=16')).json();
    await server.query('mutation { addBook(title: "new") { id } }');
    expect((await ask('/v1/books?first=16')).json()).not.toEqual(before);
  });
});

describe('Nobody gets what another was given', () => {
  test('unless the upstream says that it is for all (RFC 9111 §3.5)', async () => {
    for (const [control, calls] of [
      ['max-age=3600', 3],
      ['public, max-age=3600', 1],
      ['s-maxage=3600', 1],
      ['max-age=3600, must-revalidate', 1],
    ] as const) {
      shelve({ 'cache-control': control });
      const path = `/v1/books?first=${control.length}`;
      for (const who of [{}, bearing(acme), bearing(rival), bearing(acme), {}]) await ask(path, who);
      expect([control, service.requests.length]).toEqual([control, calls]);
    }
  });

  test.each([
    ['shared', 1],
    ['consumer', 3],
    ['plain', 3],
  ])('or the route does: scope of /%s costs %i calls', async (scope, calls) => {
    const path = `/${scope}/1`;
    service.answer(path, (request, response) => response.end(String(request.headers['x-weir-consumer'])));
    for (const who of [{}, bearing(acme), bearing(rival), bearing(acme), {}]) {
      const { text } = await ask(path, who);
      if (scope === 'shared') expect(text).toBe('anonymous');
    }
    expect(service.asked(path)).toHaveLength(calls);
  });

  test('nor does a resolver of one consumer read what was stored for another', async () => {
    shelve();
    await ask('/v1/books?first=21', bearing(acme));
    await titles(21, bearing(rival));
    expect(service.requests).toHaveLength(2);
    await titles(21, bearing(acme));
    expect(service.requests).toHaveLength(2);
  });

  const control = fc
    .uniqueArray(
      fc.constantFrom('public', 's-maxage=60', 'must-revalidate', 'max-age=60', 'no-cache', 'private', 'no-store'),
    )
    .map((directives) => directives.join(', '));
  const step = fc.record({
    who: fc.constantFrom(undefined, acme, rival),
    language: fc.constantFrom('de', 'en', undefined),
    door: fc.constantFrom('/v1/leak', '/plain/leak', '/consumer/leak'),
  });
  let run = 0;
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

  test('whatever the upstream says, and by whatever door (leak hunt)', { timeout: 120_000 }, async () => {
    const vary = fc.constantFrom('', 'accept-language', 'x-weir-consumer', '*');
    const hunted = fc.asyncProperty(control, vary, fc.array(step, { maxLength: 12 }), hunt);
    await expect(fc.assert(hunted, { numRuns: 60 })).resolves.toBeUndefined();
  });

  /** What each answer says of itself: who was shown to the upstream, and in which language. */
  async function hunt(directives: string, vary: string, steps: readonly Step[]): Promise<void> {
    const forAll = /public|s-maxage|must-revalidate/.test(directives);
    run++;
    for (const prefix of ['/books', '/plain', '/consumer']) {
      service.answer(`${prefix}/leak/${run}`, (request, response) => {
        const who = String(request.headers['x-weir-consumer']);
        const language = request.headers['accept-language'] ?? 'none';
        const headers = { 'cache-control': directives, ...(vary !== '' && { vary }), etag: `"${who}-${language}"` };
        const body = `${who} ${language}`;
        response.writeHead(200, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
      });
    }
    for (const { who, language, door } of steps) {
      const path = door === '/v1/leak' ? `/v1/books/leak/${run}` : `${door}/${run}`;
      const { text } = await ask(path, { ...(who && bearing(who)), ...(language && { 'accept-language': language }) });
      const [shown, spoken] = text.split(' ');
      const expected = who === acme ? 'acme' : who === rival ? 'rival' : 'anonymous';
      // A route whose scope is narrower than what the upstream says keeps to its scope.
      if (!forAll || vary === 'x-weir-consumer' || door === '/consumer/leak') expect(shown).toBe(expected);
      if (vary === 'accept-language') expect(spoken).toBe(language ?? 'none');
    }
  }
});

describe('The store', () => {
  test('is as large as the configuration says', async () => {
    const cache = server.gateway.assembly.upstreams.get('books')!.surroundings.cache!;
    expect(cache.entries).toBeGreaterThan(0);
    const before = cache.bytes;
    cache.configure({ memory: 20_000, maxEntryBytes: 10_000, answers: true, redis: false });
    expect(cache.bytes).toBeLessThanOrEqual(Math.min(20_000, before));
    for (let index = 0; index < 40; index++) {
      service.answer(`/plain/size/${index}`, { text: 'x'.repeat(2_000) });
      await ask(`/plain/size/${index}`);
    }
    expect(cache.bytes).toBeLessThanOrEqual(20_000);
    // The least recently used went first.
    await ask('/plain/size/39');
    expect(service.asked('/plain/size/39')).toHaveLength(1);
    await ask('/plain/size/0');
    expect(service.asked('/plain/size/0')).toHaveLength(2);
  });
});
