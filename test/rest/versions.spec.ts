import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { problemsOf } from '../config/problems.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { send, type Sending } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

let upstream: TestUpstream;
let gateway: TestGateway;

const route = (path: string, of: string, is: string) => ({
  path,
  upstream: 'things',
  rewrite: `/${of}/${is}{/*rest}`,
  version: { of, is },
});

beforeAll(async () => {
  upstream = await startUpstream((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', vary: 'accept-language' });
    response.end(JSON.stringify({ at: request.url }));
  });
  gateway = await startGateway({
    upstreams: { things: { endpoints: [upstream.url] } },
    versions: {
      paths: { by: 'path', known: ['v1', 'v2'], default: 'v1' },
      strict: { by: 'path', known: ['v1', 'v2'] },
      headers: { by: { header: 'X-Api-Version' }, known: ['v1', 'v2'], default: 'v1' },
      exact: { by: { header: 'x-api-version' }, known: ['v1', 'v2'] },
      media: { by: { mediaType: 'application/vnd.shop.{version}+json' }, known: ['v1', 'v2'], default: 'v1' },
    },
    routes: [
      ...['v1', 'v2'].flatMap((version) => [
        route(`/api/${version}/things{/*rest}`, 'paths', version),
        route(`/${version}/strict{/*rest}`, 'strict', version),
        route('/headers{/*rest}', 'headers', version),
        route('/exact{/*rest}', 'exact', version),
        route('/media{/*rest}', 'media', version),
      ]),
      { path: '/kept{/*rest}', upstream: 'things' },
    ],
  });
});

beforeEach(() => void (upstream.requests.length = 0));

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

const ask = (path: string, headers: Record<string, string> = {}, sending: Sending = {}) =>
  send(`${gateway.url}${path}`, { ...sending, headers });

describe('A version that is not there', () => {
  test('is 404 by path, and lists those that are', async () => {
    const { status, json } = await ask('/api/v3/things/7');
    expect([status, json()]).toMatchObject([
      404,
      { code: 'ROUTE_NOT_FOUND', detail: "'paths' has no version v3. Known are v1, v2.", versions: ['v1', 'v2'] },
    ]);
    expect((await ask('/v10/strict')).json()).toMatchObject({ code: 'ROUTE_NOT_FOUND', versions: ['v1', 'v2'] });
  });

  test('is no more than an unknown path where no version stands', async () => {
    for (const path of ['/old/strict', '/v3/other', '/strict'])
      expect((await ask(path)).json()).not.toHaveProperty('versions');
  });

  test.each([
    ['header', '/headers/7', { 'x-api-version': 'v3' }, 'send x-api-version with one of them.'],
    ['header without a default', '/exact', {}, 'send x-api-version with one of them.'],
    [
      'media type',
      '/media',
      { accept: 'application/vnd.shop.v3+json' },
      'send Accept: application/vnd.shop.{version}+json with one of them for {version}.',
    ],
  ])('is 406 by %s, lists those that are and says how to ask for one', async (_, path, headers, how) => {
    const { status, json } = await ask(path, { ...headers });
    expect(status).toBe(406);
    expect(json()).toMatchObject({ code: 'NOT_ACCEPTABLE', versions: ['v1', 'v2'] });
    expect(json().detail).toContain(`Known are v1, v2; ${how}`);
    expect(upstream.requests).toEqual([]);
  });
});

describe('A version by path', () => {
  test('is the segment, and without one the default where there is one', async () => {
    expect((await ask('/api/v2/things/7')).json()).toEqual({ at: '/paths/v2/7' });
    expect((await ask('/api/v1/things/7')).json()).toEqual({ at: '/paths/v1/7' });
    expect((await ask('/api/things/7?x=1')).json()).toEqual({ at: '/paths/v1/7?x=1' });
  });
});

describe('A version by header', () => {
  test('is its value, and without it the default; the answer varies by it (RFC 9110 §12.5.5)', async () => {
    const newer = await ask('/headers/7', { 'x-api-version': 'v2' });
    expect([newer.json(), newer.headers.vary]).toEqual([
      { at: '/headers/v2/7' },
      expect.stringMatching(/^accept-language, x-api-version\b/),
    ]);
    expect((await ask('/headers/7')).json()).toEqual({ at: '/headers/v1/7' });
    expect((await ask('/kept/7')).headers.vary).not.toContain('x-api-version');
  });
});

describe('A version by media type', () => {
  test.each([
    ['application/vnd.shop.v2+json', 'v2'],
    ['APPLICATION/VND.Shop.v2+json; charset=utf-8', 'v2'],
    ['application/vnd.shop.v9+json, application/vnd.shop.v2+json;q=0.5', 'v2'],
    ['application/vnd.shop.v1+json;q=0.2, application/vnd.shop.v2+json;q=0.9', 'v2'],
    ['application/vnd.shop.v9+json, application/json;q=0.1', 'v1'],
    ['application/vnd.shop.v2+json;q=0, */*', 'v1'],
    ['application/json', 'v1'],
    ['text/html', 'v1'],
    [undefined, 'v1'],
  ])('Accept: %s is served as %s', async (accept, version) => {
    const answer = await ask('/media/7', accept === undefined ? {} : { accept });
    expect(answer.json()).toEqual({ at: `/media/${version}/7` });
    expect(answer.headers['content-type']).toBe(`application/vnd.shop.${version}+json`);
    expect(answer.headers.vary).toMatch(/^accept-language, accept\b/);
  });

  test('is the gateway’s own business: the upstream is asked for and sent plain JSON', async () => {
    const type = 'application/vnd.shop.v2+json';
    await ask('/media', { accept: type, 'content-type': type }, { method: 'POST', body: '{}' });
    expect(upstream.requests[0]!.headers).toMatchObject({
      accept: 'application/json, */*;q=0.5',
      'content-type': 'application/json',
    });
  });
});

describe('The configuration of versions', () => {
  const base = { upstreams: { a: { endpoints: ['http://a'] } }, versions: { a: { by: 'path', known: ['v1'] } } };
  const a = { path: '/v1/a', upstream: 'a' };

  test.each([
    [{ of: 'b', is: 'v1' }, /is a version of 'b', which nothing defines.*there is a/],
    [{ of: 'a', is: 'v2' }, /is version v2 of 'a', which knows v1.*add it to known/],
  ])('a route that is %o is a boot error', async (version, message) => {
    await expect(startGateway({ ...base, routes: [{ ...a, version }] })).rejects.toThrow(message);
  });

  test('a route by path without the segment is a boot error', async () => {
    const routes = [{ path: '/a', upstream: 'a', version: { of: 'a', is: 'v1' } }];
    await expect(startGateway({ ...base, routes })).rejects.toThrow(/has no segment \/v1/);
  });

  test('two routes of one version cannot be told apart, two of different versions can', async () => {
    const versions = { a: { by: { header: 'x-v' }, known: ['v1', 'v2'] } };
    const twice = ['v1', 'v1'].map((is) => ({ path: '/a', upstream: 'a', version: { of: 'a', is } }));
    await expect(startGateway({ ...base, versions, routes: twice })).rejects.toThrow(/No request can tell/);
  });

  test('a default that is not known, and a media type without a version, are told', () => {
    expect(problemsOf('versions: { a: { by: path, known: [v1], default: v2 } }')).toMatchObject([
      { path: 'versions.a.default', message: 'is none of known' },
    ]);
    expect(problemsOf('versions: { a: { by: { mediaType: application/json }, known: [v1] } }')).toHaveLength(1);
  });
});
