import { hash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { send } from '../../support/raw-client.ts';
import { exposition } from '../../telemetry/exposition.ts';
import { acme, bearing, forHour, rival, startAnswerServer, type AnswerServer } from './server.ts';

let server: AnswerServer;
let version = 0;

/** The things as they are from now on. */
function shelve(headers: Record<string, string> = forHour): void {
  version++;
  const name = `version ${version}`;
  server.gives(
    '/things',
    {
      items: [
        { id: '1', name },
        { id: '2', name },
      ],
    },
    headers,
  );
  server.gives('/prices', { items: [{ id: '1', amount: 10 }] }, {});
  server.gives('/related', { items: [{ id: '3', name }] }, headers);
  server.service.requests.length = 0;
}

/** How many of what was asked were calls to the service. */
const calls = () => server.service.requests.length;

/** Of its own each time, so that no test finds what another stored. */
let first = 10;
const things = (fields = 'name', count = first) => `{ things(first: ${count}) { ${fields} } }`;

beforeAll(async () => {
  server = await startAnswerServer();
});

beforeEach(() => {
  first++;
  shelve();
});

afterAll(() => server.stop());

describe('The finished answer to a query', () => {
  test('is given out again without any call, and says in its fields where it came from and for how long', async () => {
    const made = await server.post(things());
    expect(made.headers).toMatchObject({
      'cache-control': 'public, max-age=3600',
      age: '0',
      vary: 'Accept',
      'cache-status': 'weir; fwd=miss; stored',
      etag: expect.stringMatching(/^W\/"[\w-]{27}"$/) as string,
    });
    expect(calls()).toBe(1);
    const again = await server.post(things());
    expect(again.body).toEqual(made.body);
    expect(again.headers).toMatchObject({
      'cache-control': 'public, max-age=3600',
      etag: made.headers.etag,
      age: expect.stringMatching(/^\d+$/) as string,
      'cache-status': expect.stringMatching(/^weir; hit; ttl=3[56]\d\d$/) as string,
    });
    expect(calls()).toBe(1);
    const line = await server.accessOf(String(again.headers['x-request-id']));
    expect(line).toMatchObject({ calls: 0, cached: 1, status: 200 });
  });

  test('is the same over every way in, made by the one or the other', async () => {
    const query = things();
    const made = await server.post(query);
    const kept = ({ headers, text }: Awaited<ReturnType<AnswerServer['post']>>) => ({
      text,
      type: headers['content-type'],
      control: headers['cache-control'],
      etag: headers.etag,
      vary: headers.vary,
      hit: String(headers['cache-status']).startsWith('weir; hit'),
    });
    const hit = { ...kept(made), hit: true };
    // By the lane for plain requests.
    expect(kept(await server.post({ query }))).toEqual(hit);
    expect(kept(await server.post({ query, variables: {}, operationName: null }))).toEqual(hit);
    expect(kept(await server.get({ query }))).toEqual(hit);
    // By Yoga's.
    const charset = { 'content-type': 'application/json;charset=UTF-8' };
    expect(kept(await server.post({ query }, charset))).toEqual(hit);
    const plain = { method: 'POST', headers: { 'content-type': 'application/graphql' }, body: query };
    expect(kept(await send(server.graphqlUrl, plain))).toEqual(hit);
    expect(kept(await server.post({ query, extensions: { padding: 'x'.repeat(20_000) } }))).toEqual(hit);
    // Where there is no field to say it, the answer at least is the same.
    expect((await server.post([{ query }])).json()).toEqual([made.json()]);
    const accept = { accept: 'application/graphql-response+json' };
    const typed = await server.post({ query }, accept);
    expect(kept(typed)).toEqual({ ...hit, type: 'application/graphql-response+json; charset=utf-8' });
    const head = await send(`${server.graphqlUrl}?${new URLSearchParams({ query }).toString()}`, { method: 'HEAD' });
    expect([head.text, head.headers.etag, head.headers['content-length']]).toEqual([
      '',
      made.headers.etag,
      made.headers['content-length'],
    ]);
    expect(calls()).toBe(1);
  });

  test('is found by the hash of its document, too, as CDNs are asked for it', async () => {
    const query = things();
    const extensions = { persistedQuery: { version: 1, sha256Hash: hash('sha256', query) } };
    const made = await server.post({ query, extensions });
    const byHash = await server.get({ extensions: JSON.stringify(extensions) });
    expect([byHash.text, byHash.headers.etag]).toEqual([made.text, made.headers.etag]);
    expect(byHash.headers['cache-status']).toMatch(/^weir; hit/);
    const byId = await server.get({ documentId: `sha256:${hash('sha256', query)}` });
    expect([byId.text, byId.headers['cache-status']]).toEqual([made.text, byHash.headers['cache-status']]);
    expect(calls()).toBe(1);
  });

  test('is not given by a document that may not be run any more', async () => {
    const file = JSON.stringify({ known: '{ constant }' });
    const folder = mkdtempSync(join(tmpdir(), 'weir-answers-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'manifest.json'), file);
    const only = await startAnswerServer({
      graphql: { documents: { mode: 'only', path: join(folder, 'manifest.json') } },
    });
    onTestFinished(() => only.stop());
    const known = { documentId: 'known' };
    await only.post(known);
    expect((await only.post(known)).headers['cache-status']).toMatch(/^weir; hit/);
    expect((await only.post('{ constant }')).headers['cache-status']).toMatch(/^weir; hit/);
    expect((await only.post('{ constant  }')).json()).toMatchObject({
      errors: [{ extensions: { code: 'DOCUMENT_NOT_TRUSTED' } }],
    });
  });

  test('is found on a WebSocket, too', async () => {
    const query = things();
    const made = await server.post(query);
    const socket = new WebSocket(server.graphqlUrl.replace('http', 'ws'), 'graphql-transport-ws');
    onTestFinished(() => socket.close());
    const heard: { type: string; payload?: unknown }[] = [];
    socket.on('message', (data) => heard.push(JSON.parse((data as Buffer).toString()) as never));
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init' }));
    await expect.poll(() => heard.length).toBe(1);
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    await expect.poll(() => heard.find(({ type }) => type === 'next')?.payload).toEqual(made.json());
    expect(calls()).toBe(1);
  });

  test('is found on a WebSocket and in an event stream that a browser has opened with its no-cache', async () => {
    const query = things();
    const made = await server.post(query);
    const headers = { 'cache-control': 'no-cache', pragma: 'no-cache' };
    const socket = new WebSocket(server.graphqlUrl.replace('http', 'ws'), 'graphql-transport-ws', { headers });
    onTestFinished(() => socket.close());
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init' })));
    const next = new Promise((resolve) => {
      socket.on('message', (data) => {
        const { type, payload } = JSON.parse((data as Buffer).toString()) as { type: string; payload?: unknown };
        if (type === 'next') resolve(payload);
        if (type === 'connection_ack') socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
      });
    });
    expect(await next).toEqual(made.json());
    const events = { accept: 'text/event-stream' };
    expect((await server.get({ query }, { ...events, ...headers })).text).toContain(`data: ${made.text}`);
    expect(calls()).toBe(1);
    // Whoever asks for more than a browser does by itself means it.
    for (const control of ['no-cache, max-age=0', 'max-age=0', 'no-store']) {
      shelve();
      const { text } = await server.get({ query }, { ...events, 'cache-control': control });
      expect(text).toContain(`version ${version}`);
    }
  });

  test('is 304 to who has it, by GET and POST, and costs nothing upstream', async () => {
    const query = things();
    const { headers } = await server.post(query);
    const known = { 'if-none-match': headers.etag! };
    for (const answer of [
      await server.post(query, known),
      await server.get({ query }, known),
      await server.get({ query }, { 'if-none-match': `"other", ${headers.etag!}` }),
      await server.post({ query }, { ...known, 'content-type': 'application/json;charset=utf-8' }),
    ]) {
      expect([answer.status, answer.text]).toEqual([304, '']);
      expect(answer.headers.etag).toBe(headers.etag);
      // A busy machine may be seconds later.
      expect(answer.headers['cache-control']).toMatch(/^public, max-age=(3600|35\d\d)$/);
      expect(answer.headers['content-type']).toBeUndefined();
    }
    expect(calls()).toBe(1);
    expect((await server.post(query, { 'if-none-match': '"other"' })).status).toBe(200);
    // Made anew it is what the client has, if it is the same.
    const other = things('name id');
    const made = await server.post(other);
    await server.post(`mutation { rename(id: "9", name: "x") { id } }`);
    expect((await server.post(other, { 'if-none-match': made.headers.etag! })).status).toBe(304);
  });

  test('is as fresh as the least of what it was made of', async () => {
    server.gives('/related', { items: [{ id: '3', name: 'n' }] }, { 'cache-control': 'public, max-age=70' });
    const { headers } = await server.post(`{ things(first: ${first}) { id } related(ids: ["${first}"]) { id } }`);
    expect(headers['cache-control']).toBe('public, max-age=70');
  });

  test('is no older for having been made of what had lain in the store', async () => {
    shelve({ ...forHour, age: '3000' });
    expect((await server.post(things())).headers['cache-control']).toBe('public, max-age=600');
    expect((await server.post(things('id'))).headers['cache-control']).toBe('public, max-age=600');
  });

  test('gives clients no longer than the upstream gave them, where it gave shared caches more', async () => {
    shelve({ 'cache-control': 'max-age=50, s-maxage=60' });
    expect((await server.post(things())).headers['cache-control']).toBe('public, max-age=50, s-maxage=60');
    await server.post(things());
    expect(calls()).toBe(1);
  });

  test('is that of its variables, in whatever order, without those that the operation does not have', async () => {
    const query = 'query Q($ids: [ID!]!) { related(ids: $ids) { id } }';
    const ask = (variables: object) => server.post({ query, variables });
    await ask({ ids: [String(first), 'b'], b: 1 });
    await ask({ c: { d: 1 }, ids: [String(first), 'b'] });
    expect(calls()).toBe(1);
    await ask({ ids: ['b', String(first)] });
    await ask({ ids: [`${String(first)},b`] });
    expect(calls()).toBe(3);
  });

  test('is that of the operation that was named', async () => {
    const query = `query A { things(first: ${first}) { id } } query B { things(first: ${first}) { name } }`;
    const a = await server.post({ query, operationName: 'A' });
    const b = await server.post({ query, operationName: 'B' });
    expect(a.text).not.toBe(b.text);
    expect((await server.post({ query, operationName: 'A' })).text).toBe(a.text);
    expect((await server.post({ query })).json()).toMatchObject({
      errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    });
    expect((await server.post({ query, operationName: 'C' })).status).toBe(200);
  });

  test('is not that of another host, which upstreams are told', async () => {
    await server.post(things());
    const other = await server.post(things(), { host: 'other.example' });
    expect(other.headers['cache-status']).toBe('weir; fwd=miss; stored');
  });

  test('is counted', async () => {
    await server.post(things());
    await server.post(things());
    await server.post(things(), { 'cache-control': 'no-store' });
    const metrics = exposition((await send(`${server.adminUrl}/metrics`)).text);
    const samples = metrics.get('weir_cache_answers_total')!.samples;
    const of = (outcome: string) => samples.find(({ labels }) => labels.weir_cache_outcome === outcome)?.value;
    for (const outcome of ['hit', 'miss', 'bypass']) expect(of(outcome)).toBeGreaterThan(0);
  });
});

describe('What is never kept', () => {
  /** What two answers to the same say of being kept, which is nothing but that they must not be. */
  const saidOf = async (request: string | object, headers: Record<string, string> = {}) => {
    const said: unknown[] = [];
    for (const _ of [1, 2]) {
      const { headers: fields } = await server.post(request, headers);
      said.push([String(fields['cache-control']).split(',')[0], fields.etag, fields.age]);
    }
    return said;
  };
  const nothing = [
    ['no-store', undefined, undefined],
    ['no-store', undefined, undefined],
  ];

  test('an answer with an error in it', async () => {
    server.service.answer('/silent', { status: 500 });
    expect(await saidOf(`{ things(first: ${first}) { id } silent { id } }`)).toEqual(nothing);
  });

  test('one with a part of which its upstream says nothing, or says no', async () => {
    for (const control of [undefined, 'no-store', 'private, max-age=60', 'no-cache', 'max-age=0']) {
      shelve(control === undefined ? {} : { 'cache-control': control });
      expect(await saidOf(things(`name id`, first++))).toEqual(nothing);
    }
  });

  test.each([
    ['a mutation', 'mutation { rename(id: "1", name: "x") { id } }'],
    ['what asks for the schema', '{ __schema { queryType { name } } }'],
    ['the same under another name', '{ x: __type(name: "Thing") { name } constant }'],
    ['what nothing says of how long it is good', '{ random }'],
    ['what nothing was asked for', '{ __typename }'],
    ['what its field says is good for no time', '{ never }'],
    ['what a resolver made of the address that it came from', '{ address }'],
    ['what is read by other means than a read', '{ search(text: "x") { id } }'],
    ['what may come in parts', '{ constant ... @defer { language } }'],
  ])('%s', async (_, query) => {
    server.gives('/search', { items: [] }, forHour);
    expect(await saidOf(query)).toEqual(nothing);
  });

  test('what the client wants to be told of its cost', async () => {
    expect(await saidOf(things(), { 'x-weir-explain': 'plan' })).toEqual(nothing);
  });

  test('what must not be stored (RFC 9111 §5.2.1.5), which is not taken from the store either', async () => {
    expect(await saidOf(things('name id'), { 'cache-control': 'no-store' })).toEqual(nothing);
    expect(calls()).toBe(2);
    await server.post(things());
    shelve();
    expect((await server.post(things(), { 'cache-control': 'no-store' })).text).toContain(`version ${version}`);
  });
});

describe('A client that wants it fresher', () => {
  test.each(['no-cache', 'max-age=0', 'min-fresh=7200'])('asks the upstream by %s', async (control) => {
    await server.post(things());
    shelve();
    const answer = await server.post(things(), { 'cache-control': control });
    expect(answer.text).toContain(`version ${version}`);
    expect(calls()).toBe(1);
    // And whoever comes after it has that.
    expect((await server.post(things())).text).toBe(answer.text);
    expect(calls()).toBe(1);
  });

  test('has what is stored by only-if-cached, or nothing', async () => {
    const only = { 'cache-control': 'only-if-cached' };
    expect((await server.post(things(), only)).json()).toMatchObject({
      errors: [{ extensions: { code: 'NOT_STORED' } }],
    });
    await server.post(things());
    expect((await server.post(things(), only)).headers['cache-status']).toMatch(/^weir; hit/);
    expect(calls()).toBe(1);
  });
});

describe('A write is seen at once', () => {
  const name = async () =>
    ((await server.post(things())).json().data as { things: { name: string }[] }).things[0]!.name;

  test.each(['PATCH', 'DELETE'])('by REST, a %s of a member of what was read', async (method) => {
    const before = await name();
    shelve();
    expect(await name()).toBe(before);
    server.service.answer('/things/1', { status: 204 });
    await send(`${server.url}/v1/things/1`, { method, body: '{}' });
    expect(await name()).toBe(`version ${version}`);
  });

  test('by a mutation', async () => {
    await name();
    shelve();
    await server.post('mutation { rename(id: "1", name: "new") { id } }');
    expect(await name()).toBe(`version ${version}`);
  });

  const purge = (body: object) =>
    send(`${server.adminUrl}/admin/cache/purge`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ by: 'ann', ...body }),
    });

  test.each([{ tag: 'red' }, { upstream: 'things', tag: 'red' }, { url: '/things' }, { upstream: 'things' }])(
    'by purging %j',
    async (what) => {
      shelve({ ...forHour, 'surrogate-key': 'red blue' });
      const made = await server.post(things());
      expect(made.headers['surrogate-key']).toBe('red blue');
      shelve();
      await purge({ tag: 'green' });
      expect(await name()).not.toBe(`version ${version}`);
      await purge(what);
      expect(await name()).toBe(`version ${version}`);
    },
  );

  test('by a mutation and by REST, of all that is in a group that the service names (RFC 9875 §3)', async () => {
    const invalidating = { status: 204, headers: { 'cache-group-invalidation': '"shelf"' } };
    for (const write of [
      () => server.post(`mutation { rename(id: "elsewhere", name: "new") { id } }`),
      () => send(`${server.url}/v1/things/far/elsewhere`, { method: 'PUT', body: '{}' }),
    ]) {
      const grouped = { ...forHour, 'cache-groups': '"shelf"' };
      const thing = async () => (await server.post('{ thing(id: "2") { name } }')).json().data;
      shelve(grouped);
      const before = await thing();
      shelve(grouped);
      expect(await thing()).toEqual(before);
      server.service.answer('/things/elsewhere', { ...invalidating, status: 200, text: '{"id":"1","name":"new"}' });
      server.service.answer('/things/far/elsewhere', invalidating);
      await write();
      expect(await thing()).toEqual({ thing: { name: `version ${version}` } });
    }
  });

  test('by purging any tag of any service that it is made of: it has all of them', async () => {
    const related = `{ things(first: ${first}) { name } related(ids: ["${first}"]) { name } }`;
    const made = async () => (await server.post(related)).json().data as Record<string, { name: string }[]>;
    for (const tag of ['red', 'green', 'blue']) {
      shelve({ ...forHour, 'surrogate-key': 'red' });
      server.gives(
        '/related',
        { items: [{ id: '3', name: `version ${version}` }] },
        { ...forHour, 'cache-groups': '"green"', 'surrogate-key': 'blue' },
      );
      await purge({ tag: 'red' });
      await purge({ tag: 'green' });
      await server.post(related);
      const { headers } = await server.post(related);
      expect(headers['cache-status']).toMatch(/^weir; hit/);
      expect(String(headers['surrogate-key']).split(' ').toSorted()).toEqual(['blue', 'green', 'red']);
      server.service.requests.length = 0;
      await purge({ tag: 'yellow' });
      await made();
      expect(calls()).toBe(0);
      await purge({ tag });
      await made();
      // The other is still stored.
      expect(calls()).toBe(1);
    }
  });

  test('by purging a tag of what is no longer stored itself', async () => {
    shelve({ ...forHour, 'surrogate-key': 'faint' });
    await server.post(things());
    const cache = server.gateway.assembly.upstreams.get('things')!.surroundings.cache!;
    const entry = cache
      .shelf('things')
      .at(`/things?first=${first}`)!
      .find(`http ${new URL(server.url).host}`, {})!;
    cache.shelf('things').remove(entry);
    shelve();
    await purge({ tag: 'faint' });
    expect(await name()).toBe(`version ${version}`);
  });

  test('which comes while the answer is made: it is given to who asked, and kept for nobody', async () => {
    let release = () => {};
    server.service.answer('/slow', (_, response) => {
      release = () =>
        void response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': '22', ...forHour })
          .end('{"id":"s","name":"s"} ');
    });
    const query = `{ things(first: ${first}) { name } slow { id } }`;
    const before = version;
    const making = server.post(query);
    await expect.poll(() => server.service.asked('/things').length + server.service.asked('/slow').length).toBe(2);
    shelve();
    server.service.answer('/things/1', { status: 204 });
    await send(`${server.url}/v1/things/1`, { method: 'PATCH', body: '{}' });
    release();
    const made = await making;
    expect(made.text).toContain(`version ${before}`);
    expect(made.headers['cache-control']).toBe('no-store');
    expect((await server.post(query)).text).toContain(`version ${version}`);
  });
});

