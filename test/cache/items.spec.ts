import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { send } from '../support/raw-client.ts';
import { acme, bearing, rival, startAnswerServer, type AnswerServer } from './answers/server.ts';

let server: AnswerServer;
let batch = 0;
let version = 0;

beforeAll(async () => {
  // What each operation comes to is to be seen in the calls.
  server = await startAnswerServer({
    cache: { answers: false },
    graphql: { maxAliases: 200, maxRootFields: 200, maxTokens: 5_000, maxCost: 1_000 },
    upstreams: { things: { breaker: { failures: 1_000 } } },
  });
});

beforeEach(() => {
  batch += 1_000;
  shelve({ 'cache-control': 'public, max-age=3600' });
});

afterAll(() => server.stop());

/** Things by their ids, as they are from now on. */
function shelve(headers: Record<string, string>): void {
  version++;
  const name = `version ${version}`;
  server.service.requests.length = 0;
  const who = ({ headers: shown }: { headers: Record<string, unknown> }) => shown['x-weir-consumer'];
  server.gives(
    '/things',
    (request: { url: string; headers: Record<string, unknown> }) => {
      const ids = new URL(request.url, 'http://things').searchParams.getAll('ids');
      return { items: ids.filter((id) => id !== 'none').map((id) => ({ id, name, who: who(request) })) };
    },
    headers,
  );
  for (let id = batch; id < batch + 120; id++)
    server.gives(`/things/${id}`, (request: never) => ({ id: String(id), name, who: who(request) }), {
      ...headers,
      etag: `"${id}-${version}"`,
    });
}

const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => String(batch + from + index));

const load = async (wanted: readonly string[], headers: Record<string, string> = {}) => {
  const fields = wanted.map((id, index) => `t${index}: thing(id: "${id}") { id name who }`).join(' ');
  const body = (await server.post(`{ ${fields} }`, headers)).json();
  return body as {
    data: Record<string, { id: string; name: string; who: string } | null>;
    errors?: unknown[];
    extensions?: { degraded: unknown[] };
  };
};

const read = (id: string, headers: Record<string, string> = {}) => send(`${server.url}/v1/things/${id}`, { headers });

/** The ids of each call for many. */
const asked = () =>
  server.service.asked('/things').map(({ url }) => new URL(url, 'http://things').searchParams.getAll('ids'));

