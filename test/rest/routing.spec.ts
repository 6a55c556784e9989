import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { raw, send } from '../support/raw-client.ts';
import { startUpstream, type TestUpstream } from '../support/upstream.ts';

/** Says which route a request took: each rewrites to its own name. */
let upstream: TestUpstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream((request, response) => void response.end(request.url));
});

afterAll(async () => {
  await upstream.close();
});

interface Route {
  readonly name: string;
  readonly path: string;
  readonly [key: string]: unknown;
}

function start(...routes: readonly Route[]): Promise<TestGateway> {
  return startGateway({
    upstreams: { service: { endpoints: [upstream.url] } },
    routes: routes.map((route) => ({ rewrite: `/${route.name}`, ...route, upstream: 'service' })),
  });
}

async function routeOf(target: string, headers: Record<string, string> = {}, method = 'GET'): Promise<string> {
  const answer = await send(`${gateway.url}${target}`, { method, headers });
  return answer.status === 200 ? answer.text : String(answer.status);
}

describe('The most specific route wins, in whichever order they are written', () => {
  beforeAll(async () => {
    gateway = await start(
      { name: 'rest', path: '/shop/*rest' },
      { name: 'optional', path: '/shop/orders{/:id}' },
      { name: 'parameter', path: '/shop/:kind/:id' },
      { name: 'partly', path: '/shop/orders/order-:id' },
      { name: 'fixed', path: '/shop/orders/latest' },
      { name: 'everything', path: '{/*rest}' },
      { name: 'wild-host', path: '/shop/*rest', host: '*.example.com' },
      { name: 'wilder-host', path: '/shop/orders/latest', host: '*.eu.example.com' },
      { name: 'exact-host', path: '{/*rest}', host: 'shop.example.com' },
      { name: 'posted', path: '/shop/orders/latest', methods: ['POST'] },
      { name: 'canary', path: '/shop/orders/latest', match: { headers: { 'X-Canary': 'true' } } },
      { name: 'beta', path: '/shop/orders/latest', match: { headers: { 'x-canary': 'true' }, query: { beta: '1' } } },
    );
    return () => gateway.stop();
  });

  test.each([
    ['a fixed segment before one that is fixed in part', '/shop/orders/latest', 'fixed'],
    ['one that is fixed in part before a parameter', '/shop/orders/order-7', 'partly'],
    ['a fixed segment before a parameter, even where an optional one follows', '/shop/orders/7', 'optional'],
    ['an optional part that is missing', '/shop/orders', 'optional'],
    ['a parameter before a wildcard', '/shop/users/7', 'parameter'],
    ['a wildcard that reaches further', '/shop/users/7/orders', 'rest'],
    ['what takes everything, last', '/', 'everything'],
    ['what takes everything, at any depth', '/other/7/x', 'everything'],
  ])('%s', async (_, target, expected) => {
    expect(await routeOf(target)).toBe(`/${expected}`);
  });

  test.each([
    ['an exact host before a more specific path', 'shop.example.com', '/shop/orders/latest', 'exact-host'],
    ['a wildcard host before any', 'www.example.com', '/shop/orders/latest', 'wild-host'],
    ['a longer wildcard before a shorter', 'www.eu.example.com', '/shop/orders/latest', 'wilder-host'],
    ['a wildcard host only with a label before it', 'example.com', '/shop/orders/latest', 'fixed'],
    [
      'a host whatever its case and port (RFC 9110 §4.2.3)',
      'SHOP.Example.COM:8080',
      '/shop/orders/latest',
      'exact-host',
    ],
    ['no host whose name merely ends alike', 'notexample.com', '/shop/orders/latest', 'fixed'],
  ])('%s', async (_, host, target, expected) => {
    expect(await routeOf(target, { host })).toBe(`/${expected}`);
  });

  test('conditions before none, more of them before fewer, and each must hold', async () => {
    expect(await routeOf('/shop/orders/latest', { 'x-canary': 'true' })).toBe('/canary');
    expect(await routeOf('/shop/orders/latest?a=2&beta=1', { 'x-canary': 'true' })).toBe('/beta?a=2&beta=1');
    expect(await routeOf('/shop/orders/latest?beta=10', { 'x-canary': 'true' })).toBe('/canary?beta=10');
    expect(await routeOf('/shop/orders/latest', { 'x-canary': 'TRUE' })).toBe('/fixed');
  });

  test('named methods before any', async () => {
    expect(await routeOf('/shop/orders/latest', {}, 'POST')).toBe('/posted');
    expect(await routeOf('/shop/orders/latest', {}, 'PUT')).toBe('/fixed');
  });
});