describe('For whom an answer is', () => {
  const whoAnswers = (headers: Record<string, string>) => {
    const told = (request: { headers: Record<string, unknown> }) => ({
      items: [{ id: '1', name: 'n', who: request.headers['x-weir-consumer'] }],
    });
    server.gives('/things', told, headers);
  };
  const who = async (headers: Record<string, string> = {}, query = things('who')) => {
    const answer = await server.post(query, headers);
    const [field] = Object.values(answer.json().data as Record<string, { who: string }[]>);
    return { who: field![0]!.who, answer };
  };

  test('each alone, where the upstream was shown who asks and does not say that all may have it', async () => {
    whoAnswers({ 'cache-control': 'max-age=60' });
    for (const turn of [1, 2]) {
      expect([turn, (await who(bearing(acme))).who]).toEqual([turn, 'acme']);
      expect([turn, (await who(bearing(rival))).who]).toEqual([turn, 'rival']);
      expect([turn, (await who()).who]).toEqual([turn, 'anonymous']);
    }
    expect(calls()).toBe(3);
    const { answer } = await who(bearing(acme));
    expect(answer.headers['cache-control']).toMatch(/^private, max-age=\d+$/);
    expect(answer.headers.vary).toBe('Accept, authorization, x-api-key');
  });

  test('everybody, where the upstream says so (RFC 9111 §3.5)', async () => {
    whoAnswers({ 'cache-control': 'public, max-age=60' });
    for (const headers of [bearing(acme), bearing(rival), {}]) expect((await who(headers)).who).toBe('acme');
    expect(calls()).toBe(1);
  });

  test('those whom a field of Vary tells alike', async () => {
    whoAnswers({ 'cache-control': 'public, max-age=60', vary: 'x-weir-consumer' });
    for (const [headers, expected] of [
      [bearing(acme), 'acme'],
      [bearing(rival), 'rival'],
      [bearing(acme), 'acme'],
    ] as const)
      expect((await who(headers)).who).toBe(expected);
    expect(calls()).toBe(2);
  });

  test('who may have all of its fields', async () => {
    server.gives('/scoped', { id: '1', name: 'secret' }, forHour);
    const query = '{ scoped { name } }';
    const made = await server.post(query, bearing(acme));
    expect(made.headers['cache-control']).toBe('private, max-age=3600');
    expect((await server.post(query, bearing(acme))).headers['cache-status']).toMatch(/^weir; hit/);
    for (const headers of [{}, bearing(rival)]) {
      const { data, errors } = (await server.post(query, headers)).json() as { data: unknown; errors: unknown[] };
      expect([data, errors]).toEqual([{ scoped: null }, [expect.anything()]]);
    }
  });

  test('those of whom a resolver reads the same', async () => {
    const tier = async (headers: Record<string, string>) => (await server.post('{ tier }', headers)).json().data;
    for (const turn of [1, 2]) {
      expect([turn, await tier(bearing(acme))]).toEqual([turn, { tier: 'gold' }]);
      expect([turn, await tier(bearing(rival))]).toEqual([turn, { tier: 'silver' }]);
      expect([turn, await tier({})]).toEqual([turn, { tier: 'anonymous' }]);
    }
    const { headers } = await server.post('{ tier }', bearing(acme));
    expect(headers['cache-status']).toMatch(/^weir; hit/);
    expect(headers['cache-control']).toMatch(/^private/);
  });

  test('those who send the same of a field that a resolver reads', async () => {
    const language = (code: string) => server.post('{ language }', { 'accept-language': code });
    for (const code of ['de', 'en', 'de', 'en']) expect((await language(code)).json().data).toEqual({ language: code });
    const again = await language('de');
    expect(again.headers['cache-status']).toMatch(/^weir; hit/);
    expect(again.headers).toMatchObject({ vary: 'Accept, accept-language', 'cache-control': 'public, max-age=30' });
  });

  test('with `identity: none` everybody, and with a credential required nobody but who asks us', async () => {
    const closed = await startAnswerServer({
      graphql: { auth: 'required' },
      upstreams: { things: { identity: 'none' } },
    });
    onTestFinished(() => closed.stop());
    closed.gives('/things', { items: [{ id: '1', name: 'n' }] }, { 'cache-control': 'max-age=60' });
    const made = await closed.post(things(), bearing(acme));
    expect(made.headers['cache-control']).toBe('private, max-age=60');
    expect((await closed.post(things(), bearing(rival))).headers['cache-status']).toMatch(/^weir; hit/);
    expect((await closed.post(things())).status).toBe(401);
    expect(closed.service.requests).toHaveLength(1);
  });
});

