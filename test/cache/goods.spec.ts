import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IncomingMessage } from 'node:http';
import { newApiKey } from '#policies/auth/api-keys/format.ts';
import { startModules, type GraphqlServer } from '../graphql/shop-gateway.ts';
import { send, type Answer } from '../support/raw-client.ts';
import { startCacheService, type CacheService } from './service.ts';

/** What modules make of answers, or tell the service of who asks, is not taken for what the service gives everybody. */

const acme = newApiKey();
const rival = newApiKey();
const bearing = ({ key }: { readonly key: string }) => ({ 'x-api-key': key });

let service: CacheService;
let gateway: GraphqlServer;
let last = 0;

beforeAll(async () => {
  service = await startCacheService();
  const none = { endpoints: [service.url], identity: 'none', cache: { ttl: '1h' } };
  gateway = await startModules('test/fixtures/goods', {
    upstreams: {
      goods: { endpoints: [service.url] },
      prices: { endpoints: [service.url] },
      notes: { endpoints: [service.url], cache: false },
      tiers: none,
      names: none,
    },
    consumers: [
      { id: 'acme', tier: 'gold', keys: [acme.hash] },
      { id: 'rival', keys: [rival.hash] },
    ],
  });
});

afterAll(async () => {
  await gateway.stop();
  await service.close();
});

const open = { 'cache-control': 'public, max-age=3600' };

/** Has the service give things whose names say what it was asked, many at a path and each alone below it. */
function serve(path: string, id: string, name: (request: IncomingMessage) => string, headers: object = open): void {
  const give = (at: string, wrap: (good: object) => object) =>
    service.answer(at, (request, response) => {
      const body = JSON.stringify(wrap({ id, name: name(request) }));
      const framing = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      response.writeHead(200, { ...framing, ...headers }).end(body);
    });
  give(path, (good) => ({ items: [good] }));
  give(`${path}/${id}`, (good) => good);
}

/** Has a path give one thing, whose name says what it was asked. */
function serveOne(path: string, name: (request: IncomingMessage) => string): void {
  service.answer(path, (request, response) => {
    const body = JSON.stringify({ id: '1', name: name(request) });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  });
}

const userOf = ({ headers }: IncomingMessage) => String(headers['x-user']);

const newId = () => String(++last);

async function query(field: string, headers: Record<string, string> = {}): Promise<unknown> {
  const { body } = await gateway.query(`{ it: ${field} { name } }`, headers);
  return (body.data as { it: { name: string } | null }).it?.name;
}

const rest = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  send(`${gateway.url}/v1${path}`, { headers });

const nameOf = async (path: string, headers: Record<string, string> = {}) =>
  (await rest(path, headers)).json().name as string;

test('Params shape what is loaded, so that it is neither found nor stored as the object alone', async () => {
  const id = newId();
  serve('/goods', id, ({ headers }) => String(headers['accept-language']));
  expect(await nameOf(`/goods/${id}`)).toBe('undefined');
  expect(await query(`good(id: "${id}", language: "de")`)).toBe('de');
  expect(await query(`good(id: "${id}")`)).toBe('undefined');
  const other = newId();
  serve('/goods', other, ({ headers }) => String(headers['accept-language']));
  expect(await query(`good(id: "${other}", language: "de")`)).toBe('de');
  expect(await nameOf(`/goods/${other}`)).toBe('undefined');
});

test('What depends on a field of the request (Vary) is asked for by each in its own way', async () => {
  const id = newId();
  serve('/goods', id, ({ url }) => (url!.includes('ids') ? 'many' : 'one'), { ...open, vary: 'accept-language' });
  await rest(`/goods/${id}`);
  expect(await query(`good(id: "${id}")`)).toBe('many');
  expect(await nameOf(`/goods/${id}`, { 'accept-language': 'de' })).toBe('one');
});

test.each([
  ['priced', '/prices'],
  ['noted', '/notes'],
])('An object of %s, made of two calls, is stored by nobody', async (field, path) => {
  const id = newId();
  serve('/goods', id, () => 'alone');
  service.answer(path, (request, response) => {
    const body = JSON.stringify({ name: `for ${String(request.headers['x-weir-consumer'])}` });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  });
  expect(await query(`${field}(id: "${id}")`, bearing(acme))).toBe('for acme');
  expect(await query(`${field}(id: "${id}")`, bearing(rival))).toBe('for rival');
  expect(await nameOf(`/goods/${id}`)).toBe('alone');
});