describe('A batch of what can be read alone', () => {
  test('asks for those alone that are not stored: of 100 ids of which 90 are, for 10', async () => {
    await load(ids(0, 90));
    const { data } = await load(ids(0, 100));
    expect(Object.values(data).map((thing) => thing!.id)).toEqual(ids(0, 100));
    expect(asked()).toEqual([ids(0, 90), ids(90, 100)]);
    await load(ids(5, 25).toReversed());
    expect(asked()).toHaveLength(2);
  });

  test('is a hit for who reads one of them by REST, with all but what was said of the many', async () => {
    await load(ids(0, 2));
    const answer = await read(ids(0, 1)[0]!);
    expect(answer.headers['cache-status']).toMatch(/^weir; hit/);
    expect(answer.json()).toMatchObject({ id: ids(0, 1)[0]!, name: `version ${version}` });
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'public, max-age=3600',
    });
    expect(answer.headers.etag).toBeUndefined();
    expect(server.service.requests).toHaveLength(1);
  });

  test('takes what was read by REST, and counts it as no call', async () => {
    const [one, two] = ids(0, 2) as [string, string];
    await read(one);
    const { data } = await load([one, two]);
    expect([data.t0!.id, data.t1!.id]).toEqual([one, two]);
    expect(asked()).toEqual([[two]]);
    server.service.requests.length = 0;
    const answer = await server.post(`{ thing(id: "${one}") { id } }`);
    expect(await server.accessOf(String(answer.headers['x-request-id']))).toMatchObject({ calls: 0, cached: 1 });
    expect(server.service.requests).toEqual([]);
  });

  test('is asked anew for one that was written, and for that one alone', async () => {
    const [one, two] = ids(0, 2) as [string, string];
    await load([one, two]);
    shelve({ 'cache-control': 'public, max-age=3600' });
    server.service.answer(`/things/${one}`, { status: 204 });
    await send(`${server.url}/v1/things/${one}`, { method: 'PATCH', body: '{}' });
    const { data } = await load([one, two]);
    expect([data.t0!.name, data.t1!.name]).toEqual([`version ${version}`, `version ${version - 1}`]);
    expect(asked()).toEqual([[one]]);
  });

  test('stores nothing where one was written while it was read', async () => {
    const [one] = ids(0, 1) as [string];
    let release = () => {};
    server.service.answer('/things', (_, response) => {
      const body = JSON.stringify({ items: [{ id: one, name: 'before' }] });
      release = () =>
        void response
          .writeHead(200, {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            'cache-control': 'public, max-age=60',
          })
          .end(body);
    });
    const loading = load([one]);
    await expect.poll(() => server.service.asked('/things').length).toBe(1);
    server.service.answer(`/things/${one}`, { status: 204 });
    await send(`${server.url}/v1/things/${one}`, { method: 'PATCH', body: '{}' });
    release();
    expect((await loading).data.t0!.name).toBe('before');
    shelve({ 'cache-control': 'public, max-age=3600' });
    expect((await load([one])).data.t0!.name).toBe(`version ${version}`);
  });

  test.each(['no-store', 'private, max-age=60', 'no-cache', ''])(
    'stores none where its answer says `%s`',
    async (control) => {
      shelve(control === '' ? {} : { 'cache-control': control });
      await load(ids(0, 2));
      await load(ids(0, 2));
      expect(server.service.asked('/things')).toHaveLength(2);
      await read(ids(0, 1)[0]!);
      expect(server.service.asked(`/things/${batch}`)).toHaveLength(1);
    },
  );

  test('gives nobody what another was given, unless the upstream says that all may have it', async () => {
    shelve({ 'cache-control': 'max-age=3600' });
    for (const turn of [1, 2]) {
      expect([turn, (await load(ids(0, 1), bearing(acme))).data.t0!.who]).toEqual([turn, 'acme']);
      expect([turn, (await load(ids(0, 1), bearing(rival))).data.t0!.who]).toEqual([turn, 'rival']);
    }
    expect((await read(ids(0, 1)[0]!, bearing(acme))).json().who).toBe('acme');
    expect((await read(ids(0, 1)[0]!)).json().who).toBe('anonymous');
    expect([server.service.asked('/things').length, server.service.asked(`/things/${batch}`).length]).toEqual([2, 1]);
    shelve({ 'cache-control': 'public, max-age=3600' });
    await load(ids(50, 51), bearing(acme));
    expect((await load(ids(50, 51), bearing(rival))).data.t0!.who).toBe('acme');
  });

  test('has null for what there is none of, again and again, and for a key that no path can carry', async () => {
    const { data, errors } = await load([...ids(0, 1), 'none', '..', 'a/b']);
    expect(errors).toBeUndefined();
    expect([data.t0!.id, data.t1, data.t2!.id, data.t3!.id]).toEqual([ids(0, 1)[0], null, '..', 'a/b']);
    expect((await load(['none', '..', 'a/b'])).data.t2!.id).toBe('a/b');
    expect(asked()[1]).toEqual(['none', '..']);
  });

  test('asks for all where the client wants them fresh', async () => {
    await load(ids(0, 2));
    await load(ids(0, 2), { 'cache-control': 'no-cache' });
    expect(asked()).toEqual([ids(0, 2), ids(0, 2)]);
  });

  test('has old ones where the service fails, each with its note, and errors for the rest', async () => {
    shelve({ 'cache-control': 'public, max-age=0, stale-if-error=600' });
    await load(ids(0, 2));
    server.service.answer('/things', { status: 503 });
    const { data, errors, extensions } = await load(ids(1, 3));
    expect([data.t0!.id, data.t1]).toEqual([ids(1, 2)[0], null]);
    expect(errors).toMatchObject([{ path: ['t1'], extensions: { code: 'UPSTREAM_ERROR' } }]);
    expect(extensions!.degraded).toMatchObject([{ path: ['t0'], reason: 'error', age: expect.any(Number) as number }]);
  });
});