describe('The budget', () => {
  const quota = { name: 'hour', algorithm: 'sliding-window', quota: 3, window: '1h' } as const;
  const limited = async (limit: object) => {
    const other = await startAnswerServer({ tiers: { gold: { limits: [{ ...quota, ...limit }] } } });
    onTestFinished(() => other.stop());
    other.gives('/things', { items: [{ id: '1', name: 'n' }] }, forHour);
    return other;
  };

  test('is not touched by what comes from the store, nor by a 304', async () => {
    const other = await limited({});
    const made = await other.post('{ things(first: 1) { id } }', bearing(acme));
    for (let turn = 0; turn < 6; turn++) {
      const again = await other.post('{ things(first: 1) { id } }', {
        ...bearing(acme),
        ...(turn % 2 === 1 && { 'if-none-match': made.headers.etag! }),
      });
      expect(again.status).toBe(turn % 2 === 1 ? 304 : 200);
      expect(again.headers.ratelimit).toContain('r=2');
    }
    expect(other.service.requests).toHaveLength(1);
  });

  test('of requests is: they are counted, and refused in the form of every refusal', async () => {
    const other = await limited({ unit: 'requests' });
    const query = '{ things(first: 1) { id } }';
    for (let turn = 0; turn < 3; turn++) expect((await other.post(query, bearing(acme))).status).toBe(200);
    const charset = { ...bearing(acme), 'content-type': 'application/json;charset=utf-8' };
    const [refused, same] = [await other.post(query, bearing(acme)), await other.post(query, charset)];
    expect(refused.status).toBe(429);
    const shape = ({ status, headers, text }: typeof refused) => ({
      status,
      text: text.replaceAll(/"requestId":"[^"]*"/g, '').replaceAll(/\d+/g, 'n'),
      names: Object.keys(headers).filter((name) => name !== 'date'),
      type: headers['content-type'],
      control: headers['cache-control'],
    });
    expect({ ...shape(refused), names: shape(refused).names.toSorted() }).toEqual({
      ...shape(same),
      names: shape(same).names.toSorted(),
    });
  });

  test('is told to who has one, beside an answer that is then for nobody else; by GET, it is in the fields alone', async () => {
    const other = await limited({});
    const query = '{ things(first: 1) { id } }';
    const [made, again] = [await other.post(query, bearing(acme)), await other.post(query, bearing(acme))];
    const cost = (answer: typeof made) => (answer.json().extensions as { cost: Record<string, unknown> }).cost;
    expect(cost(made)).toMatchObject({ actual: 1, remaining: 2 });
    expect(cost(again)).toMatchObject({ actual: 0, remaining: 2, estimated: cost(made).estimated });
    expect(again.headers['cache-control']).toBe('private, max-age=3600');
    expect(again.headers['x-weir-cost']).toBe('0');
    const got = await other.get({ query }, bearing(acme));
    expect(got.json().extensions).toBeUndefined();
    expect(got.headers).toMatchObject({ 'cache-control': 'public, max-age=3600', 'x-weir-cost': '0' });
  });
});

