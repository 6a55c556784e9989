import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';
import { createProject } from './project.ts';

interface Served extends TestGateway {
  readonly upstream: TestUpstream;
  rest(headers?: Record<string, string>): Promise<Response>;
  graphql(headers?: Record<string, string>): Promise<Response>;
}

/** A gateway with modules that have these policies, each the text of an object; one REST route and one GraphQL field. */
async function serve(...policies: readonly string[]): Promise<Served> {
  const modules = policies.map(
    (
      text,
      index,
    ) => `defineModule({ name: 'm${index}', owner: 'team', typeDefs: sdl(import.meta, './m${index}.graphql'),
  resolvers: { Query: { hello${index}: () => 'from a resolver' } }, policies: ${text} })`,
  );
  const { folder } = createProject({
    'modules/registry.ts': `import { defineModule, sdl, WeirError, type RequestContext } from 'weir';

const seen = (context: RequestContext, name: string): void => {
  context.reply.headers['x-seen'] = [context.reply.headers['x-seen'], name].filter(Boolean).join(' ');
};

export const modules = [${modules.join(',\n')}];
`,
    ...Object.fromEntries(
      policies.map((_text, index) => [
        `modules/m${index}.graphql`,
        `extend type Query {\n  hello${index}: String\n}\n`,
      ]),
    ),
  });
  const upstream = await startUpstream((_request, response) => response.end('from the upstream'));
  const gateway = await startGateway(
    `upstreams: { things: { endpoints: ["${upstream.url}"] } }\nroutes: [{ path: /things, upstream: things }]\ncors: { origins: ["http://shop.example"] }\n`,
    { modules: `${folder}/modules` },
  );
  onTestFinished(async () => {
    await gateway.stop();
    await upstream.close();
  });
  const json = { 'content-type': 'application/json' };
  return {
    ...gateway,
    upstream,
    rest: (headers = {}) => fetch(`${gateway.url}/things`, { headers }),
    graphql: (headers = {}) =>
      fetch(`${gateway.url}/graphql`, {
        method: 'POST',
        headers: { ...json, ...headers },
        body: '{"query":"{ hello0 }"}',
      }),
  };
}

const closed = (how: string) => `{ closed: { after: 'route', ${how} } }`;
const refusal = `new WeirError('OVERLOADED', { detail: 'The shop is closed.', retryAfterS: 60, extensions: { opens: '09:00' } })`;