describe('A path is compared as it was sent', () => {
  beforeAll(async () => {
    gateway = await start(
      { name: 'orders', path: '/v1/orders{/*rest}' },
      { name: 'one', path: '/v1/orders/:id/lines' },
    );
    return () => gateway.stop();
  });

  test('an optional wildcard takes the path without it, with a slash, and all below', async () => {
    expect(await routeOf('/v1/orders')).toBe('/orders');
    expect(await routeOf('/v1/orders?x')).toBe('/orders?x');
    expect(await routeOf('/v1/orders/')).toBe('/orders/');
    expect(await routeOf('/v1/orders/1/2')).toBe('/orders');
  });

  test('segments are not prefixes', async () => {
    expect(await routeOf('/v1/ordersandmore')).toBe('404');
    expect(await routeOf('/v1/order')).toBe('404');
    expect(await routeOf('/v1')).toBe('404');
  });

  test('case by case (RFC 3986 §6.2.2.1), and an encoded slash is no separator (§2.2)', async () => {
    expect(await routeOf('/V1/orders')).toBe('404');
    expect(await routeOf('/v1/orders/a%2Fb/lines')).toBe('/one');
    expect(await routeOf('/v1%2Forders')).toBe('404');
  });
});

describe('A request that no route takes', () => {
  beforeAll(async () => {
    gateway = await start(
      { name: 'read', path: '/things/:id', methods: ['GET'] },
      { name: 'write', path: '/things/:id', methods: ['PUT', 'DELETE'] },
      { name: 'any', path: '/any' },
      { name: 'hosted', path: '/hosted', host: 'a.example' },
      { name: 'asked', path: '/asked', methods: ['GET', 'OPTIONS'] },
    );
    return () => gateway.stop();
  });

  test('is a 404 problem', async () => {
    const answer = await send(`${gateway.url}/nothing`);
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.json()).toMatchObject({
      status: 404,
      code: 'ROUTE_NOT_FOUND',
      requestId: answer.headers['x-request-id'],
    });
    expect((await send(`${gateway.url}/hosted`)).status).toBe(404);
  });

  test('with the wrong method is a 405 that lists those of all routes of the path (RFC 9110 §15.5.6)', async () => {
    const answer = await send(`${gateway.url}/things/1`, { method: 'POST' });
    expect(answer.status).toBe(405);
    expect(answer.json()).toMatchObject({ code: 'METHOD_NOT_ALLOWED' });
    expect(answer.headers.allow?.split(', ').toSorted()).toEqual(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PUT']);
  });

  test('a HEAD is served where a GET is (RFC 9110 §9.3.2), and asked of the upstream as what it is', async () => {
    const answer = await send(`${gateway.url}/things/1`, { method: 'HEAD' });
    expect([answer.status, answer.text, upstream.requests.at(-1)?.method]).toEqual([200, '', 'HEAD']);
  });

  test('a HEAD that is refused has the head of the problem and no body', async () => {
    const answer = await raw(gateway.url, 'HEAD /nothing HTTP/1.1', 'Host: x', 'Connection: close');
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(answer).toMatch(/content-length: [1-9]/);
    expect(answer.endsWith('\r\n\r\n')).toBe(true);
  });

  test('OPTIONS is answered with the methods of the path (RFC 9110 §9.3.7), unless a route takes it', async () => {
    const sent = upstream.requests.length;
    const answer = await send(`${gateway.url}/things/1`, { method: 'OPTIONS' });
    expect(answer.status).toBe(204);
    expect(answer.headers.allow?.split(', ').toSorted()).toEqual(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PUT']);
    expect(upstream.requests.length).toBe(sent);
    expect((await send(`${gateway.url}/asked`, { method: 'OPTIONS' })).text).toBe('/asked');
    expect((await send(`${gateway.url}/any`, { method: 'OPTIONS' })).text).toBe('/any');
    expect((await send(`${gateway.url}/nothing`, { method: 'OPTIONS' })).status).toBe(404);
  });
});

describe('Two routes that no request could tell apart', () => {
  test('stop the gateway from starting, and are both named', async () => {
    const starting = start(
      { name: 'first', path: '/a/:id', methods: ['GET'] },
      { name: 'second', path: '/a/:key', methods: ['GET', 'POST'] },
    );
    await expect(starting).rejects.toThrow(/'first'.*'second'.*replaces: first/s);
  });

  test('are no tie when their methods, hosts or conditions differ', async () => {
    gateway = await start(
      { name: 'a', path: '/a', methods: ['GET'] },
      { name: 'b', path: '/a', methods: ['POST'] },
      { name: 'c', path: '/a', host: 'c.example' },
      { name: 'd', path: '/a', match: { query: { d: '1' } } },
    );
    expect(await routeOf('/a')).toBe('/a');
    await gateway.stop();
  });

  test('may both be there once one says that it replaces the other', async () => {
    gateway = await start({ name: 'first', path: '/a/:id' }, { name: 'second', path: '/a/:key', replaces: 'first' });
    expect(await routeOf('/a/1')).toBe('/second');
    await gateway.stop();
  });

  test('the one that replaces may take the name too', async () => {
    gateway = await start(
      { name: 'orders', path: '/a/:id', rewrite: '/old' },
      { name: 'orders', path: '/a/:key', replaces: 'orders', rewrite: '/new' },
    );
    expect(await routeOf('/a/1')).toBe('/new');
    await gateway.stop();
  });
});
