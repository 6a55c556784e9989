import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { defineModule } from '#resolvers/index.ts';
import { inspect } from '#gateway/assembly.ts';
import { openProject } from '#gateway/project.ts';
import { startGateway, untilIdle, type TestGateway } from '../support/gateway.ts';
import { GatewayProgram } from '../support/gateway-program.ts';
import { begin, send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

interface Scripted {
  readonly status?: number;
  readonly body?: unknown;
  readonly hang?: boolean;
}

const scripted = new Map<string, Scripted>();
let upstream: TestUpstream;
let gateway: TestGateway;

const usual: Readonly<Record<string, unknown>> = {
  '/people': [{ id: 'ada', name: 'Ada' }],
  '/pets': [{ id: 'p1', ownerId: 'ada' }],
  '/toys': ['ball', 'bone'],
  '/food': ['fish'],
};

beforeAll(async () => {
  upstream = await startUpstream((request, response) => {
    const path = request.url!.split('?', 1)[0]!;
    const { status = 200, body = usual[path] ?? {}, hang = false } = scripted.get(path) ?? {};
    if (hang) return;
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  const service = { endpoints: [upstream.url], retry: { attempts: 0 }, breaker: { failures: 1000 } };
  gateway = await startGateway(
    { upstreams: { people: service, pets: service } },
    { modules: 'test/fixtures/composed' },
  );
});

beforeEach(() => {
  scripted.clear();
  upstream.requests.length = 0;
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const get = (path: string, method = 'GET') => send(`${gateway.url}${path}`, { method });
const asked = () => upstream.requests.map(({ url }) => url).toSorted();

describe('What fails in code', () => {
  test('is a defect: 500 without a word of it, and the log has it whole', async () => {
    const answer = await get('/plain/defect');
    expect([answer.status, answer.json().code]).toEqual([500, 'INTERNAL']);
    expect(answer.text).not.toContain('secret');
    await vi.waitFor(() =>
      expect(JSON.stringify(gateway.log.filter(({ msg }) => msg === 'request failed'))).toContain('the secret of'),
    );
  });

  test('is a header that is not its own to write', async () => {
    expect((await get('/plain/framing')).json()).toMatchObject({ status: 500, code: 'INTERNAL' });
  });

  test('is told as the code says it', async () => {
    expect((await get('/plain/refuse')).json()).toMatchObject({
      status: 403,
      code: 'FORBIDDEN',
      detail: 'Not for you.',
    });
  });

  test.each([
    [404, 404, 'PART_NOT_FOUND'],
    [422, 400, 'BAD_REQUEST'],
    [500, 502, 'UPSTREAM_ERROR'],
  ])('is a call that nobody looked after: %i is %i', async (status, told, code) => {
    scripted.set('/toys', { status });
    expect((await get('/plain/call')).json()).toMatchObject({ status: told, code });
  });

  test('is code that never ends: 504 in the time of the route', async () => {
    expect((await get('/plain/never')).json()).toMatchObject({ status: 504, code: 'DEADLINE_EXCEEDED' });
  });
});

describe('A promise that code forgets', () => {
  test.each([1, 2])('ends no process: %i of them', { timeout: 60_000 }, async (workers) => {
    const service = { endpoints: [upstream.url], retry: { attempts: 0 }, breaker: { failures: 1000 } };
    const program = await GatewayProgram.start(
      { listen: { workers }, upstreams: { people: service, pets: service } },
      { args: ['--modules', 'test/fixtures/composed'] },
    );
    try {
      scripted.set('/toys', { status: 500 }).set('/food', { status: 500 });
      expect((await send(`${program.url}/forgets`)).status).toBe(502);
      await program.logged(({ msg }) => msg === 'a promise failed that nobody waits for');
      scripted.clear();
      expect((await send(`${program.url}/forgets`)).json()).toEqual({ toys: ['ball', 'bone'], food: ['fish'] });
      expect(program.log.some(({ msg }) => String(msg).includes('worker died'))).toBe(false);
      expect(await program.stop()).toBe(0);
    } finally {
      program.kill();
    }
  });
});

describe('Required parts that fail', () => {
  test('are told all together', async () => {
    scripted.set('/toys', { status: 500 }).set('/food', { status: 503 });
    const { status, code, parts } = (await get('/both/ada')).json();
    expect([status, code]).toEqual([502, 'UPSTREAM_ERROR']);
    expect(parts).toHaveLength(2);
    expect(parts).toContainEqual({ part: 'toys', code: 'UPSTREAM_ERROR', upstreamStatus: 500 });
    expect(parts).toContainEqual({ part: 'food', code: 'UPSTREAM_ERROR', upstreamStatus: 503 });
  });

  test('make it 404 where one does not exist, whatever else fails', async () => {
    scripted.set('/toys', { status: 404 }).set('/food', { status: 500 });
    expect((await get('/both/ada')).json()).toMatchObject({ status: 404, code: 'PART_NOT_FOUND' });
  });

  test('leave nothing under way when the client has gone', async () => {
    scripted.set('/toys', { hang: true }).set('/food', { hang: true });
    const request = begin(`${gateway.url}/both/ada`);
    request.on('error', () => {});
    request.end();
    await vi.waitFor(() => expect(upstream.requests).toHaveLength(2));
    request.destroy();
    await untilIdle(gateway);
  });
});

describe('Optional parts that fail', () => {
  test('are null, and the answer and the log say that it is not complete', async () => {
    scripted.set('/pets', { status: 500 });
    const answer = await get('/home/ada');
    expect(answer.json()).toEqual({ who: { id: 'ada', name: 'Ada' }, pets: null });
    expect([answer.headers['x-weir-completed'], answer.headers['x-weir-missing']]).toEqual(['false', 'pets']);
    expect(await gateway.accessOf(String(answer.headers['x-request-id']))).toMatchObject({
      degraded: 1,
      route: 'home',
    });
  });

  test('are null after their own time, and nothing of them stays under way', async () => {
    scripted.set('/pets', { hang: true });
    const answer = await get('/home/ada');
    expect([answer.status, answer.json().pets, answer.headers['x-weir-missing']]).toEqual([200, null, 'pets']);
    await untilIdle(gateway);
  });

  test('may have something that stands in for them', async () => {
    scripted.set('/food', { status: 503 });
    const answer = await get('/after/bob');
    expect([answer.json(), answer.headers['x-weir-missing']]).toEqual([{ toys: ['ball', 'bone'], food: [] }, 'food']);
  });

  test('are no excuse for a defect', async () => {
    scripted.set('/pets', { body: { not: 'a list' } });
    expect((await get('/home/ada')).status).toBe(500);
  });
});

describe('route.get(…)', () => {
  test('answers by clients and loaders, of its own module and of others', async () => {
    const answer = await get('/home/ada?first=1');
    expect([answer.status, answer.headers['x-weir-completed'], answer.headers['content-type']]).toEqual([
      200,
      'true',
      'application/json',
    ]);
    expect(answer.json()).toEqual({ who: { id: 'ada', name: 'Ada' }, pets: [{ id: 'p1', ownerId: 'ada' }] });
    expect(asked()).toEqual(['/people?ids=ada', '/pets?owners=ada&first=1']);
  });

  test('has the path decoded, and what is optional in it', async () => {
    expect((await get('/plain/a%2Fb')).json()).toEqual({ owner: 'a/b' });
    expect((await get('/plain')).json()).toEqual({ owner: null });
    expect((await get('/plain/%ff')).status).toBe(400);
  });

  test('answers with a status and headers of its own, or with nothing', async () => {
    const { status, headers } = await get('/after/eve');
    expect([status, headers['cache-control'], headers['x-kind']]).toEqual([203, 'private, max-age=5', 'after']);
    const nothing = await get('/plain/nothing');
    expect([nothing.status, nothing.text, nothing.headers['cache-control']]).toEqual([204, '', 'no-store']);
  });

  test('answers HEAD with the head of GET, and takes no other method', async () => {
    const [one, other] = [await get('/both/ada'), await get('/both/ada', 'HEAD')];
    expect([other.status, other.text, other.headers['content-length']]).toEqual([
      200,
      '',
      one.headers['content-length'],
    ]);
    expect((await get('/both/ada', 'POST')).status).toBe(405);
  });

  test('asks after what it waits for, with what came of it', async () => {
    scripted.set('/toys', { body: ['kite', 'top'] });
    await get('/after/kim');
    expect(upstream.requests.map(({ url }) => url)).toEqual(['/toys?owner=kim', '/food?toys=kite&toys=top']);
  });

  test('stores what its calls give by the rules of the route', async () => {
    await get('/after/lee');
    await get('/after/lee');
    expect(upstream.requests.filter(({ url }) => url === '/toys?owner=lee')).toHaveLength(1);
    // The same call without rules is not stored.
    await get('/both/lee');
    await get('/both/max');
    expect(upstream.requests.filter(({ url }) => url === '/toys?owner=max')).toHaveLength(1);
  });

  test('is paid by its calls, like all else', async () => {
    const answer = await get('/home/ada');
    const line = await gateway.accessOf(String(answer.headers['x-request-id']));
    expect(line).toMatchObject({ calls: 2, upstreams: { people: 1, pets: 1 } });
  });

  test('has the policies of any route', async () => {
    expect((await get('/closed')).json()).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    expect((await get('/home/ada?first=0')).json()).toMatchObject({
      status: 400,
      code: 'REQUEST_INVALID',
      errors: [{ in: 'query', parameter: 'first' }],
    });
    expect(upstream.requests).toHaveLength(0);
  });

  test('has limits of its own, and the price that it says', async () => {
    const statuses = [];
    for (let index = 0; index < 3; index++) statuses.push((await get('/few')).status);
    expect(statuses).toEqual([200, 200, 429]);
    const service = { endpoints: [upstream.url] };
    const limits = [{ name: 'day', algorithm: 'fixed-window', quota: 100, window: '1d' }];
    const one = await startGateway(
      { upstreams: { people: service, pets: service }, tiers: { anonymous: { limits } } },
      { modules: 'test/fixtures/composed' },
    );
    try {
      const left = async () => Number((await send(`${one.url}/plain`)).headers['x-ratelimit-remaining']);
      // It asks nobody, so what was reserved for its calls comes back.
      expect(await left()).toBe(99);
      expect(await left()).toBe(99);
      await send(`${one.url}/after/priced`);
      expect(await left()).toBe(94);
      await send(`${one.url}/both/calls`);
      expect(await left()).toBe(92);
    } finally {
      await one.stop();
    }
  });

  test('is held to the schema that its team gives, where it says so', async () => {
    const one = await startGateway(
      { upstreams: { people: { endpoints: [upstream.url] }, pets: { endpoints: [upstream.url] } } },
      { modules: 'test/fixtures/composed' },
    );
    await send(`${one.url}/drifting/sound`);
    await send(`${one.url}/drifting/odd`);
    await new Promise((looked) => setImmediate(() => setImmediate(looked)));
    await one.stop();
    expect(one.log.filter(({ msg }) => msg === 'contract drift')).toMatchObject([
      { route: '/drifting/:kind', checked: 2, findings: [{ finding: '`size` became string, 50 %', count: 1 }] },
    ]);
  });

  test('stands in /openapi.json with the schema that its team gives, unless it is not to', async () => {
    const { paths } = (await get('/openapi.json')).json() as { paths: Record<string, Record<string, object>> };
    expect(Object.keys(paths)).toEqual([
      '/after/{owner}',
      '/both/{owner}',
      '/closed',
      '/drifting/{kind}',
      '/few',
      '/forgets',
      '/home/{owner}',
    ]);
    expect(paths['/home/{owner}']!.get).toMatchObject({
      summary: 'All of one person',
      tags: ['pets'],
      parameters: [
        { name: 'owner', in: 'path', required: true },
        { name: 'first', in: 'query' },
      ],
      responses: {
        200: {
          content: { 'application/json': { schema: { required: ['who'] } } },
          headers: { 'X-Request-Id': {}, 'X-Weir-Completed': {}, 'X-Weir-Missing': {} },
        },
        404: { $ref: '#/components/responses/Gateway404' },
      },
    });
    expect(paths['/both/{owner}']!.get).toMatchObject({ summary: 'Made of several services' });
  });
});

describe('What does not fit is told before anything runs', () => {
  const inspected = async (text: object, modules = 'test/fixtures/composed') => {
    const endpoints = ['http://127.0.0.1:9'];
    const config = { upstreams: { people: { endpoints }, pets: { endpoints } }, ...text };
    inspect(await openProject({ config: 'test.yaml', text: JSON.stringify(config), modules }));
  };

  test('code that no module has', async () => {
    const routes = [{ path: '/x', code: 'pets/away' }];
    await expect(inspected({ routes })).rejects.toThrow("names the code 'pets/away', which no module has");
  });

  test('a loader that no module has', async () => {
    const routes = [{ path: '/x', aggregate: { parts: { a: { loader: 'people.byName', key: 'x' } } } }];
    await expect(inspected({ routes })).rejects.toThrow(
      /uses the loader 'people\.byName'.*there is people\.byId, pets\.byOwner/,
    );
  });

  test.each([
    [{ loader: 'people.byId' }, 'a.key: is missing'],
    [{ loader: 'people.byId', key: 'x', path: '/y' }, 'a.path: has no meaning beside loader'],
    [{ loader: 'people.byId', key: '{b.id}' }, 'a.key: names {b.id}'],
    [{ loader: 'people.byId', key: 'x', params: { first: '{params.no}' } }, 'a.params.first: names {params.no}'],
    [{ upstream: 'people', path: '/x', params: { first: 1 } }, 'a.params: has no meaning beside upstream'],
  ])('a part such as %j', async (part, message) => {
    await expect(inspected({ routes: [{ path: '/x', aggregate: { parts: { a: part } } }] })).rejects.toThrow(message);
  });

  test('what only a route to a service has', async () => {
    const routes = [{ path: '/x', code: 'pets/home', upstream: 'pets', rewrite: '/y' }];
    await expect(inspected({ routes })).rejects.toThrow(/routes\[0\]\.upstream: has no meaning beside code/);
  });

  test('two routes of one name', () => {
    const answer = () => ({});
    const twice = () =>
      defineModule({
        name: 'a',
        owner: 'a',
        routes: (route) => [route.get('/x', { name: 'n', answer }), route.get('/y', { name: 'n', answer })],
      });
    expect(twice).toThrow("module 'a': two routes are called 'n'");
  });
});

describe('Parts of an aggregate that are loaded', () => {
  let one: TestGateway;

  beforeAll(async () => {
    const endpoints = [upstream.url];
    one = await startGateway(
      {
        upstreams: { people: { endpoints }, pets: { endpoints } },
        routes: [
          {
            path: '/page/:owner',
            aggregate: {
              schema: { type: 'object', properties: { toys: { type: 'array' } } },
              parts: {
                who: { loader: 'people.byId', key: '{params.owner}', pick: ['name'] },
                again: { loader: 'people.byId', key: '{params.owner}', into: 'same', pick: ['id'] },
                toys: { upstream: 'pets', path: '/toys' },
                pets: { loader: 'pets.byOwner', key: '{toys}', params: { first: '{query.first}' }, optional: true },
              },
            },
          },
        ],
      },
      { modules: 'test/fixtures/composed' },
    );
  });

  afterAll(() => one.stop());

  test('go in one call, by one key or by all of a list', async () => {
    const answer = await send(`${one.url}/page/ada?first=3`);
    expect(answer.json()).toEqual({
      who: { name: 'Ada' },
      same: { id: 'ada' },
      toys: ['ball', 'bone'],
      pets: [[], []],
    });
    expect(asked()).toEqual(['/people?ids=ada', '/pets?owners=ball&owners=bone&first=3', '/toys']);
    const { paths } = (await send(`${one.url}/openapi.json`)).json() as { paths: Record<string, object> };
    expect(paths['/page/{owner}']).toMatchObject({
      get: { responses: { 200: { content: { 'application/json': { schema: { properties: { toys: {} } } } } } } },
    });
  });

  test('may be missing like any other', async () => {
    scripted.set('/pets', { status: 500 });
    const answer = await send(`${one.url}/page/ada`);
    expect([answer.json().pets, answer.headers['x-weir-missing']]).toEqual([null, 'pets']);
    scripted.set('/people', { status: 500 });
    expect((await send(`${one.url}/page/ada`)).json()).toMatchObject({ status: 502, code: 'UPSTREAM_ERROR' });
  });
});

describe('Versions of what is answered here', () => {
  const parts = (path: string) => ({ parts: { a: { upstream: 'pets', path } } });
  const start = (by: object) =>
    startGateway({
      upstreams: { pets: { endpoints: [upstream.url] } },
      versions: { page: { by, known: ['v1', 'v2'], default: 'v1' } },
      routes: [
        { path: '/page', version: { of: 'page', is: 'v1' }, aggregate: parts('/toys') },
        {
          path: '/page',
          version: { of: 'page', is: 'v2' },
          aggregate: { ...parts('/food'), schema: { type: 'object' } },
        },
      ],
    });

  test('are told apart by header, and by media type, which the answer is in', async () => {
    const byHeader = await start({ header: 'x-api-version' });
    const first = await send(`${byHeader.url}/page`);
    expect([first.json(), first.headers.vary]).toEqual([
      { a: ['ball', 'bone'] },
      expect.stringContaining('x-api-version') as unknown,
    ]);
    const second = await send(`${byHeader.url}/page`, { headers: { 'x-api-version': 'v2' } });
    expect(second.json()).toEqual({ a: ['fish'] });
    expect((await send(`${byHeader.url}/page`, { headers: { 'x-api-version': 'v3' } })).status).toBe(406);
    await byHeader.stop();
    const byType = await start({ mediaType: 'application/vnd.pets.{version}+json' });
    const typed = await send(`${byType.url}/page`, { headers: { accept: 'application/vnd.pets.v2+json' } });
    expect([typed.json(), typed.headers['content-type']]).toEqual([{ a: ['fish'] }, 'application/vnd.pets.v2+json']);
    const { paths } = (await send(`${byType.url}/openapi.json?version=v2`)).json() as {
      paths: Record<string, { get: { responses: Record<string, { content: object }> } }>;
    };
    expect(Object.keys(paths['/page']!.get.responses['200']!.content)).toEqual(['application/vnd.pets.v2+json']);
    await byType.stop();
  });
});

describe('docs/routes-in-code.md', () => {
  test('quotes code that runs: that of the shop', () => {
    const page = readFileSync(resolve(import.meta.dirname, '../../docs/routes-in-code.md'), 'utf8');
    const source = readFileSync(resolve(import.meta.dirname, '../../resolvers/orders/module.ts'), 'utf8');
    const [, quoted = ''] = /```ts\n([^]*?)```/.exec(page) ?? [];
    expect(quoted.length).toBeGreaterThan(200);
    expect(source).toContain(quoted.trimEnd());
  });
});