test('A loader that reads who asks stores nothing for others, and is found nothing by others', async () => {
  const id = newId();
  serve('/tiered', id, ({ url }) => String(new URL(url!, 'http://x').searchParams.get('tier')), {});
  expect(await query(`tiered(id: "${id}")`, bearing(acme))).toBe('gold');
  expect(await query(`tiered(id: "${id}")`, bearing(rival))).not.toBe('gold');
  expect(await nameOf(`/tiered/${id}`)).toBe('null');
});

test('A field by which a module tells the service who asks counts as identity, in a resolver and in a loader', async () => {
  const id = newId();
  serve('/named', id, userOf, {});
  serveOne('/mine', userOf);
  for (const [caller, name] of [
    [acme, 'acme'],
    [rival, 'rival'],
    [acme, 'acme'],
  ] as const) {
    expect(await query('mine', bearing(caller))).toBe(name);
    expect(await query(`named(id: "${id}")`, bearing(caller))).toBe(name);
  }
  expect(service.asked('/mine')).toHaveLength(2);
  for (const path of ['/mine', `/named/${id}`]) expect(await nameOf(path, bearing(rival))).toBe('undefined');
});

test.each(['{ it: byParam { name } }', '{ it: byKey { name } }', '{ it: desk { good { name } } }'])(
  'What a loader is given that was made of who asks is for nobody else, whatever SDL says: %s',
  async (document) => {
    serveOne('/told', (request) => `of ${userOf(request)}`);
    for (const [caller, name] of [
      [acme, 'of acme'],
      [rival, 'of rival'],
      [acme, 'of acme'],
    ] as const) {
      const { body } = await gateway.query(document, bearing(caller));
      expect(JSON.stringify(body.data)).toContain(`"name":"${name}"`);
    }
  },
);

test('An object whose key is who asks is found where it is stored, and stored where it is found', async () => {
  serve('/goods', 'acme', ({ url }) => (url!.includes('ids') ? 'many' : 'one'));
  expect(await nameOf('/goods/acme')).toBe('one');
  expect(await query('own', bearing(acme))).toBe('one');
  serve('/goods', 'rival', ({ url }) => (url!.includes('ids') ? 'many' : 'one'));
  expect(await query('own', bearing(rival))).toBe('many');
  expect(await nameOf('/goods/rival')).toBe('many');
});

test('What a PUBLIC field is given of who asks as plain data, and sends on, is minded', async () => {
  serveOne('/book', userOf);
  for (const [caller, name] of [
    [acme, 'acme'],
    [rival, 'rival'],
    [acme, 'acme'],
  ] as const) {
    const { body } = await gateway.query('{ shelf { book { name } } }', bearing(caller));
    expect(body.data).toEqual({ shelf: { book: { name } } });
  }
});

test('An object is given out by REST as the service writes it, or not at all', async () => {
  for (const number of ['9007199254740993', '10.00', '1e3', '-0', '0.1000']) {
    const id = newId();
    const body = `{"items":[{"id":"${id}","name":"n","number":${number}}]}`;
    const framing = { 'content-type': 'application/json', 'content-length': body.length };
    service.answer('/goods', (_, response) => void response.writeHead(200, { ...framing, ...open }).end(body));
    const one = `{ "id": "${id}", "name": "n", "number": ${number} }`;
    service.answer(`/goods/${id}`, { headers: { ...open, 'content-type': 'application/json' }, text: one });
    await query(`good(id: "${id}")`);
    expect((await rest(`/goods/${id}`)).text).toBe(one);
  }
  const id = newId();
  const ofMany = { 'x-total-count': '1', 'content-range': 'items 0-0/1', 'content-disposition': 'attachment' };
  serve('/goods', id, () => 'n', { ...open, ...ofMany, 'content-language': 'de' });
  await query(`good(id: "${id}")`);
  const { headers } = await rest(`/goods/${id}`);
  expect(headers['cache-status']).toContain('hit');
  expect(headers['content-language']).toBe('de');
  for (const name in ofMany) expect(headers[name]).toBeUndefined();
});