describe('The store of answers', () => {
  test('is within the one bound', async () => {
    const small = await startAnswerServer({ cache: { memory: '20KiB' } });
    onTestFinished(() => small.stop());
    small.gives('/things', { items: [{ id: '1', name: 'n'.repeat(1_000) }] }, forHour);
    const cache = small.gateway.assembly.upstreams.get('things')!.surroundings.cache!;
    for (let count = 1; count < 30; count++) {
      await small.post(`{ things(first: ${count}) { name } }`);
      expect(cache.bytes).toBeLessThanOrEqual(20 * 1024);
    }
    expect(cache.evictions).toBeGreaterThan(0);
    expect((await small.post('{ things(first: 29) { name } }')).headers['cache-status']).toMatch(/^weir; hit/);
    expect((await small.post('{ things(first: 1) { name } }')).headers['cache-status']).not.toMatch(/^weir; hit/);
  });

  test('can be turned off', async () => {
    const without = await startAnswerServer({ cache: { answers: false } });
    onTestFinished(() => without.stop());
    without.gives('/things', { items: [{ id: '1', name: 'n' }] }, forHour);
    for (const _ of [1, 2])
      expect((await without.post('{ things(first: 1) { id } }')).headers['cache-control']).toBe('no-store');
    // What upstreams answer is stored all the same.
    expect(without.service.requests).toHaveLength(1);
  });
});