describe("A module's policy", () => {
  test('runs for both doors, and lets a request go on that it does not object to', async () => {
    const { rest, graphql } = await serve(`{ marks: { after: 'route', run: (context) => seen(context, 'marks') } }`);
    const [answer, data] = await Promise.all([rest(), graphql()]);
    expect([answer.headers.get('x-seen'), await answer.text()]).toEqual(['marks', 'from the upstream']);
    expect([data.headers.get('x-seen'), await data.json()]).toEqual(['marks', { data: { hello0: 'from a resolver' } }]);
  });

  test.each([
    ['by throwing', `run: () => { throw ${refusal}; }`],
    ['by a promise that is rejected at once', `run: () => Promise.reject(${refusal})`],
    ['later', `run: async () => { await new Promise((resolve) => setTimeout(resolve, 5)); throw ${refusal}; }`],
  ])('refuses with a WeirError %s, in the form of each door', async (_how, run) => {
    const { upstream, rest, graphql, accessOf } = await serve(closed(run));
    const answer = await rest();
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '60']);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const problem = (await answer.json()) as { readonly requestId: string };
    expect(problem).toMatchObject({ code: 'OVERLOADED', status: 503, detail: 'The shop is closed.', opens: '09:00' });
    expect(await accessOf(problem.requestId)).toMatchObject({ status: 503, error: 'OVERLOADED', route: '/things' });

    const refused = await graphql();
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '60']);
    expect(await refused.json()).toMatchObject({
      errors: [{ message: 'The shop is closed.', extensions: { code: 'OVERLOADED', opens: '09:00' } }],
    });
    expect(upstream.requests).toEqual([]);
  });

  test.each([
    ['throws an error', `run: () => { throw new Error('password=hunter2 at 10.1.2.3'); }`],
    ['throws what is no error', `run: () => { throw 'password=hunter2'; }`],
    [
      'fails by a mistake',
      `run: (context) => (context as unknown as { hunter2: { length: number } }).hunter2.length as never`,
    ],
    ['rejects', `run: async () => { throw new Error('password=hunter2 at 10.1.2.3'); }`],
    ['rejects with nothing', `run: () => Promise.reject()`],
  ])('that %s is an INTERNAL error, which tells the log what it was and a client nothing', async (_what, run) => {
    const { rest, graphql, log } = await serve(closed(run));
    for (const answer of [await rest(), await graphql()]) {
      expect(answer.status).toBe(500);
      const body = await answer.text();
      expect(body).toContain('"code":"INTERNAL"');
      expect(body + JSON.stringify([...answer.headers])).not.toMatch(/hunter2|10\.1\.2\.3|registry|\bat /);
    }
    await expect.poll(() => log.filter(({ msg }) => msg === 'request failed').length).toBe(2);
    // The gateway has survived it.
    expect((await rest()).status).toBe(500);
  });

  test('stands where it asks to: before a stage it does not see its work, after it does', async () => {
    const { rest } = await serve(`{
      early: { before: 'route', run: (context) => seen(context, 'early:' + context.route?.name) },
      late: { after: 'route', run: (context) => seen(context, 'late:' + context.route?.name) },
    }`);
    expect((await rest()).headers.get('x-seen')).toBe('early:undefined late:/things');
  });

  test('stands in the order of the registry, and of the module, beside others of the same place', async () => {
    const two = (name: string) => `{
      ${name}1: { before: 'deadline', run: (context) => seen(context, 'before-${name}1') },
      ${name}2: { after: 'deadline', run: (context) => seen(context, 'after-${name}2') },
      ${name}3: { after: 'deadline', run: async (context) => seen(context, 'after-${name}3') },
      ${name}4: { before: 'deadline', run: async (context) => seen(context, 'before-${name}4') },
    }`;
    const { rest, graphql } = await serve(two('a'), two('b'));
    const order = 'before-a1 before-a4 before-b1 before-b4 after-a2 after-a3 after-b2 after-b3';
    for (const answer of [await rest(), await graphql()]) expect(answer.headers.get('x-seen')).toBe(order);
  });

  test('after the body sees it whole', async () => {
    const { graphql } = await serve(
      `{ reads: { after: 'body', run: (context) => seen(context, context.body?.toString('base64') ?? 'nothing') } }`,
    );
    const seen = (await graphql()).headers.get('x-seen');
    expect(Buffer.from(seen!, 'base64').toString()).toBe('{"query":"{ hello0 }"}');
  });

  test('may answer for good, and nothing after it is reached', async () => {
    const { upstream, rest, graphql } = await serve(
      closed(`run: async ({ reply }) => { reply.head(200, { 'content-type': 'text/plain' }); reply.end('closed'); }`),
    );
    for (const answer of [await rest(), await graphql()]) {
      expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
        200,
        'text/plain',
        'closed',
      ]);
    }
    expect(upstream.requests).toEqual([]);
  });

  test('is refused with CORS headers if it stands after CORS, so that the page can read the reason', async () => {
    const origin = { origin: 'http://shop.example' };
    const after = await serve(`{ closed: { after: 'cors', run: () => { throw ${refusal}; } } }`);
    expect((await after.rest(origin)).headers.get('access-control-allow-origin')).toBe('http://shop.example');
  });

  test('holds for an upgrade too, before the protocol is switched', async () => {
    const { url } = await serve(closed(`run: () => { throw ${refusal}; }`));
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('503');
  });
});
